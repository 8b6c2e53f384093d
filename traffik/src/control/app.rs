use super::{LimitHandle, LimitInfo};
use crate::{
    engine::Traffik,
    limit::{
        ConfigError,
        changes::{Live, Switch},
    },
};

impl Traffik {
    /// Returns the limits that the app knows, in the order of their uids: see [`control`](crate::control).
    ///
    /// It knows the throttles that macros declare anywhere in the program, those that it registered or used, and limits that were
    /// [added](Self::add_limit) or that a file makes.
    #[must_use]
    pub fn limits(&self) -> Vec<LimitInfo> {
        let live = self.changes().latest();
        let limits = self.table().all().into_iter();
        limits.map(|(definition, known_by)| LimitInfo::new(&definition, known_by, &live)).collect()
    }

    /// Returns a handle that changes the limit with this uid: see [`control`](crate::control).
    ///
    /// # Errors
    ///
    /// Returns an error if the app knows no such limit, which names similar uids, or if the throttle cannot work. Throttles that
    /// macros declare are known. One whose `impl Throttle` is written by hand is when it is
    /// [registered](crate::TraffikBuilder::register) or first used.
    pub fn limit(&self, uid: &str) -> Result<LimitHandle, ConfigError> {
        let (definition, _) = self.table().by_uid(uid)?;
        Ok(LimitHandle::new(self, &definition))
    }

    /// Disables all limits, also those that the app does not know yet: see [`LimitHandle::disable`].
    ///
    /// A later [`LimitHandle::enable`] enables a single limit, and [`enable_all`](Self::enable_all) all of them.
    pub fn disable_all(&self) {
        self.switch_all(Switch::Off);
    }

    /// Enables all limits, also those that a shared change or a file disables.
    pub fn enable_all(&self) {
        self.switch_all(Switch::On);
    }

    /// Removes all local changes of this app, except those for [single clients](LimitHandle::block).
    pub fn clear_changes(&self) {
        self.change_all(|live| {
            live.all.local = None;
            live.for_each(|limit| limit.clear_local());
        });
    }

    fn switch_all(&self, switch: Switch) {
        self.change_all(|live| {
            live.all.local = Some(switch);
            live.for_each(|limit| limit.values.local.switch = None);
        });
    }

    fn change_all(&self, change: impl FnOnce(&mut Live)) {
        let Ok(()) = self.change(|live| {
            change(live);
            Ok::<_, std::convert::Infallible>(())
        });
    }
}
