use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use traffik_core::{client::Client, rate::Rate};

use super::{
    Check, CheckError, Checks, Demand, Error, LimiterOptions, Limits, Permit, Refusal, Traffik,
    decide::{decide_in_force, resolve},
};
use crate::limit::{ByUid, ConfigError, Definition, Throttle, Throttles, assert_types};

/// A throttle, or a tuple of throttles, for one client. [`Traffik::limiter`] creates it, outside of requests. In a handler,
/// take a [`Limiter`](crate::Limiter) as an argument.
///
/// The cost defaults to [`Settings::cost`](crate::Settings::cost), the rate to [`Throttle::RATE`].
#[must_use = "a limiter does nothing until `check` or `peek` is called and awaited"]
pub struct ClientLimiter<'a, T> {
    pub(super) traffik: &'a Traffik,
    client: Client,
    pub(super) options: LimiterOptions,
    /// The limit, if it is a value.
    value: Option<Result<Arc<Definition>, Box<ConfigError>>>,
    /// The name of the backend, if the caller names it.
    backend: Option<Box<str>>,
    throttles: PhantomData<fn() -> T>,
}

impl Traffik {
    /// Creates a limiter of a client, for checks outside of a request.
    ///
    /// ```
    /// use traffik::{CheckError, DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik};
    ///
    /// struct Mails;
    ///
    /// impl Throttle for Mails {
    ///     const UID: &'static str = "limiter:mails";
    ///     const RATE: Rate = Rate::literal("10/hour");
    ///     type Identity = DefaultIdentity;
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    ///
    /// // A mail to five people, from a client with a larger plan.
    /// let business: Rate = "100/hour".parse()?;
    /// let permit = traffik.limiter::<Mails>("alice").cost(5).rate(business).check().await?;
    /// assert_eq!(permit.tightest().remaining(), 95);
    ///
    /// match traffik.limiter::<Mails>("alice").cost(6).check().await {
    ///     Ok(_) => println!("send it"),
    ///     Err(CheckError::Refused(refusal)) => println!("retry after {:?}", refusal.retry_after()),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn limiter<T: Throttles>(&self, client: impl Into<Client>) -> ClientLimiter<'_, T> {
        const { assert_types::<T>() };
        let options = LimiterOptions::default();
        let (value, backend) = (None, None);
        ClientLimiter { traffik: self, client: client.into(), options, value, backend, throttles: PhantomData }
    }

    /// Creates a limiter of a client for a limit that was [added](Self::add_limit), which is found by its uid.
    ///
    /// ```
    /// use traffik::{MemoryBackend, Settings, Traffik};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// traffik.add_limit("tenant:acme", "100/min".parse()?, Settings::new())?;
    ///
    /// let permit = traffik.limiter_of("tenant:acme", "alice").cost(5).check().await?;
    /// assert_eq!(permit.tightest().remaining(), 95);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// An unknown uid is an error of [`check`](ClientLimiter::check) and [`peek`](ClientLimiter::peek). A limit that is removed
    /// after this call is still checked. A [`Quota`](crate::Quota) makes several such limits one decision.
    pub fn limiter_of(&self, uid: &str, client: impl Into<Client>) -> ClientLimiter<'_, ByUid> {
        let (options, value) = (LimiterOptions::default(), Some(self.app.table.value(uid).map_err(Box::new)));
        let backend = None;
        ClientLimiter { traffik: self, client: client.into(), options, value, backend, throttles: PhantomData }
    }
}

