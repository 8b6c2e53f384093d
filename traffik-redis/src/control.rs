//! Reads and replaces the settings that all processes of a namespace share, with `control.lua`.

use traffik_core::backend::{BackendError, Control, ControlRequest};

use crate::client::{Reply, UnexpectedReply};

/// Returns the arguments of a request.
///
/// # Errors
///
/// Returns an error for a setting without a name, and for a request that this version does not know.
pub(crate) fn arguments(request: &ControlRequest<'_>) -> Result<Vec<Vec<u8>>, BackendError> {
    let value = |value: &Option<&str>| value.map_or_else(String::new, |value| format!("={value}"));
    let texts = match request {
        ControlRequest::Read { known } => vec!["read".to_owned(), known.to_string()],
        ControlRequest::Replace { name: "", .. } => {
            return Err(BackendError::not_run("a setting has to have a name"));
        }
        ControlRequest::Replace { name, expected, value: new } => {
            vec!["replace".to_owned(), (*name).to_owned(), value(expected), value(new)]
        }
        _ => return Err(BackendError::not_run("the Redis backend does not know this request for settings")),
    };
    Ok(texts.into_iter().map(String::into_bytes).collect())
}

pub(crate) fn answer(reply: Reply) -> Result<Control, BackendError> {
    let mut items = reply.into_items().ok_or(UnexpectedReply("no list"))?.into_iter();
    let version = items.next().and_then(|version| version.text()?.parse().ok()).ok_or(UnexpectedReply("no version"))?;
    let is_replaced = items.next().and_then(|replaced| replaced.integer()) == Some(1);
    let Some(settings) = items.next() else { return Ok(Control::new(version, None)) };
    let mut texts = settings.into_items().ok_or(UnexpectedReply("no settings"))?.into_iter();
    let mut settings = Vec::new();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        let text = |reply: Reply| reply.text().ok_or(UnexpectedReply("a setting that is no text"));
        let (name, value) = (text(name)?, text(value)?);
        if !name.is_empty() {
            settings.push((name, value));
        }
    }
    settings.sort_unstable();
    Ok(if is_replaced { Control::replaced(version, settings) } else { Control::new(version, Some(settings)) })
}
