use std::{fmt, sync::Arc, time::Duration};

use traffik_core::rate::Rate;

use crate::{
    control::{Change, LimitHandle, Setting},
    engine::Error,
    limit::{
        ConfigError,
        changes::{Name, SharedValue, Switch},
    },
    store::Store,
};

/// Changes a limit in all processes. [`Shared::limit`](super::Shared::limit) creates it.
///
/// Each method returns once the backend has stored the change, which is then in force in this process. The errors are those of
/// the backend, and those of the same methods of [`LimitHandle`]. After a timeout the change may be in force or not: repeat it.
///
/// A limit that is [replaced](crate::Traffik::replace_limit) by one in another backend keeps its shared changes. The next change of
/// the same setting is stored in the new backend, and removed from the one before.
#[derive(Clone)]
pub struct SharedLimit {
    pub(super) limit: LimitHandle,
}

impl LimitHandle {
    /// Returns a handle that changes the limit in all processes.
    #[cfg(feature = "admin")]
    pub(crate) fn shared(&self) -> SharedLimit {
        self.traffik.use_shared();
        SharedLimit::new(self.clone())
    }
}

impl SharedLimit {
    pub(super) fn new(limit: LimitHandle) -> Self {
        Self { limit }
    }

    /// Returns `true` if its changes outlive a restart of this process.
    #[cfg(feature = "admin")]
    pub(crate) fn outlives_restart(&self) -> bool {
        matches!(self.store(), Ok(Some(store)) if !store.is_in_process())
    }

    /// Returns the uid of the limit.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.limit.uid()
    }

    /// Sets the rate: see [`LimitHandle::set_rate`].
    ///
    /// # Errors
    ///
    /// Returns an error if the strategy does not support the rate, or if the backend does not answer.
    pub async fn set_rate(&self, rate: Rate) -> Result<(), Error> {
        self.apply(Change::new().rate(rate)).await
    }

    /// Sets the cost of a request: see [`LimitHandle::set_cost`].
    ///
    /// # Errors
    ///
    /// Returns an error if the backend does not answer.
    pub async fn set_cost(&self, cost: u64) -> Result<(), Error> {
        self.apply(Change::new().cost(cost)).await
    }

    /// Disables the limit: see [`LimitHandle::disable`].
    ///
    /// # Errors
    ///
    /// Returns an error if the backend does not answer.
    pub async fn disable(&self) -> Result<(), Error> {
        self.apply(Change::new().enabled(false)).await
    }

    /// Enables the limit, also if a file or [`Shared::disable_all`](super::Shared::disable_all) disables it.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend does not answer.
    pub async fn enable(&self) -> Result<(), Error> {
        self.apply(Change::new().enabled(true)).await
    }

    /// Disables the limit for a time: see [`LimitHandle::disable_for`]. All processes end it by the time of day.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend does not answer.
    pub async fn disable_for(&self, time: Duration) -> Result<(), Error> {
        let end = self.limit.traffik.clock().wall_clock().saturating_add(time);
        self.set(Setting::Enabled, Some(&SharedValue::Switch(Switch::OffUntil(end)))).await
    }

    /// Makes several changes. Each setting is stored by itself: another process may apply one of them up to a second before the
    /// next.
    ///
    /// # Errors
    ///
    /// Returns an error if the strategy does not support the rate, which changes nothing, or if the backend does not answer.
    pub async fn apply(&self, change: Change) -> Result<(), Error> {
        if let Some(rate) = change.rate {
            self.limit.definition()?.check_changed_rate(rate)?;
        }
        let values = [
            (Setting::Rate, change.rate.map(SharedValue::Rate)),
            (Setting::Cost, change.cost.map(SharedValue::Cost)),
            (Setting::Enabled, change.enabled.map(|enabled| SharedValue::Switch(enabled.into()))),
            (Setting::DryRun, change.dry_run.map(SharedValue::DryRun)),
        ];
        let mut all = Ok(());
        for (setting, value) in values {
            if let Some(value) = value {
                all = all.and(self.set(setting, Some(&value)).await);
            }
        }
        all
    }

    /// Removes the shared changes of all settings. Those for single clients stay.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend does not answer.
    pub async fn clear(&self) -> Result<(), Error> {
        let mut all = Ok(());
        for setting in [Setting::Rate, Setting::Cost, Setting::Enabled, Setting::DryRun] {
            all = all.and(self.clear_setting(setting).await);
        }
        all
    }

    /// Removes the shared change of one setting. Rules are never shared.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend does not answer.
    pub async fn clear_setting(&self, setting: Setting) -> Result<(), Error> {
        self.set(setting, None).await
    }

    pub(super) fn store(&self) -> Result<Option<Arc<Store>>, ConfigError> {
        Ok(self.limit.definition()?.shared_store().map(Arc::clone))
    }

    async fn set(&self, setting: Setting, value: Option<&SharedValue>) -> Result<(), Error> {
        self.share(&Name::Setting(setting, self.uid()), value).await
    }

    pub(super) async fn share(&self, name: &Name<'_>, value: Option<&SharedValue>) -> Result<(), Error> {
        let Some(store) = self.store()? else { return Ok(()) };
        let name = name.to_text().ok_or_else(|| ConfigError::SecretClient { uid: self.uid().into() })?;
        let value = value.map(SharedValue::to_text);
        self.limit.traffik.share(&store, &name, value.as_deref()).await
    }
}

impl fmt::Debug for SharedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLimit").field("uid", &self.uid()).finish_non_exhaustive()
    }
}
