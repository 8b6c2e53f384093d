//! Texts that all processes on a backend share.

use traffik_core::backend::{BackendError, Control, ControlRequest};

use super::{Store, within_on_any_runtime};

/// How often a text is replaced while other processes change the same one.
const ATTEMPTS: usize = 32;

impl Store {
    /// Sets or removes a shared text, whatever it is. It is `known` at first. `received` is called with each answer.
    pub(crate) async fn replace_text(
        &self,
        name: &str,
        mut known: Option<String>,
        value: Option<&str>,
        mut received: impl FnMut(Control),
    ) -> Result<(), BackendError> {
        for _ in 0..ATTEMPTS {
            let request = ControlRequest::Replace { name, expected: known.as_deref(), value };
            let control = within_on_any_runtime(self.clock(), self.timeout(), self.control(request)).await?;
            let is_replaced = control.is_replaced;
            let mut settings = control.settings.iter().flatten();
            known = settings.find(|(other, _)| other == name).map(|(_, value)| value.clone());
            received(control);
            if is_replaced {
                return Ok(());
            }
        }
        Err(BackendError::not_run("other processes change the same setting all the time: try again"))
    }
}
