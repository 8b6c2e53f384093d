use std::{fmt, sync::Arc};

use super::SharedLimit;
use crate::{
    control::Setting,
    engine::{Error, Traffik},
    limit::{
        ConfigError,
        changes::{Name, SharedValue, Switch},
    },
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
