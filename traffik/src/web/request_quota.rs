use std::fmt;

use super::{
    Limiter, ThrottleRejection,
    limiter_checks::{LimiterChecks, decide, peek, with_head},
    rejection::Misconfigured,
};
use crate::{
    engine::{Limits, Permit, Quota, QuotaPart},
    limit::{ConfigError, Throttles},
};

/// Charges of a request to several throttles and clients, which are one decision.
///
/// It is a [`Quota`] of the [limiters](Limiter) of a handler, so its charges are part of the request: the RateLimit fields show
/// them, a later refusal gives them back, and [`Settings::refund_if`](crate::Settings::refund_if) applies. A refusal is the
/// rejection of an argument [`Throttled`](crate::Throttled), so `?` refuses the request.
///
/// ```
/// use axum::{Router, extract::Path, routing::post};
/// use traffik::{DefaultIdentity, Limiter, MemoryBackend, Rate, RequestQuota, Throttle, ThrottleRejection, Traffik};
///
/// struct Reports;
///
/// impl Throttle for Reports {
///     const UID: &'static str = "request_quota:reports";
///     const RATE: Rate = Rate::literal("10/hour");
///     type Identity = DefaultIdentity;
/// }
///
/// struct Rows;
///
/// impl Throttle for Rows {
///     const UID: &'static str = "request_quota:rows";
///     const RATE: Rate = Rate::literal("1000000/day");
///     type Identity = DefaultIdentity;
/// }
///
/// /// The report counts for the client, and its rows count for the whole team.
/// async fn report(
///     reports: Limiter<Reports>,
///     rows: Limiter<Rows>,
///     Path(team): Path<u64>,
/// ) -> Result<String, ThrottleRejection> {
///     let mut quota = RequestQuota::new();
///     quota.add(reports);
///     let rows = quota.add(rows.client(("team", team)).cost(5000));
///     let permit = quota.check().await?;
///     // The report had fewer rows.
///     if let Some(rows) = permit.part(&rows) {
///         drop(rows.settle(1200));
///     }
///     Ok("a report".to_owned())
/// }
///
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let app: Router = Router::new().route("/reports/{team}", post(report)).layer(traffik.layer());
/// # Ok::<(), traffik::ConfigError>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "a quota has no effect until it is checked"]
pub struct RequestQuota {
    limiters: Vec<LimiterChecks>,
    error: Option<ConfigError>,
}

impl RequestQuota {
    /// Creates an empty quota.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a charge: the throttles, the client, the cost and the rate of a limiter. Charges of one throttle to one client add
    /// up.
    ///
    /// A limiter of another app, and one that [waits](Limiter::wait), are errors of [`check`](Self::check) and
    /// [`peek`](Self::peek).
    pub fn add<T: Throttles>(&mut self, limiter: Limiter<T>) -> QuotaPart<T> {
        let limiter = limiter.checks;
        let is_of_another_app = |first: &LimiterChecks| !first.context.traffik().is(limiter.context.traffik());
        if self.limiters.first().is_some_and(is_of_another_app) {
            self.error.get_or_insert(ConfigError::OtherApp);
        }
        if limiter.options.wait.is_some() {
            self.error.get_or_insert(ConfigError::WaitingQuota);
        }
        let start = self.limiters.iter().map(LimiterChecks::len).sum();
        let part = QuotaPart::new(start..start + limiter.len(), limiter.clients().cloned().collect());
        self.limiters.push(limiter);
        part
    }

    /// Returns the limits, and charges nothing.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request whose client is not known, or about which the backend gives no answer. Returns an
    /// error if nothing was added.
    pub async fn peek(&self) -> Result<Limits, ThrottleRejection> {
        self.check_setup()?;
        peek(&self.limiters).await
    }

    /// Makes all charges, or none.
    ///
    /// A request that a limit [delays](struct@crate::LeakyBucketWithQueue) waits for its turn here.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a client that is over a limit; then nothing is charged. Returns the rejection of a request that
    /// could not be decided: because nothing was added, the throttles are in several backends, or the backend does not answer.
    pub async fn check(self) -> Result<Permit<Quota>, ThrottleRejection> {
        self.check_setup()?;
        decide(&self.limiters).await.map(Permit::new)
    }

    fn check_setup(&self) -> Result<(), ThrottleRejection> {
        let rejected = |error| Err(with_head(Misconfigured::from(error).into(), &self.limiters));
        self.error.clone().map_or(Ok(()), rejected)
    }
}

impl fmt::Debug for RequestQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients: Vec<_> =
            self.limiters.iter().map(LimiterChecks::clients).map(Iterator::collect::<Vec<_>>).collect();
        f.debug_struct("RequestQuota").field("clients", &clients).field("error", &self.error).finish_non_exhaustive()
    }
}
