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

/// One limit, and how a client stands with it after a decision.
///
/// Where nothing was counted, because the client is exempted, the request costs nothing, the rate is unlimited, limits are
/// [disabled](crate::Traffik::disabled) or [no backend answered](Self::is_unchecked), what remains is unlimited.
#[derive(Clone, Debug)]
pub struct Limit {
    pub(in crate::engine) definition: Arc<Definition>,
    pub(in crate::engine) client: Client,
    pub(in crate::engine) rate: Rate,
    /// What the decision charged to its entry in all, if its strategy delays: hits on one entry go on together.
    pub(in crate::engine) queued: u64,
    /// Whether it admitted only what goes on at once, since as many requests were held as may be.
    pub(in crate::engine) is_full: bool,
    pub(in crate::engine) outcome: Option<Outcome>,
    pub(in crate::engine) by: DecidedBy,
    /// The place that it holds, if its strategy is about how many at once. It is given back with the last that has it.
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

    /// The throttle's unique id.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.definition.uid
    }

    /// The rate that was asked about.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether it had room.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.outcome.as_ref().is_none_or(|outcome| outcome.admitted)
    }

    /// Whether the request was counted at all.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.outcome.is_some()
    }

    /// Whether another backend decided than the throttle's own, which gave no answer: see [`on_error`](crate::on_error).
    #[must_use]
    pub fn is_from_fallback(&self) -> bool {
        matches!(self.by, DecidedBy::Fallback(_))
    }

    /// Whether the request was let through although no backend gave an answer: see [`on_error`](crate::on_error).
    #[must_use]
    pub fn is_unchecked(&self) -> bool {
        matches!(self.by, DecidedBy::Unchecked)
    }

    /// Returns the highest cost of a single request that it ever admits: the limit of the rate, or the size of a bucket.
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

    /// How long until the refused request would be admitted, if the client sends no other until then.
    ///
    /// Nothing, if the limit had room, or if the request [can never fit](Self::is_never_possible).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.status()?.retry_after()
    }

    /// How long the request has to be held before it goes on, from when it was decided: see
    /// [`LeakyBucketWithQueue`](struct@crate::strategy::LeakyBucketWithQueue). Zero where nothing was charged.
    #[must_use]
    pub fn delay(&self) -> Duration {
        match &self.outcome {
            Some(Outcome { past, at, .. }) if self.queued > 0 => {
                self.strategy().delay(past.as_ref(), self.rate, self.queued, *at)
            }
            _ => Duration::ZERO,
        }
    }

    /// Whether the request costs more than the limit can ever hold.
    #[must_use]
    pub fn is_never_possible(&self) -> bool {
        self.status().is_some_and(|status| status.is_never_possible())
    }

    /// How long until more remains than now. Nothing, if nothing is used.
    #[must_use]
    pub fn more_after(&self) -> Option<Duration> {
        self.status()?.more_after()
    }

    /// What remains, and how long until more does. A permit is free when a client leaves, so that nothing is known of the time.
    pub(crate) fn state(&self) -> (Amount, Option<Duration>) {
        let Some(status) = self.status() else { return (Amount::Unlimited, None) };
        let remaining = status.remaining();
        (remaining, if self.definition.is_held { None } else { status.more_after_than(remaining) })
    }

    /// How long until all of it remains again.
    #[must_use]
    pub fn reset_after(&self) -> Duration {
        self.status().map_or(Duration::ZERO, |status| status.reset_after())
    }

    /// When it was decided, by the backend's clock, if the request was counted.
    #[must_use]
    pub fn decided_at(&self) -> Option<Timestamp> {
        self.outcome.as_ref().map(|outcome| outcome.at)
    }

    pub(super) fn is_of<T: Throttle>(&self) -> bool {
        self.definition.type_id == TypeId::of::<T>()
    }

    /// Where it is kept.
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

    /// What the charge is given back by, if there was one. A permit that is held is given up.
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

    /// By which it was decided.
    #[inline]
    fn strategy(&self) -> &AnyStrategy {
        self.definition.limit(self.is_full).strategy()
    }
}

impl Limit {
    pub(super) fn is_held(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether it holds a place, and no clone does.
    pub(crate) fn is_held_alone(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| Arc::strong_count(lease) == 1)
    }

    /// Gives up the place that it holds, whoever else has it. Whether it holds any.
    pub(crate) fn leave(&self) -> bool {
        self.lease.as_ref().inspect(|lease| lease.give_back()).is_some()
    }

    pub(crate) fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// Tells it as it is once its charge was given back, as far as is known here.
    pub(crate) fn give_back(&mut self) {
        self.queued = 0;
        let strategy = self.definition.limit(self.is_full).strategy();
        let Some(Outcome { past, at, granted, .. }) = &mut self.outcome else { return };
        *past = past
            .take()
            .map(|known| StoredState { rate: known.rate, state: strategy.refund(known, *granted, *at, *at) });
    }
}
