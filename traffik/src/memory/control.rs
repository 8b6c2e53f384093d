use std::collections::BTreeMap;

use parking_lot::Mutex;
use traffik_core::backend::{BackendError, Control, ControlRequest};

/// The settings that all users of a store share.
#[derive(Debug, Default)]
pub(super) struct ControlSettings(Mutex<Settings>);

#[derive(Debug, Default)]
struct Settings {
    version: u64,
    by_name: BTreeMap<String, String>,
}

impl ControlSettings {
    pub(super) fn answer(&self, request: ControlRequest<'_>) -> Result<Control, BackendError> {
        let mut settings = self.0.lock();
        match request {
            ControlRequest::Read { known } if known == settings.version => Ok(Control::new(known, None)),
            ControlRequest::Read { .. } => Ok(Control::new(settings.version, Some(settings.all()))),
            ControlRequest::Replace { name: "", .. } => Err(BackendError::not_run("the name of the setting is empty")),
            ControlRequest::Replace { name, expected, value } => {
                if settings.by_name.get(name).map(String::as_str) != expected {
                    return Ok(Control::new(settings.version, Some(settings.all())));
                }
                match value {
                    Some(value) => settings.by_name.insert(name.to_owned(), value.to_owned()),
                    None => settings.by_name.remove(name),
                };
                settings.version += 1;
                Ok(Control::replaced(settings.version, settings.all()))
            }
            _ => Err(BackendError::not_run("the memory backend does not know this request for settings")),
        }
    }
}

impl Settings {
    fn all(&self) -> Vec<(String, String)> {
        self.by_name.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}
