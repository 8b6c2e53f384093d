use std::{sync::Arc, time::Duration};

use traffik_core::strategy::AnyStrategy;

use super::penalty::PenaltySettings;
use crate::{on_error::OnError, request::RequestSettings};

/// The settings of a throttle: everything except its uid and its rate.
///
/// ```
/// use traffik::{Settings, SlidingWindowCounter};
///
/// let settings = Settings::new().strategy(SlidingWindowCounter).cost(5);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Settings {
    pub(crate) strategy: AnyStrategy,
    pub(crate) cost: u64,
    /// The name of the backend. `None` for the app's own.
    pub(crate) backend: Option<&'static str>,
    /// The name in metrics. `None` for that of the uid.
    pub(crate) label: Option<Arc<str>>,
    /// What happens when the backend gives no answer. `None` for the app's setting.
    pub(crate) on_error: Option<OnError>,
    /// The highest number of waiters.
    pub(crate) max_waiters: usize,
    /// The share of the limit from which on events are near-limit events.
    pub(crate) warn_at: Option<Share>,
    /// The penalty of clients that go on after refusals, if there is one.
    pub(super) penalty: Option<PenaltySettings>,
    pub(crate) request: RequestSettings,
}

impl Settings {
    /// Creates settings with [`FixedWindow`](crate::strategy::FixedWindow) and a cost of 1. Other settings default to
    /// those of the app.
    pub fn new() -> Self {
        Self {
            strategy: AnyStrategy::default(),
            cost: 1,
            backend: None,
            label: None,
            on_error: None,
            max_waiters: Self::DEFAULT_MAX_WAITERS,
            penalty: None,
            warn_at: None,
            request: RequestSettings::default(),
        }
    }

    /// Sets the strategy.
    pub fn strategy(self, strategy: impl Into<AnyStrategy>) -> Self {
        Self { strategy: strategy.into(), ..self }
    }

    /// Sets the cost of a request. A cost of 0 skips the limit.
    pub fn cost(self, cost: u64) -> Self {
        Self { cost, ..self }
    }

    /// Selects an additional backend by name. [`TraffikBuilder::backend`](crate::TraffikBuilder::backend) registers it.
    ///
    /// ```
    /// use traffik::{DefaultIdentity, MemoryBackend, Rate, Settings, Throttle, Traffik};
    ///
    /// /// A rough limit for each process. It is checked too often to call a server each time.
    /// struct Pings;
    ///
    /// impl Throttle for Pings {
    ///     const UID: &'static str = "api:pings";
    ///     const RATE: Rate = Rate::literal("2/s");
    ///     type Identity = DefaultIdentity;
    ///
    ///     fn settings() -> Settings {
    ///         Settings::new().backend("local")
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let redis = MemoryBackend::new("myapp");
    /// let local = MemoryBackend::new("myapp:local");
    /// let traffik = Traffik::builder(redis).backend("local", local.clone()).register::<Pings>().build()?;
    ///
    /// let _ = traffik.limiter::<Pings>("alice").check().await?;
    /// assert_eq!(local.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Throttles of one decision must share a backend: a tuple of throttles in different backends is a
    /// [`ConfigError::TwoBackends`](crate::ConfigError::TwoBackends). As separate arguments of a handler they are
    /// decided in order. If a later throttle refuses, the layer refunds the charges of the earlier ones.
    pub fn backend(self, name: &'static str) -> Self {
        Self { backend: Some(name), ..self }
    }

