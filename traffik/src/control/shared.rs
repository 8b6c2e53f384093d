//! Changes for all processes.

use std::{fmt, sync::Arc, time::Duration};

use traffik_core::{
    client::{Client, Key},
    clock::Timestamp,
    rate::Rate,
};

use crate::{
    control::{Change, LimitHandle, Setting, Until},
    engine::{Error, Traffik},
    limit::{
        ConfigError,
        changes::{ClientSetting, Name, SharedValue, Switch},
    },
    store::{Store, each},
};

/// The name of the text about all limits.
const ALL: &str = "enabled";

/// Changes limits in all processes on one backend. [`Traffik::shared`] creates it.
///
/// The backend stores the changes under its namespace. Every process applies them within two seconds, also one that starts later.
/// They last until they are removed. Changes of several processes do not replace each other, unless they are about the same
/// setting of the same limit. With a memory backend there is one process.
///
/// ```
/// use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik};
///
/// struct Search;
///
/// impl Throttle for Search {
///     const UID: &'static str = "shared:search";
///     const RATE: Rate = Rate::literal("100/min");
///     type Identity = DefaultIdentity;
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let redis = MemoryBackend::new("myapp");
/// let traffik = Traffik::builder(redis).register::<Search>().build()?;
///
/// traffik.shared().limit("shared:search")?.set_rate("20/min".parse()?).await?;
/// assert_eq!(traffik.limit("shared:search")?.info()?.rate().value(), "20/min".parse()?);
/// # Ok(())
/// # }
/// ```
///
/// # What a process does with them
///
/// A process reads the version of the changes once a second, and all of them if it is another one. It starts with the first
/// decision, or when the app is built in a runtime. Apps of one process that share a memory backend read changes of each other
/// once they call [`Traffik::shared`].
///
/// A change that a process does not understand, because a newer release made it, is a named
/// [warning](crate::warning::Warning::UnknownSharedChange).
#[derive(Clone)]
pub struct Shared {
    traffik: Traffik,
}

impl Traffik {
    /// Returns a handle that changes limits in all processes: see [`Shared`].
    #[must_use]
    pub fn shared(&self) -> Shared {
        self.use_shared();
        Shared { traffik: self.clone() }
    }
}

impl Shared {
    /// Returns a handle that changes the limit with this uid in all processes on its backend.
    ///
    /// # Errors
    ///
    /// The same as [`Traffik::limit`].
    pub fn limit(&self, uid: &str) -> Result<SharedLimit, ConfigError> {
        Ok(SharedLimit::new(self.traffik.limit(uid)?))
    }

    /// Disables all limits in all processes on the app's own backend, except for limits that a process enables locally. See
    /// [`LimitHandle::disable`](crate::control::LimitHandle::disable). It replaces the shared changes that enable or disable
    /// limits of this app, in all backends.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend does not answer.
    pub async fn disable_all(&self) -> Result<(), Error> {
        self.switch_all(Some(Switch::Off)).await
    }

    /// Ends [`disable_all`](Self::disable_all), and enables limits that a shared change disables.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend does not answer.
    pub async fn enable_all(&self) -> Result<(), Error> {
        self.switch_all(None).await
    }

    /// Reads the changes now, rather than within a second.
    ///
    /// # Errors
    ///
    /// Returns an error if a backend does not answer. The changes stay as they are then.
    pub async fn refresh(&self) -> Result<(), Error> {
        Ok(self.traffik.read_shared().await?)
    }

    /// Returns `true` if the changes of all limits outlive a restart of this process.
    #[cfg(feature = "admin")]
    pub(crate) fn outlives_restart(&self) -> bool {
        self.traffik.table().stores.own().is_some_and(|store| !store.is_in_process())
    }

    async fn switch_all(&self, switch: Option<Switch>) -> Result<(), Error> {
        let Some(store) = self.traffik.table().stores.own() else { return Ok(()) };
        let value = switch.map(|switch| SharedValue::Switch(switch).to_text());
        let mut all = self.traffik.share_in(store, ALL, value.as_deref()).await;
        for other in self.traffik.table().stores.iter() {
            let is_switch = |name: &Name<'_>| matches!(name, Name::Setting(Setting::Enabled, _));
            for (name, _) in self.traffik.shared_texts(other, is_switch) {
                let uid = Name::parse(&name).as_ref().and_then(Name::uid);
                // An additional backend may have the limits of another app.
                if Arc::ptr_eq(store, other) || uid.is_some_and(|uid| self.traffik.table().by_uid(uid).is_ok()) {
                    all = all.and(self.traffik.share_in(other, &name, None).await);
                }
            }
        }
        all
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("namespace", &self.traffik.namespace()).finish_non_exhaustive()
    }
}

/// Changes a limit in all processes. [`Shared::limit`](Shared::limit) creates it.
///
/// Each method returns once the backend has stored the change, which is then in force in this process. The errors are those of
/// the backend, and those of the same methods of [`LimitHandle`]. After a timeout the change may be in force or not: repeat it.
///
/// A limit that is [replaced](crate::Traffik::replace_limit) by one in another backend keeps its shared changes. The next change of
/// the same setting is stored in the new backend, and removed from the one before.
#[derive(Clone)]
pub struct SharedLimit {
    limit: LimitHandle,
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
    fn new(limit: LimitHandle) -> Self {
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

    /// Enables the limit, also if a file or [`Shared::disable_all`](Shared::disable_all) disables it.
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
        let set = values.iter().filter(|(_, value)| value.is_some());
        each(set.map(|(setting, value)| self.set(*setting, value.as_ref()))).await
    }

