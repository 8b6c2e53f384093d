use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use traffik_core::{EXEMPTED, client::Client, rate::Rate};

use super::{Change, LimitInfo, Setting};
use crate::{
    engine::{Check, Checks, Error, Limits, Traffik},
    limit::{
        ConfigError, Definition,
        changes::{Live, LiveLimit, Switch, Values},
    },
    request::{Applies, Bypass, Rule},
};

/// Changes a limit in this process. [`Traffik::limit`] creates it.
///
/// The changes last until they are removed or the app ends. An invalid change is an error and changes nothing. Once the limit is
/// [removed](Traffik::remove_limit), methods return an error, and those that return none have no effect.
///
/// ```
/// use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik};
///
/// struct Export;
///
/// impl Throttle for Export {
///     const UID: &'static str = "handle:export";
///     const RATE: Rate = Rate::literal("2/hour");
///     type Identity = DefaultIdentity;
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let traffik = Traffik::builder(MemoryBackend::new("myapp")).register::<Export>().build()?;
/// let _ = traffik.limiter::<Export>("alice").check().await?;
///
/// // What was counted stays counted.
/// traffik.limit("handle:export")?.set_rate(Rate::literal("10/hour"))?;
/// let permit = traffik.limiter::<Export>("alice").check().await?;
/// assert_eq!(permit.tightest().remaining(), 8);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LimitHandle {
    pub(super) traffik: Traffik,
    /// The limit as it was found. It may have been removed or replaced since.
    found: Arc<Definition>,
    /// The backend to reset and to peek in, if requests choose it.
    backend: Option<Box<str>>,
}

impl LimitHandle {
    pub(super) fn new(traffik: &Traffik, definition: &Arc<Definition>) -> Self {
        Self { traffik: traffik.clone(), found: Arc::clone(definition), backend: None }
    }

