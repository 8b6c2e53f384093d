use std::{any::TypeId, cmp::Reverse, sync::Arc, time::Duration};

use traffik_core::{
    client::Client,
    clock::Timestamp,
    decision::{Amount, Charge, Hit, LimitStatus, Outcome},
    rate::Rate,
    strategy::{AnyStrategy, StoredState, Strategy},
};

use crate::{
    limit::{Definition, Throttle},
    on_error::DecidedBy,
    store::{Lease, Store},
};

/// The result of a check for one limit and one client.
///
/// What remains is unlimited if nothing was counted: the client is exempt, the request has no cost, the rate is unlimited,
/// limits are [disabled](crate::Traffik::disabled), or [no backend answered](Self::is_unchecked).
#[derive(Clone, Debug)]
pub struct Limit {
    pub(in crate::engine) definition: Arc<Definition>,
    pub(in crate::engine) client: Client,
    pub(in crate::engine) rate: Rate,
    /// The cost that the decision charged to the entry, if the strategy delays requests. Hits on one entry leave together.
    pub(in crate::engine) queued: u64,
    /// Whether the queue was full, so that only a request that need not wait was admitted.
    pub(in crate::engine) is_full: bool,
    pub(in crate::engine) outcome: Option<Outcome>,
    pub(in crate::engine) by: DecidedBy,
    /// The permit that it holds, if the strategy is `Concurrency`. The last clone gives it back.
    pub(in crate::engine) lease: Option<Arc<Lease>>,
}

impl Limit {
    /// Holds the permit that was charged until the last clone is dropped.
    #[cold]
    pub(in crate::engine) fn hold(&mut self) {
        if let (Some(store), Some(outcome), Some(hit)) = (self.store(), &self.outcome, self.hit()) {
            self.lease = Some(Arc::new(Lease::new(store, &self.definition.limit, &hit, outcome.at)));
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the unique id of the throttle.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.definition.uid
    }

    /// Returns the rate of the decision.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Returns `true` if the cost fits, or if nothing was counted.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.outcome.as_ref().is_none_or(|outcome| outcome.admitted)
    }

