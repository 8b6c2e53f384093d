use std::sync::Arc;

use traffik_core::rate::Rate;

use super::{KnownBy, LimitHandle, LimitInfo};
use crate::{
    engine::Traffik,
    limit::{ConfigError, NewLimit, Settings, changes::Switch},
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
        self.change(|live| {
            live.all.local = None;
            live.for_each(|limit| limit.clear_local());
        });
    }

    fn switch_all(&self, switch: Switch) {
        self.change(|live| {
            live.all.local = Some(switch);
            live.for_each(|limit| limit.values.local.switch = None);
        });
    }
}

impl Traffik {
    /// Adds a limit that is a value, and no type: for a row of a table, or a tenant, that comes while the app runs.
    ///
    /// ```
    /// use traffik::{MemoryBackend, Settings, Traffik};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// traffik.add_limit("tenant:acme", "100/min".parse()?, Settings::new().cost(2))?;
    ///
    /// let _ = traffik.limiter_of("tenant:acme", "alice").check().await?;
    /// traffik.limit("tenant:acme")?.set_rate("50/min".parse()?)?;
    ///
    /// traffik.remove_limit("tenant:acme")?;
    /// assert!(traffik.limiter_of("tenant:acme", "alice").check().await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It has the same settings as a throttle, and everything that holds for a throttle holds for it. The app lists and changes it
    /// by its uid. Clients are identified by [`Settings::identity`], or as the app does. These check it:
    ///
    /// - [`limiter_of`](Self::limiter_of), outside of requests,
    /// - [`Limiters`](crate::web::Limiters), in a handler,
    /// - [`limit_layer`](crate::limit_layer), around the routes of a router.
    ///
    /// A limit is found by a hash of its uid, and adding one takes the same time however many there are. Each takes a few
    /// kilobytes. Their metrics share series: see [`Settings::label`].
    ///
    /// # Errors
    ///
    /// Returns an error if the limit cannot work, if its uid is empty or has anything except printable ASCII, or if the app knows
    /// another limit of that uid.
    #[track_caller]
    pub fn add_limit(
        &self,
        uid: impl Into<Arc<str>>,
        rate: Rate,
        settings: Settings,
    ) -> Result<LimitHandle, ConfigError> {
        let new = NewLimit::added(uid.into(), rate, settings);
        let added = self.table().add(new, KnownBy::Added)?;
        self.changed();
        Ok(LimitHandle::new(self, &added))
    }

    /// Adds a limit that is a value, in place of the one with its uid if there is one: see [`add_limit`](Self::add_limit).
    ///
    /// The next check meets the new limit, and no check meets none. What was counted stays counted, unless the name of the strategy
    /// is another one. Changes stay, which replace the new values as they did the old ones. Checks that are under way end by the
    /// limit that they began with.
    ///
    /// ```
    /// use traffik::{MemoryBackend, Settings, Traffik};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// for rate in ["100/min", "20/min"] {
    ///     traffik.replace_limit("tenant:acme", rate.parse()?, Settings::new())?;
    ///     let _ = traffik.limiter_of("tenant:acme", "alice").check().await?;
    /// }
    /// let limits = traffik.limiter_of("tenant:acme", "alice").peek().await?;
    /// assert_eq!(limits.tightest().remaining(), 18);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the limit cannot work, or if its uid is that of a throttle, or of a limit in a file. The limit of before
    /// stays then.
    #[track_caller]
    pub fn replace_limit(
        &self,
        uid: impl Into<Arc<str>>,
        rate: Rate,
        settings: Settings,
    ) -> Result<LimitHandle, ConfigError> {
        self.put(NewLimit::added(uid.into(), rate, settings))
    }

    /// Adds a limit, or replaces the one that was added with its uid.
    pub(crate) fn put(&self, new: NewLimit) -> Result<LimitHandle, ConfigError> {
        let added = self.table().replace(new, KnownBy::Added)?;
        self.changed();
        Ok(LimitHandle::new(self, &added))
    }

    /// Removes a limit that was [added](Self::add_limit). Its uid is unknown from then on.
    ///
    /// - Checks that are under way end by the limit that they began with, and permits stay what they are.
    /// - A layer of the limit answers with a 500 that names the uid. It lets no request pass.
    /// - Its memory is freed, and its local changes are removed. Shared changes stay, because other processes may have the limit:
    ///   remove them before, by [`SharedLimit::clear`](super::SharedLimit::clear), and those of clients one by one.
    /// - What is stored for its clients ends by its own time. A limit with the same uid and strategy that is added before finds it.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such limit, or if the uid is that of a throttle.
    pub fn remove_limit(&self, uid: &str) -> Result<(), ConfigError> {
        self.remove(uid, || self.table().remove(uid, KnownBy::Added)).map(drop)
    }
}