    /// Returns the uid of the limit.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.found.uid
    }

    /// Returns the limit as it is now.
    pub(super) fn definition(&self) -> Result<Arc<Definition>, ConfigError> {
        if !self.found.is_value() {
            return Ok(Arc::clone(&self.found));
        }
        Ok(self.traffik.table().by_uid(self.uid())?.0)
    }

    /// Returns the limit as it is now, with the values of each source.
    ///
    /// # Errors
    ///
    /// Returns an error if the app no longer knows the limit.
    pub fn info(&self) -> Result<LimitInfo, ConfigError> {
        let (definition, known_by) = self.traffik.table().by_uid(self.uid())?;
        Ok(LimitInfo::new(&definition, known_by, &self.traffik.changes().latest()))
    }

    /// Sets the rate.
    ///
    /// # Errors
    ///
    /// Returns an error if the strategy does not support the rate.
    pub fn set_rate(&self, rate: Rate) -> Result<(), ConfigError> {
        self.apply(Change::new().rate(rate))
    }

    /// Sets the cost of a request. With 0 no request is counted.
    ///
    /// It replaces the cost that a function or a caller sets, unless that is 0.
    pub fn set_cost(&self, cost: u64) {
        self.set(|values| values.cost = Some(cost));
        self.warn_of_cost();
    }

    /// Puts the limit into a dry run, or ends it: see [`Settings::dry_run`](crate::Settings::dry_run). A [block](Self::block) is
    /// stronger.
    pub fn set_dry_run(&self, dry_run: bool) {
        self.set(|values| values.dry_run = Some(dry_run));
    }

    /// Disables the limit: it counts and refuses no request, as if a rule excluded them. [Blocked](Self::block) clients stay
    /// blocked.
    pub fn disable(&self) {
        self.set(|values| values.switch = Some(Switch::Off));
    }

    /// Enables the limit, also if a shared change or a file disables it.
    pub fn enable(&self) {
        self.set(|values| values.switch = Some(Switch::On));
    }

    /// Disables the limit for a time. Then it is as if it had not been disabled or enabled here.
    pub fn disable_for(&self, time: Duration) {
        let end = self.traffik.clock().now().saturating_add(time);
        self.set(|values| values.switch = Some(Switch::OffUntil(end)));
    }

    /// Makes several changes, which no decision sees in part.
    ///
    /// # Errors
    ///
    /// Returns an error if the strategy does not support the rate.
    #[expect(clippy::needless_pass_by_value, reason = "a change is applied once")]
    pub fn apply(&self, change: Change) -> Result<(), ConfigError> {
        if let Some(rate) = change.rate {
            self.definition()?.check_changed_rate(rate)?;
        }
        self.set(|values| values.set(&change));
        self.warn_of_cost();
        Ok(())
    }

    /// Adds a rule: the limit applies only to requests that match it and all other rules of the throttle. See [`Rule`].
    ///
    /// A [`Limiter`](crate::Limiter) evaluates the rules when it is extracted.
    ///
    /// # Errors
    ///
    /// Returns an error if the rule cannot be used, or if no request matches all rules that were added.
    pub fn add_rule(&self, rule: Rule) -> Result<(), ConfigError> {
        let definition = self.definition()?;
        self.try_local(|limit| {
            limit.rules.add_rule(rule);
            definition.check_rules(&limit.added_rules())
        })
    }

    /// Adds a bypass: the limit does not apply to requests that match it. See [`Bypass`].
    ///
    /// # Errors
    ///
    /// Returns an error if the bypass cannot be used.
    pub fn add_bypass(&self, bypass: Bypass) -> Result<(), ConfigError> {
        let definition = self.definition()?;
        self.try_local(|limit| {
            limit.rules.add_bypass(bypass);
            definition.check_rules(&limit.added_rules())
        })
    }

    /// Removes the local changes of all settings, and the rules that were added. Changes for [single clients](Self::block) stay.
    pub fn clear(&self) {
        self.local(LiveLimit::clear_local);
    }

    /// Removes the local change of one setting.
    pub fn clear_setting(&self, setting: Setting) {
        self.local(|limit| match setting {
            Setting::Rules => limit.rules = Applies::default(),
            setting => limit.values.local.clear(setting),
        });
    }

    /// Returns the same handle for one backend of a limit whose requests [choose](crate::Settings::backend_of) one: its
    /// [`reset`](Self::reset) and [`peek`](Self::peek) act there. `"default"` is the app's own. Changes are those of the limit, in
    /// all of its backends.
    ///
    /// # Errors
    ///
    /// Returns an error if the app has no such backend, if the limit is always in another one, or if it was removed.
    pub fn in_backend(&self, name: &str) -> Result<Self, ConfigError> {
        Check::new(&self.definition()?, EXEMPTED).choose(name)?;
        Ok(Self { backend: Some(name.into()), ..self.clone() })
    }

    /// Deletes what is stored for a client, which starts fresh. Blocks, exemptions and rates of the client stay.
    ///
    /// A limit whose requests [choose](crate::Settings::backend_of) a backend is reset in all of them, unless the handle is
    /// [of one](Self::in_backend).
    ///
    /// # Errors
    ///
    /// Returns an error if the backend does not answer.
    pub async fn reset(&self, client: impl Into<Client>) -> Result<(), Error> {
        self.traffik.reset_all(self.checks(&self.definition()?, client.into())?).await
    }

    /// Returns the limit of a client, and charges nothing. Functions for the cost and the rate are not called.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend does not answer, or if requests [choose](crate::Settings::backend_of) the backend and the
    /// handle is not [of one](Self::in_backend).
    pub async fn peek(&self, client: impl Into<Client>) -> Result<Limits, Error> {
        self.traffik.look(self.checks(&self.definition()?, client.into())?).await
    }

    fn checks<'a>(&self, definition: &'a Arc<Definition>, client: Client) -> Result<Checks<'a>, ConfigError> {
        let mut check = Check::new(definition, self.traffik.counted_as(client));
        if let Some(name) = &self.backend {
            check.choose(name)?;
        }
        Ok(Checks::new(check))
    }

    fn set(&self, set: impl FnOnce(&mut Values)) {
        self.local(|limit| set(&mut limit.values.local));
    }

    pub(super) fn local<R>(&self, change: impl FnOnce(&mut LiveLimit) -> R) -> R {
        let Ok(result) = self.try_local(|limit| Ok::<_, Infallible>(change(limit)));
        result
    }

    pub(super) fn try_local<R, E>(&self, change: impl FnOnce(&mut LiveLimit) -> Result<R, E>) -> Result<R, E> {
        self.try_change(|live| change(live.of_mut(self.uid())))
    }

    /// Makes a change, which has no effect if the limit was removed.
    pub(super) fn try_change<R, E>(&self, change: impl FnOnce(&mut Live) -> Result<R, E>) -> Result<R, E> {
        // Functions of the app are dropped when the change is made.
        let mut unused = Live::default();
        self.traffik.try_change(|live| {
            // No limit is removed meanwhile, so none leaves a change behind.
            change(if self.traffik.table().has(&self.found) { live } else { &mut unused })
        })
    }

    fn warn_of_cost(&self) {
        let Ok(definition) = self.definition() else { return };
        definition.warn_of_changed_cost(&self.traffik.changes().latest(), self.traffik.warnings());
    }
}

impl fmt::Debug for LimitHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitHandle").field("uid", &self.uid()).finish_non_exhaustive()
    }
}