impl<T: Throttles> ClientLimiter<'_, T> {
    /// Sets the cost. For a tuple it applies to every throttle. A cost of 0 skips the backend.
    pub fn cost(self, cost: u64) -> Self {
        Self { options: LimiterOptions { cost: Some(cost), ..self.options }, ..self }
    }

    /// Names the backend, for throttles whose requests [choose](crate::Settings::backend_of) one. `"default"` is the app's own. It
    /// applies to these throttles of a tuple alone.
    ///
    /// # Errors
    ///
    /// A backend that the app does not have is an error of [`check`](Self::check) and [`peek`](Self::peek). So is a throttle that
    /// chooses its backend by the request, if no backend is named, and one that is always in another backend, unless others of its
    /// tuple choose.
    pub fn backend(self, name: impl Into<Box<str>>) -> Self {
        Self { backend: Some(name.into()), ..self }
    }

    /// Sets the lowest and the highest cost. A check then charges what fits between both, and refuses if less fits.
    ///
    /// All throttles of a tuple are charged the same amount: the highest that fits all of them.
    /// [`Permit::granted`] returns it.
    ///
    /// A worker that takes as many jobs as it may:
    ///
    /// ```
    /// # use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik};
    /// # struct Jobs;
    /// # impl Throttle for Jobs {
    /// #     const UID: &'static str = "limiter:jobs";
    /// #     const RATE: Rate = Rate::literal("100/min");
    /// #     type Identity = DefaultIdentity;
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// let permit = traffik.limiter::<Jobs>("worker").at_least(1).at_most(70).check().await?;
    /// assert_eq!(permit.granted(), 70);
    /// let permit = traffik.limiter::<Jobs>("worker").at_least(1).at_most(70).check().await?;
    /// assert_eq!(permit.granted(), 30);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A lowest cost above the highest is an error of [`check`](Self::check) and [`peek`](Self::peek).
    pub fn at_least(self, cost: u64) -> Self {
        Self { options: LimiterOptions { at_least: Some(cost), ..self.options }, ..self }
    }

    /// Sets the highest cost, for [`at_least`](Self::at_least). Without a lowest cost, it is the same as [`cost`](Self::cost).
    pub fn at_most(self, cost: u64) -> Self {
        self.cost(cost)
    }

    /// Lets [`check`](Self::check) wait for its turn: until the limits admit the client, for `max` at most.
    ///
    /// Callers that wait for one client and throttle, or tuple of throttles, form a line in their process, and are admitted in
    /// the order in which they came. A check that does not wait is not held back by the line. With [`at_least`](Self::at_least),
    /// the caller waits until the lowest cost fits, and then takes what fits.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik};
    /// # struct Mails;
    /// # impl Throttle for Mails {
    /// #     const UID: &'static str = "limiter:waiting";
    /// #     const RATE: Rate = Rate::literal("100/s");
    /// #     type Identity = DefaultIdentity;
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
    /// for _mail in 0..150 {
    ///     let _ = traffik.limiter::<Mails>("smtp").wait(Duration::from_secs(5)).check().await?;
    ///     // .. and send it.
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A caller joins the line on the first poll. A task takes its permit then, so the permit of a caller that is not polled
    /// waits for it, and delays no other. A caller that is dropped leaves the line, or gives back its permit. Waiting needs a
    /// Tokio runtime. A refunded charge, and a permit of [`Concurrency`](crate::strategy::Concurrency) that is dropped, let the
    /// next caller of the same process pass immediately. Those of other processes are noticed within a second or so for
    /// `Concurrency`, and otherwise at the time that the refusal named.
    ///
    /// Where other processes may wait for the same limit, a turn is up to 10 % later than its time, so that they do not ask
    /// together. A delay of [`LeakyBucketWithQueue`](struct@crate::strategy::LeakyBucketWithQueue) begins with the admission: see
    /// [`Limits::delay`].
    ///
    /// # Errors
    ///
    /// The check is refused without waiting if the cost never fits, if the turn would come after `max`, and if
    /// [`max_waiters`](crate::Settings::max_waiters) callers wait already. It is refused after `max` otherwise. The
    /// `retry_after` of a caller that is refused for the line alone is zero. A question that is under way after `max` is waited
    /// for, for [`backend_timeout`](crate::TraffikBuilder::backend_timeout) at most.
    ///
    /// If the backend does not answer, [`on_error`](crate::on_error) decides about the first in the line, as about a check that
    /// does not wait, and then about the next. [`Traffik::close`] ends the wait of all callers with
    /// [`BackendError::Closed`](crate::backend::BackendError::Closed).
    pub fn wait(self, max: Duration) -> Self {
        Self { options: LimiterOptions { wait: Some(max), ..self.options }, ..self }
    }

    /// Charges the client, and returns a permit. A tuple is one decision: all throttles are charged, or none.
    ///
    /// # Errors
    ///
    /// Returns [`CheckError::Refused`] if a limit refuses the client; then nothing is charged. Returns
    /// [`CheckError::Failed`] if there is no decision, because a throttle is misconfigured or the backend does not answer.
    pub async fn check(self) -> Result<Permit<T>, CheckError> {
        let checks = self.checks().map_err(Error::from)?;
        let decision = match self.options.wait {
            None => resolve!(decide_in_force(self.traffik.changes(), checks)),
            Some(max) => resolve!(self.traffik.wait(Demand::new(&checks, self.traffik.changes()), max)),
        };
        let limits = decision.map_err(|failed| failed.observed(None))?;
        limits.observe(None);
        if limits.is_admitted() { Ok(Permit::new(limits)) } else { Err(Refusal::new(limits).into()) }
    }

    /// Returns the limits of the client, and charges nothing.
    ///
    /// # Errors
    ///
    /// Returns an error if a throttle is misconfigured, or if the backend does not answer.
    pub async fn peek(self) -> Result<Limits, Error> {
        self.traffik.look(self.checks()?).await
    }

    pub(super) fn checks(&self) -> Result<Checks<'_>, ConfigError> {
        let mut checks = match &self.value {
            None => self.traffik.checks::<T>(self.client.clone())?,
            Some(Ok(definition)) => Checks::new(Check::new(definition, self.traffik.counted_as(self.client.clone()))),
            Some(Err(error)) => return Err(ConfigError::clone(error)),
        };
        if let Some(name) = &self.backend {
            let any_is_chosen = checks.iter().any(Check::is_chosen);
            let mut named = checks.iter_mut().filter(|check| check.is_chosen() || !any_is_chosen);
            named.try_for_each(|check| check.choose(name))?;
        }
        self.options.apply(&mut checks)?;
        Ok(checks)
    }
}

/// A limiter of one throttle. The throttles of a tuple keep their own rates.
impl<T: Throttle> ClientLimiter<'_, T> {
    /// Sets the rate.
    pub fn rate(self, rate: Rate) -> Self {
        Self { options: LimiterOptions { rate: Some(rate), ..self.options }, ..self }
    }
}

impl ClientLimiter<'_, ByUid> {
    /// Sets the rate.
    pub fn rate(self, rate: Rate) -> Self {
        Self { options: LimiterOptions { rate: Some(rate), ..self.options }, ..self }
    }
}

impl<T> fmt::Debug for ClientLimiter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, options, .. } = self;
        f.debug_struct("ClientLimiter").field("client", client).field("options", options).finish_non_exhaustive()
    }
}