    /// Returns `true` if the request was counted.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.outcome.is_some()
    }

    /// Returns `true` if a fallback decided, because the throttle's backend did not answer: see
    /// [`on_error`](crate::on_error).
    #[must_use]
    pub fn is_from_fallback(&self) -> bool {
        matches!(self.by, DecidedBy::Fallback(_))
    }

    /// Returns `true` if the request was admitted without an answer of a backend: see [`on_error`](crate::on_error).
    #[must_use]
    pub fn is_unchecked(&self) -> bool {
        matches!(self.by, DecidedBy::Unchecked)
    }

    /// Returns the highest cost that a single request can have: the limit of the rate, or the size of a bucket.
    #[must_use]
    pub fn capacity(&self) -> Amount {
        if self.rate.is_unlimited() {
            return Amount::Unlimited;
        }
        Amount::Units(self.strategy().capacity(self.rate))
    }

    /// Returns the highest cost that would be admitted now. [`Amount::Unlimited`] if nothing was
    /// [counted](Self::is_counted).
    ///
    /// It shows as a number or as `unlimited`: `format!("{} left", limit.remaining())`.
    #[must_use]
    pub fn remaining(&self) -> Amount {
        self.status().map_or(Amount::Unlimited, |status| status.remaining())
    }

    /// Returns the cost of the check for this limit alone, or 0 where nothing was counted.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.outcome.as_ref().map_or(0, |outcome| outcome.granted)
    }

    /// Returns how long until the refused request would be admitted, if the client sends no other request until then.
    ///
    /// Returns `None` if the request was admitted, or if it [can never fit](Self::is_never_possible).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.status()?.retry_after()
    }

    /// Returns how long to hold the request, from the time of the decision: see
    /// [`LeakyBucketWithQueue`](struct@crate::strategy::LeakyBucketWithQueue). Zero if nothing was charged.
    #[must_use]
    pub fn delay(&self) -> Duration {
        match &self.outcome {
            Some(Outcome { past, at, .. }) if self.queued > 0 => {
                self.strategy().delay(past.as_ref(), self.rate, self.queued, *at)
            }
            _ => Duration::ZERO,
        }
    }

    /// Returns `true` if the cost is above the [capacity](Self::capacity), so that no wait helps.
    #[must_use]
    pub fn is_never_possible(&self) -> bool {
        self.status().is_some_and(|status| status.is_never_possible())
    }

    /// Returns how long until more remains than now, or `None` if nothing is used.
    #[must_use]
    pub fn more_after(&self) -> Option<Duration> {
        self.status()?.more_after()
    }

    /// Returns what remains, and how long until more does. The time at which a permit is dropped is unknown.
    pub(crate) fn state(&self) -> (Amount, Option<Duration>) {
        let Some(status) = self.status() else { return (Amount::Unlimited, None) };
        let remaining = status.remaining();
        (remaining, if self.definition.is_held { None } else { status.more_after_than(remaining) })
    }

    /// Returns how long until nothing is used any more.
    #[must_use]
    pub fn reset_after(&self) -> Duration {
        self.status().map_or(Duration::ZERO, |status| status.reset_after())
    }

    /// Returns the time of the decision by the backend's clock, or `None` if the request was not counted.
    #[must_use]
    pub fn decided_at(&self) -> Option<Timestamp> {
        self.outcome.as_ref().map(|outcome| outcome.at)
    }

    pub(super) fn is_of<T: Throttle>(&self) -> bool {
        self.definition.type_id == TypeId::of::<T>()
    }

    /// Returns the store of the charge.
    pub(crate) fn store(&self) -> Option<&Arc<Store>> {
        match &self.by {
            DecidedBy::Fallback(fallback) => Some(&fallback.store),
            DecidedBy::Primary | DecidedBy::Unchecked => self.definition.store.as_ref(),
        }
    }

    pub(crate) fn is_tighter_than(&self, other: &Self) -> bool {
        let tightness = |limit: &Self| {
            let wait = if limit.is_never_possible() { Some(Duration::MAX) } else { limit.retry_after() };
            (Reverse(wait), limit.remaining(), Reverse(limit.more_after()))
        };
        tightness(self) < tightness(other)
    }

    /// Returns the charge, to give it back. Ends the lease of a permit.
    pub(crate) fn charge(&self) -> Option<Charge<'_>> {
        let charged_at = match (&self.lease, &self.outcome) {
            (Some(lease), _) => lease.end()?,
            (None, outcome) => outcome.as_ref()?.at,
        };
        Some(Charge::new(self.hit()?, charged_at))
    }

    fn hit(&self) -> Option<Hit<'_>> {
        self.client.key().map(|key| Hit::new(self.definition.limit(self.is_full), key, self.rate, self.cost()))
    }

    fn status(&self) -> Option<LimitStatus<'_>> {
        self.outcome.as_ref().map(|outcome| LimitStatus::new(self.strategy(), self.rate, outcome))
    }

    /// Returns the strategy that decided.
    #[inline]
    fn strategy(&self) -> &AnyStrategy {
        self.definition.limit(self.is_full).strategy()
    }
}

impl Limit {
    pub(super) fn is_held(&self) -> bool {
        self.lease.is_some()
    }

    /// Returns `true` if it holds a permit that no clone holds.
    pub(crate) fn is_held_alone(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| Arc::strong_count(lease) == 1)
    }

    /// Gives the permit back, even if clones hold it too. Returns `true` if there was one.
    pub(crate) fn leave(&self) -> bool {
        self.lease.as_ref().inspect(|lease| lease.give_back()).is_some()
    }

    pub(crate) fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// Shows the limit as it is after a refund, as far as this process knows.
    pub(crate) fn give_back(&mut self) {
        self.queued = 0;
        let strategy = self.definition.limit(self.is_full).strategy();
        let Some(Outcome { past, at, granted, .. }) = &mut self.outcome else { return };
        *past = past
            .take()
            .map(|known| StoredState { rate: known.rate, state: strategy.refund(known, *granted, *at, *at) });
    }
}