    /// Removes the shared changes of all settings. Those for single clients stay.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend does not answer.
    pub async fn clear(&self) -> Result<(), Error> {
        let settings = [Setting::Rate, Setting::Cost, Setting::Enabled, Setting::DryRun];
        each(settings.map(|setting| self.clear_setting(setting))).await
    }

    /// Removes the shared change of one setting. Rules are never shared.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend does not answer.
    pub async fn clear_setting(&self, setting: Setting) -> Result<(), Error> {
        self.set(setting, None).await
    }

    fn store(&self) -> Result<Option<Arc<Store>>, ConfigError> {
        Ok(self.limit.definition()?.shared_store().map(Arc::clone))
    }

    async fn set(&self, setting: Setting, value: Option<&SharedValue>) -> Result<(), Error> {
        self.share(&Name::Setting(setting, self.uid()), value).await
    }

    async fn share(&self, name: &Name<'_>, value: Option<&SharedValue>) -> Result<(), Error> {
        let Some(store) = self.store()? else { return Ok(()) };
        let name = name.to_text().ok_or_else(|| ConfigError::SecretClient { uid: self.uid().into() })?;
        let value = value.map(SharedValue::to_text);
        self.limit.traffik.share(&store, &name, value.as_deref()).await
    }
}

impl SharedLimit {
    /// Refuses all requests of a client until then: see [`LimitHandle::block`]. All processes end it by the time of day.
    ///
    /// The backend stores the client as a text, so a [secret](Client::secret) client cannot be shared.
    ///
    /// # Errors
    ///
    /// Returns an error if the client is secret or exempt by its identity, if [`MAX_CLIENTS`](LimitHandle::MAX_CLIENTS) clients
    /// have shared changes, or if the backend does not answer.
    pub async fn block(
        &self,
        client: impl Into<Client>,
        until: impl Into<Until>,
        reason: impl Into<Box<str>>,
    ) -> Result<(), Error> {
        let value = SharedValue::Block(self.end(until), reason.into());
        self.set_client(ClientSetting::Block, client.into(), Some(&value)).await
    }

    /// Removes the shared block of a client.
    ///
    /// # Errors
    ///
    /// Returns an error if the client is secret or exempt by its identity, or if the backend does not answer.
    pub async fn unblock(&self, client: impl Into<Client>) -> Result<(), Error> {
        self.set_client(ClientSetting::Block, client.into(), None).await
    }

    /// Counts no request of a client until then: see [`LimitHandle::exempt`].
    ///
    /// # Errors
    ///
    /// The same as [`block`](Self::block).
    pub async fn exempt(&self, client: impl Into<Client>, until: impl Into<Until>) -> Result<(), Error> {
        self.set_client(ClientSetting::Exempt, client.into(), Some(&SharedValue::Exempt(self.end(until)))).await
    }

    /// Removes the shared exemption of a client.
    ///
    /// # Errors
    ///
    /// The same as [`unblock`](Self::unblock).
    pub async fn end_exemption(&self, client: impl Into<Client>) -> Result<(), Error> {
        self.set_client(ClientSetting::Exempt, client.into(), None).await
    }

    /// Sets the rate of a client until then: see [`LimitHandle::override_rate`].
    ///
    /// # Errors
    ///
    /// The same as [`block`](Self::block), and an error if the strategy does not support the rate.
    pub async fn override_rate(
        &self,
        client: impl Into<Client>,
        rate: Rate,
        until: impl Into<Until>,
    ) -> Result<(), Error> {
        self.limit.definition()?.check_changed_rate(rate)?;
        let value = SharedValue::ClientRate(self.end(until), rate);
        self.set_client(ClientSetting::Rate, client.into(), Some(&value)).await
    }

    /// Removes the shared rate of a client.
    ///
    /// # Errors
    ///
    /// The same as [`unblock`](Self::unblock).
    pub async fn end_override(&self, client: impl Into<Client>) -> Result<(), Error> {
        self.set_client(ClientSetting::Rate, client.into(), None).await
    }

    fn end(&self, until: impl Into<Until>) -> Option<Timestamp> {
        let clock = self.limit.traffik.clock();
        let end = until.into().end(clock)?;
        Some(clock.wall_clock().saturating_add(end.saturating_since(clock.now())))
    }

    async fn set_client(
        &self,
        setting: ClientSetting,
        client: Client,
        value: Option<&SharedValue>,
    ) -> Result<(), Error> {
        let key = self.limit.key(client)?;
        if let (Some(store), true) = (self.store()?, value.is_some()) {
            self.limit.traffik.remove_ended(&store).await;
            self.check_room(&store, &key)?;
        }
        self.share(&Name::Client(setting, self.uid(), key), value).await
    }

    fn check_room(&self, store: &Arc<Store>, key: &Key) -> Result<(), ConfigError> {
        let max = LimitHandle::MAX_CLIENTS;
        let is_known =
            |name: &Name<'_>| matches!(name, Name::Client(_, uid, known) if *uid == self.uid() && known == key);
        let traffik = &self.limit.traffik;
        let of_clients = traffik.shared_texts(store, |name| matches!(name, Name::Client(..)));
        let is_new = !of_clients.iter().any(|(name, _)| Name::parse(name).is_some_and(|name| is_known(&name)));
        let in_force = || of_clients.iter().filter(|(name, value)| !traffik.has_ended(name, value)).count();
        if is_new && of_clients.len() >= max && in_force() >= max {
            return Err(ConfigError::TooManyClients { uid: self.uid().into(), max });
        }
        Ok(())
    }
}

impl fmt::Debug for SharedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLimit").field("uid", &self.uid()).finish_non_exhaustive()
    }
}
