//! What an app adds to each of its throttles.

use super::{
    denied::Denied,
    fields::Fields,
    rules::ByUid,
    settings::{RequestSettings, Responses},
};

/// What an app adds to each of its throttles.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThrottleDefaults {
    pub(crate) rules: ByUid,
    pub(crate) denied: Denied,
    pub(crate) responses: Responses,
    pub(crate) is_dry_run: bool,
}

impl ThrottleDefaults {
    /// Adds all of it to the settings of the throttle with this uid.
    pub(crate) fn add_to(&self, uid: &str, settings: &mut RequestSettings) {
        self.rules.add_to(uid, &mut settings.applies);
        settings.denied.add_all(&self.denied);
        settings.is_dry_run |= self.is_dry_run;
        settings.responses = self.responses.clone();
        if let Some(own) = settings.fields {
            settings.responses.fields = own;
        }
        if settings.is_hidden {
            settings.responses.fields = Fields::never();
        }
    }
}