    /// Sets the name of the limit in metrics. Defaults to the uid of a throttle, and for a
    /// [limit that is a value](crate::Traffik::add_limit) to the part of its uid before the first colon.
    ///
    /// Limits that share a label share their series. So the metrics of an app with a limit for each tenant stay few:
    ///
    /// ```
    /// use traffik::Settings;
    ///
    /// let settings = Settings::new().label("tenants");
    /// ```
    ///
    /// [Events](crate::observe::Event), logs and [`Traffik::counts`](crate::Traffik::counts) have the uid of each limit.
    pub fn label(self, label: impl Into<Arc<str>>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// Sets what happens when the backend gives no answer. Defaults to the setting of the
    /// [app](crate::TraffikBuilder::on_error). Among throttles of one decision the strictest setting applies: see
    /// [`on_error`](crate::on_error).
    ///
    /// ```
    /// use traffik::{DefaultIdentity, Rate, Settings, Throttle, on_error::Refuse};
    ///
    /// /// Refuses password attempts while the store is away, whatever the app's setting is.
    /// struct Login;
    ///
    /// impl Throttle for Login {
    ///     const UID: &'static str = "auth:login";
    ///     const RATE: Rate = Rate::literal("5/min");
    ///     type Identity = DefaultIdentity;
    ///
    ///     fn settings() -> Settings {
    ///         Settings::new().on_error(Refuse)
    ///     }
    /// }
    /// ```
    pub fn on_error(self, on_error: impl Into<OnError>) -> Self {
        Self { on_error: Some(on_error.into()), ..self }
    }

    /// The default of [`max_waiters`](Self::max_waiters): 1 000.
    pub const DEFAULT_MAX_WAITERS: usize = 1000;

    /// Sets how many callers of this process may [wait](crate::Limiter::wait) for this throttle, for all clients together.
    /// Defaults to 1 000. A caller beyond that number is refused without waiting. With 0 no caller waits.
    ///
    /// ```
    /// use traffik::Settings;
    ///
    /// let settings = Settings::new().max_waiters(50);
    /// ```
    pub fn max_waiters(self, waiters: usize) -> Self {
        Self { max_waiters: waiters, ..self }
    }

    /// Sets the share of the limit from which on the events of admitted requests are
    /// [near-limit events](crate::observe::Event::is_near): above 0, and at most 1. Defaults to none.
    ///
    /// ```
    /// use traffik::Settings;
    ///
    /// // A client that has used 80 of 100 is near the limit.
    /// let settings = Settings::new().warn_at(0.8);
    /// ```
    ///
    /// The share is of the [capacity](crate::Limit::capacity), and exact to a millionth. A request that leaves the client at
    /// that share or above is near, whatever its own cost. A share out of range is a
    /// [`ConfigError::WarnAt`](crate::ConfigError::WarnAt) when the app is built.
    pub fn warn_at(self, share: f64) -> Self {
        Self { warn_at: Some(Share::new(share)), ..self }
    }

    /// Refuses a client for a time after a number of refusals in a row, which is at least 1. Defaults to none.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use traffik::Settings;
    ///
    /// // A minute after 20 refusals in a row.
    /// let settings = Settings::new().penalty(20, Duration::from_secs(60));
    /// ```
    ///
    /// A penalty is a [block](crate::control::LimitHandle::block): the backend is not asked, nothing is charged, and
    /// `retry_after` is the time until its end. It holds in all processes within two seconds.
    ///
    /// - Each process counts the refusals that it returned, whichever backend decided. An admission ends the row, and so does the
    ///   time at which the client might have been admitted.
    /// - Refusals by a dry run, by a block, or by another limit of a tuple do not count.
    /// - A penalty does not hold while the limit is disabled or in a dry run, and not for exempt clients.
    /// - [`Traffik::reset`](crate::Traffik::reset) ends it.
    /// - At most 10 000 clients of an app have penalties and other changes, and the refusals of at most 10 000 clients of a limit
    ///   are counted.
    ///
    /// A number or a time of 0 is a [`ConfigError::Setting`](crate::ConfigError::Setting).
    pub fn penalty(self, refusals: u32, time: Duration) -> Self {
        Self { penalty: Some(PenaltySettings { after: refusals, time, up_to: None }), ..self }
    }

    /// Sets a [`penalty`](Self::penalty) that is twice as long each time, up to `longest`. It is forgotten when no other follows
    /// for `longest`, which is at least `time`.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use traffik::Settings;
    ///
    /// // A minute, two, four, and at most an hour.
    /// let settings = Settings::new().doubling_penalty(20, Duration::from_secs(60), Duration::from_secs(3600));
    /// ```
    pub fn doubling_penalty(self, refusals: u32, time: Duration, longest: Duration) -> Self {
        Self { penalty: Some(PenaltySettings { after: refusals, time, up_to: Some(longest) }), ..self }
    }

    /// Puts the throttle into a dry run: it counts requests, and never rejects one. See the guide, `docs/rolling-out.md`.
    ///
    /// ```
    /// use traffik::Settings;
    ///
    /// let settings = Settings::new().dry_run();
    /// ```
    ///
    /// A request over the limit passes, without a charge, and its [event](crate::observe::Event) is
    /// [`WouldRefuse`](crate::observe::EventOutcome::WouldRefuse). The entries are those of the enforced limit: once the dry run
    /// ends, clients stand where they would stand.
    ///
    /// - In a tuple, the other throttles are enforced, and the request is charged for all that fit.
    /// - While the backend does not answer, the request passes, whatever [`on_error`](Self::on_error) says. So it does if the
    ///   identity, or a function for the cost or the rate, rejects it. A network that is [denied](Self::deny_networks) stays
    ///   denied.
    /// - No response shows the limit: it is in no field, no `detail` and no `violated-policies`, and never the
    ///   [tightest](crate::Limits::tightest) one, unless all limits are in a dry run.
    /// - Nothing waits for it: neither a request in a [queue](struct@crate::strategy::LeakyBucketWithQueue), nor a caller that
    ///   [waits](crate::Limiter::wait) for its turn. A [`Concurrency`](struct@crate::strategy::Concurrency) limit holds a permit
    ///   if there is one.
    ///
    /// An error in the setup, such as a backend that the app does not have, is an error as always. For all throttles of an app
    /// see [`TraffikBuilder::dry_run`](crate::TraffikBuilder::dry_run).
    pub fn dry_run(mut self) -> Self {
        self.request.is_dry_run = true;
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

/// A share of a limit: above 0, and at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share(f64);

/// Shares are compared in millionths, because `0.7 * 10.0` is above 7.
const MILLION: f64 = 1_000_000.0;

impl Share {
    pub(super) const fn new(share: f64) -> Self {
        Self(share)
    }

    /// Returns the number if it is no share.
    pub(super) fn out_of_range(self) -> Option<f64> {
        (!(self.0 > 0.0 && self.0 <= 1.0)).then_some(self.0)
    }

    /// Returns whether at least this share of `capacity` is used.
    pub(crate) fn is_used(self, remaining: u64, capacity: u64) -> bool {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to a million")]
        let share = (self.0 * MILLION).round() as u64;
        let used = capacity.saturating_sub(remaining);
        u128::from(used) * 1_000_000 >= u128::from(capacity) * u128::from(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_is_used_from_its_exact_number_on() {
        for (share, capacity, from) in
            [(0.8, 100, 80), (0.7, 10, 7), (0.1, 30, 3), (1.0, 5, 5), (0.5, 3, 2), (1e-9, 5, 0)]
        {
            let first = (0..=capacity).find(|used| Share::new(share).is_used(capacity - used, capacity));
            assert_eq!(first, Some(from), "{share} of {capacity}");
        }
        assert!(Share::new(0.9).is_used(0, u64::MAX) && !Share::new(0.9).is_used(u64::MAX / 2, u64::MAX));
    }

    #[test]
    fn share_is_above_0_and_at_most_1() {
        let is_out = |share| Share::new(share).out_of_range().is_some();
        assert_eq!([0.0, -0.5, 1.01, f64::NAN, f64::INFINITY].map(is_out), [true; 5]);
        assert_eq!([f64::MIN_POSITIVE, 0.5, 1.0].map(is_out), [false; 3]);
    }
}
