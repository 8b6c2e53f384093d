//! The path of every request that meets a throttle: resolve, decide, record, and wait for the turn.

use std::{sync::Arc, time::Duration};

use axum::http::request::Parts;
use smallvec::SmallVec;
use traffik_core::{backend::MaybeReady, clock::AnyClock};

use super::{
    RequestContext, Site,
    rejection::{Limited, Misconfigured, Raised, ThrottleRejection, Unavailable},
};
use crate::{
    engine::{Check, CheckResult, Checks, Error, Failed, Limit, Limits, decide, put_in_force, resolve},
    limit::{ConfigError, Definition, QueueSlot},
    observe::Held,
};

/// Checks a request: resolves its throttles, decides, and waits for its turn if a throttle has a queue.
#[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
pub(super) fn check_request<L, S>(
    sought: L,
    parts: &mut Parts,
    state: &S,
    site: &Site,
) -> impl Future<Output = Result<Limits, ThrottleRejection>> + Send
where
    L: Sought<S>,
    S: Send + Sync,
{
    async move {
        if let Err(error) = site.check() {
            return Err(ThrottleRejection::from(Misconfigured::from(error)).for_request(parts));
        }
        let Some(context) = RequestContext::of(parts) else {
            return Err(ThrottleRejection::from(Misconfigured::no_state()).for_request(parts));
        };
        let found = sought.find(&context, parts).map_err(|rejection| rejection.for_request(parts))?;
        let begun = match L::checks(&found, &context, site, parts, state).await {
            Ok(mut checks) => begin(&mut checks, &context, site),
            Err(rejection) => Err(rejection),
        };
        let (slots, decided) = begun.map_err(|rejection| rejection.for_request(parts))?;
        let limits =
            context.record(resolve!(decided), site, parts).map_err(|rejection| rejection.for_request(parts))?;
        if let Some(slots) = slots {
            slots.turn(&limits, context.traffik().clock()).await;
        }
        Ok(limits)
    }
}

/// The limits that a request is checked against.
pub(super) trait Sought<S>: Send {
    /// What was found of them, for as long as the request is checked.
    type Found: Send + Sync;

    fn find(self, context: &RequestContext, parts: &Parts) -> Result<Self::Found, ThrottleRejection>;

    /// Resolves each limit.
    fn checks<'a>(
        found: &'a Self::Found,
        context: &'a RequestContext,
        site: &Site,
        parts: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<Checks<'a>, ThrottleRejection>> + Send;
}

/// Puts the changes in force, reserves slots and starts the decision.
///
/// The checks are of no use after it. This is separate from the future above, which would keep them until the decision is made.
pub(super) fn begin<'a>(
    checks: &mut Checks<'a>,
    context: &RequestContext,
    site: &Site,
) -> Result<(Option<QueueSlots>, MaybeReady<'a, CheckResult>), ThrottleRejection> {
    context.check_refunds(checks, site)?;
    let changes = context.traffik().changes();
    if let Some(refusal) = context.live().and_then(|live| put_in_force(live, changes, checks)) {
        return Ok((None, MaybeReady::Ready(Ok(refusal))));
    }
    let slots = QueueSlots::reserve(checks, context.traffik().clock());
    Ok((slots, decide(checks)))
}

impl RequestContext {
    /// Records the limits of a decision.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request that was refused or could not be decided.
    fn record(&self, decided: CheckResult, site: &Site, parts: &Parts) -> Result<Limits, ThrottleRejection> {
        let limits = decided.map_err(|failed| self.failed(*failed, Some(parts)))?;
        self.ledger().record(&limits, |definition| site.refund_if(definition));
        limits.observe(Some(parts));
        self.admitted(limits)
    }

    /// Records the limits of a check that a handler made.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request that was refused or could not be decided.
    pub(super) fn record_check(
        &self,
        decided: CheckResult,
        parts: Option<&Parts>,
    ) -> Result<Limits, ThrottleRejection> {
        let limits = decided.map_err(|failed| self.failed(*failed, parts))?;
        self.ledger().record_check(&limits);
        limits.observe(parts);
        self.admitted(limits)
    }

    #[inline]
    fn admitted(&self, limits: Limits) -> Result<Limits, ThrottleRejection> {
        if limits.is_admitted() { Ok(limits) } else { Err(Limited::new(limits, self.clone()).into()) }
    }

