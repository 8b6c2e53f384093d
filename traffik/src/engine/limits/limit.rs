use std::{any::TypeId, cmp::Reverse, sync::Arc, time::Duration};

use traffik_core::{
    client::Client,
    clock::Timestamp,
    decision::{Amount, Hit, LimitStatus, Outcome},
    rate::Rate,
    strategy::{AnyStrategy, Strategy},
};

use super::Account;
use crate::{
    limit::{BackendIndex, Definition, LimitBackend, Throttle, changes::Block},
    observe::{EventFacts, EventOutcome},
    on_error::DecidedBy,
    request::Fields,
    store::{Lease, Store},
};

/// The result of a check for one limit and one client.
///
/// What remains is unlimited if nothing was counted: the client is exempt, the request has no cost, the rate is unlimited,
/// limits are [disabled](crate::Traffik::disabled), or [no backend answered](Self::is_unchecked).
#[derive(Clone, Debug)]
pub struct Limit {
    pub(in crate::engine) definition: Arc<Definition>,
    /// The backend of the throttle.
    pub(in crate::engine) backend: BackendIndex,
    pub(in crate::engine) client: Client,
    pub(in crate::engine) rate: Rate,
    /// The cost that the decision charged to the entry, if the strategy delays requests. Hits on one entry leave together.
    pub(in crate::engine) queued: u64,
    /// Whether the queue was full, so that only a request that need not wait was admitted.
    pub(in crate::engine) is_full: bool,
    /// The fields that show it.
    pub(in crate::engine) fields: Fields,
    pub(in crate::engine) outcome: Option<Outcome>,
    pub(in crate::engine) by: DecidedBy,
    /// The block of the client that refuses, if one does. No backend was asked then.
    pub(in crate::engine) block: Option<Arc<Block>>,
    /// The permit that it holds, if the strategy is `Concurrency`. The last clone gives it back.
    pub(in crate::engine) lease: Option<Arc<Lease>>,
    pub(in crate::engine) account: Account,
    pub(in crate::engine) facts: EventFacts,
}

impl Limit {
    /// Holds the permit that was charged until the last clone is dropped.
    #[cold]
    pub(in crate::engine) fn hold(&mut self) {
        let Some(outcome) = self.outcome.as_ref().filter(|outcome| outcome.admitted) else { return };
        if let (Some(store), Some(hit)) = (self.store(), self.hit(outcome.granted)) {
            let is_fallback = self.is_from_fallback();
            let held = self.definition.instruments.permit(self.definition.label(), store.label(), is_fallback);
            self.lease = Some(Arc::new(Lease::new(store, &self.definition.limit, &hit, outcome.at, held)));
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn fields(&self) -> Fields {
        self.fields
    }

    /// Returns the unique id of the throttle.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.definition.uid
    }

    /// Returns the rate of the decision.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Returns `true` if the cost fits, if nothing was counted, or if the throttle is in a [dry run](crate::Settings::dry_run).
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.outcome.as_ref().is_none_or(Outcome::lets_pass)
    }

    /// Returns `false` if the throttle is in a [dry run](crate::Settings::dry_run): it counts requests, and rejects none.
    #[must_use]
    pub fn is_enforced(&self) -> bool {
        self.facts.is_enforced
    }

    /// Returns `true` if the throttle would have rejected the request, were it not in a [dry run](crate::Settings::dry_run).
    #[must_use]
    pub fn would_refuse(&self) -> bool {
        match &self.outcome {
            Some(outcome) => !outcome.admitted && !outcome.enforced,
            None => self.facts.uncounted == EventOutcome::WouldRefuse,
        }
    }

    /// Returns `true` if an admitted decision charged it. A limit in a dry run is charged only if the cost fits.
    pub(crate) fn is_chargeable(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.admitted)
    }

    /// Returns `true` if responses may show it to clients.
    pub(crate) fn is_shown(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.enforced)
    }

    /// Returns `true` if the client is [blocked](crate::control::LimitHandle::block), which refuses without asking the backend.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.block.is_some()
    }

    /// Returns the reason of the block, if the client is blocked. No response shows it.
    #[must_use]
    pub fn block_reason(&self) -> Option<&str> {
        self.block.as_ref().map(|block| &*block.reason)
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
        matches!(self.by, DecidedBy::Unchecked | DecidedBy::DryRun)
    }

    /// Returns `true` if no response shows the limit to clients: it is [hidden](crate::Settings::hidden), or in a
    /// [dry run](crate::Settings::dry_run).
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.definition.settings.request.is_hidden || !self.is_enforced()
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
        if self.is_blocked() {
            return Amount::Units(0);
        }
        self.with_status(|status| status.remaining()).unwrap_or(Amount::Unlimited)
    }

    /// Returns the cost of the check for this limit alone, or 0 where nothing was counted. After the charge was
    /// [settled](crate::Permit::settle), it returns the actual cost.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.with_outcome(|outcome| outcome.granted).unwrap_or_default()
    }

    /// Returns how long until the refused request would be admitted, if the client sends no other request until then. In a
    /// [dry run](crate::Settings::dry_run), it is the wait of a request that would have been refused.
    ///
    /// Returns `None` if the limit had room, or if the cost [can never fit](Self::is_never_possible). For a client that is
    /// [blocked](Self::is_blocked), it is the time until the end of the block, or `None` if the block has no end.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if let Some(block) = &self.block {
            return block.until.zip(self.decided_at()).map(|(until, at)| until.saturating_since(at));
        }
        self.with_status(|status| status.retry_after())?
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

    /// Returns `true` if no wait helps: the cost is above the [capacity](Self::capacity), or the client is
    /// [blocked](Self::is_blocked) without an end.
    #[must_use]
    pub fn is_never_possible(&self) -> bool {
        if let Some(block) = &self.block {
            return block.until.is_none();
        }
        self.with_status(|status| status.is_never_possible()).unwrap_or_default()
    }

    /// Returns how long until more remains than now, or `None` if nothing is used.
    #[must_use]
    pub fn more_after(&self) -> Option<Duration> {
        if self.is_blocked() {
            return self.retry_after();
        }
        self.with_status(|status| status.more_after())?
    }

    /// Returns what remains, and how long until more does. The time at which a permit is dropped is unknown.
    pub(crate) fn state(&self) -> (Amount, Option<Duration>) {
        if self.is_blocked() {
            return (Amount::Units(0), self.retry_after());
        }
        let state = self.with_status(|status| {
            let remaining = status.remaining();
            (remaining, if self.definition.is_held { None } else { status.more_after_than(remaining) })
        });
        state.unwrap_or((Amount::Unlimited, None))
    }

    /// Returns how long until nothing is used any more.
    #[must_use]
    pub fn reset_after(&self) -> Duration {
        if self.is_blocked() {
            return self.retry_after().unwrap_or_default();
        }
        self.with_status(|status| status.reset_after()).unwrap_or_default()
    }

    /// Returns the time of the decision by the backend's clock, or `None` if the request was not counted.
    #[must_use]
    pub fn decided_at(&self) -> Option<Timestamp> {
        self.outcome.as_ref().map(|outcome| outcome.at)
    }

    /// Returns the time of the decision, or of the latest change of the charge, and whether there was a change.
    pub(crate) fn changed_at(&self) -> Option<(Timestamp, bool)> {
        let decided = self.outcome.as_ref()?;
        Some(self.account.with_latest(|latest| latest.map_or((decided.at, false), |latest| (latest.at, true))))
    }

    pub(super) fn is_of<T: Throttle>(&self) -> bool {
        self.definition.type_id == TypeId::of::<T>()
    }

    /// Returns the backend of the throttle, also if another one decided.
    pub(crate) fn primary(&self) -> Option<&LimitBackend> {
        self.definition.backends.get(self.backend)
    }

    /// Returns `true` if both are of one throttle, client and backend.
    pub(crate) fn is_of_same_entry(&self, other: &Self) -> bool {
        self.is_of_entry(&other.definition, &other.client, other.backend)
    }

    pub(crate) fn is_of_entry(&self, definition: &Arc<Definition>, client: &Client, backend: BackendIndex) -> bool {
        self.definition.has_entry_of(self.backend, definition, backend) && self.client == *client
    }

    /// Returns the store of the charge.
    pub(crate) fn store(&self) -> Option<&Arc<Store>> {
        match &self.by {
            DecidedBy::Fallback(fallback) => Some(&fallback.store),
            DecidedBy::Primary | DecidedBy::Unchecked | DecidedBy::DryRun => {
                self.primary().map(|backend| &backend.store)
            }
            DecidedBy::Connection(..) => None,
        }
    }

    pub(crate) fn is_tighter_than(&self, other: &Self) -> bool {
        let tightness = |limit: &Self| {
            let wait = if limit.is_never_possible() { Some(Duration::MAX) } else { limit.retry_after() };
            // A dry run limits no request.
            (Reverse(limit.is_enforced()), Reverse(wait), limit.remaining(), Reverse(limit.more_after()))
        };
        tightness(self) < tightness(other)
    }

    pub(in crate::engine) fn hit(&self, cost: u64) -> Option<Hit<'_>> {
        self.client.key().map(|key| Hit::new(self.definition.limit(self.is_full), key, self.rate, cost))
    }

    fn with_status<R>(&self, read: impl FnOnce(LimitStatus<'_>) -> R) -> Option<R> {
        self.with_outcome(|outcome| read(LimitStatus::new(self.strategy(), self.rate, outcome)))
    }

    /// Calls `read` with the latest outcome of the charge.
    #[inline]
    fn with_outcome<R>(&self, read: impl FnOnce(&Outcome) -> R) -> Option<R> {
        let decided = self.outcome.as_ref()?;
        Some(self.account.with_latest(|latest| read(latest.unwrap_or(decided))))
    }

    /// Returns the strategy that decided.
    #[inline]
    pub(super) fn strategy(&self) -> &AnyStrategy {
        self.definition.limit(self.is_full).strategy()
    }

    pub(super) fn is_held(&self) -> bool {
        self.lease.is_some()
    }

    /// Returns `true` if it holds a permit that no clone holds.
    pub(crate) fn is_held_alone(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| Arc::strong_count(lease) == 1)
    }

    /// Returns a copy that holds no permit, and does not change with the charge.
    pub(crate) fn snapshot(&self) -> Self {
        Self { lease: None, ..self.clone() }
    }

    /// Gives the permit back, even if clones hold it too. Returns `true` if there was one.
    pub(crate) fn leave(&self) -> bool {
        self.lease.as_ref().inspect(|lease| lease.give_back()).is_some()
    }

    pub(crate) fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }
}