    /// Returns the limits of checks, and charges nothing.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request about which the backend gives no answer.
    pub(super) async fn peek(&self, checks: Checks<'_>) -> Result<Limits, ThrottleRejection> {
        let definitions = checks.iter().map(|check| Arc::clone(check.definition)).collect();
        self.traffik().look(checks).await.map_err(|error| self.reject(error, definitions))
    }

    /// Checks whether the response can refund the throttles that it may have to.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request whose response does not pass the layer.
    #[inline]
    pub(super) fn check_refunds(&self, checks: &Checks<'_>, site: &Site) -> Result<(), ThrottleRejection> {
        match checks.iter().find(|check| site.may_refund(check.definition)) {
            Some(check) => self.check_refund(check.definition).map_err(|error| Misconfigured::from(error).into()),
            None => Ok(()),
        }
    }

    #[cold]
    fn check_refund(&self, definition: &Definition) -> Result<(), ConfigError> {
        if !self.ledger().is_watched() {
            return Err(definition
                .refund_if("the response passes no `traffik.layer()`: add it to the router, after the routes"));
        }
        definition.check_refunds()
    }

    #[cold]
    fn failed(&self, failed: Failed, parts: Option<&Parts>) -> ThrottleRejection {
        failed.observe(parts);
        let definitions = failed.definitions();
        self.reject(failed.error, definitions)
    }

    #[cold]
    fn reject(&self, error: Error, definitions: Vec<Arc<Definition>>) -> ThrottleRejection {
        let (error, retry_after) = match error {
            Error::Config(error) => return Misconfigured::from(error).into(),
            Error::Raised(error) => return Raised::new(error, self.clone()).into(),
            Error::Backend(error) => (Arc::new(error), Unavailable::RETRY_AFTER),
            Error::Refused { error, retry_after } => (error, retry_after),
        };
        Unavailable::new(error, retry_after, definitions, self.clone()).into()
    }
}

/// The slots of a request in the queues of its throttles, each with the index of its check.
///
/// Boxed, because few requests have any, and every handler's future contains it.
pub(super) struct QueueSlots(Box<SmallVec<[(usize, Arc<QueueSlot>); 1]>>);

impl QueueSlots {
    /// Reserves a slot in the queue of each throttle that has one. Without a free slot, the request is admitted only if
    /// it need not wait.
    ///
    /// Slots are reserved before the backend is called, so a request that cannot be held is not charged.
    #[inline]
    fn reserve(checks: &mut Checks<'_>, clock: &AnyClock) -> Option<Self> {
        if checks.iter().all(|check| check.definition.queue.is_none()) {
            return None;
        }
        let slots = checks.iter_mut().enumerate().filter_map(|(i, check)| Some((i, reserve_slot(check, clock)?)));
        Some(Self(Box::new(slots.collect()))).filter(|slots| !slots.0.is_empty())
    }

    /// Waits until the turn of an admitted request. A request that is dropped meanwhile frees its slots. Slots that the
    /// request does not need are freed immediately.
    pub(super) async fn turn(mut self, limits: &Limits, clock: &AnyClock) {
        let delay = |place: usize| limits.iter().nth(place).map_or(Duration::ZERO, |limit| limit.delay());
        self.0.retain(|(place, _)| delay(*place) > Duration::ZERO);
        let Some(longest) = self.0.iter().map(|(place, _)| delay(*place)).max() else { return };
        let turn = clock.now().saturating_add(longest);
        self.0.iter().for_each(|(_, slot)| slot.keep_until(turn));
        let queued = |limit: &Limit| limit.definition().instruments.queued(limit.definition().label());
        let held: Box<[Held]> = self.0.iter().filter_map(|(place, _)| limits.iter().nth(*place).map(queued)).collect();
        let sleep = clock.sleep(longest);
        Box::pin(async move {
            sleep.await;
            drop(held);
        })
        .await;
    }
}

#[cold]
fn reserve_slot(check: &mut Check<'_>, clock: &AnyClock) -> Option<Arc<QueueSlot>> {
    let queue = check.definition.queue.as_ref().filter(|_| check.is_counted() && check.enforced && !check.is_full)?;
    // The backend decides within its timeout, or the decision fails.
    let timeout = check.store().map_or(Duration::ZERO, |store| store.timeout());
    let now = clock.now();
    let slot = queue.reserve_slot(now, now.saturating_add(timeout));
    check.is_full = slot.is_none();
    if check.is_full && queue.full.is_due(now) {
        tracing::warn!(
            uid = &*check.definition.uid,
            max_held = queue.max(),
            "the queue of this throttle is full: requests that would have to wait are refused"
        );
    }
    slot
}
