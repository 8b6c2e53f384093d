//! Puts the changes of an app in force, just before a decision.

use std::sync::Arc;

use smallvec::SmallVec;
use traffik_core::{EXEMPTED, backend::MaybeReady, clock::Timestamp};

use super::{Check, CheckResult, Checks, Limits, decide::decide};
use crate::{
    limit::changes::{Block, Changes, Live},
    observe::EventOutcome,
    store::HITS_INLINE,
};

/// The block of each check, or `None`.
pub(super) type Blocks = SmallVec<[Option<Arc<Block>>; HITS_INLINE]>;

/// Puts one snapshot in force, and starts the decision.
#[inline]
pub(crate) fn decide_in_force<'a>(changes: &Changes, mut checks: Checks<'a>) -> MaybeReady<'a, CheckResult> {
    match changes.live().and_then(|live| put_in_force(&live, changes, &mut checks)) {
        Some(refusal) => MaybeReady::Ready(Ok(refusal)),
        None => decide(checks),
    }
}

/// Puts a snapshot in force. Returns the refusal of a client that is blocked.
#[cold]
pub(crate) fn put_in_force(live: &Live, changes: &Changes, checks: &mut Checks<'_>) -> Option<Limits> {
    let now = changes.clock().now();
    let blocks: Blocks = checks.iter_mut().map(|check| check.put_in_force(live, now)).collect();
    let is_blocked = blocks.iter().any(Option::is_some);
    is_blocked.then(|| Limits::blocked(checks.clone(), blocks, now))
}

impl Check<'_> {
    /// Returns the block of the client, if there is one.
    fn put_in_force(&mut self, live: &Live, now: Timestamp) -> Option<Arc<Block>> {
        // What was charged before stays, and what does not apply stays free.
        let client = self.client.key().filter(|_| self.charged_before.is_none())?;
        let limit = live.of(&self.definition.uid);
        if let Some(fields) = limit.fields().filter(|_| !self.definition.settings.request.is_hidden) {
            self.fields = fields;
        }
        if let Some(block) = limit.block(client, now) {
            return Some(Arc::clone(block));
        }
        if limit.is_off() {
            *self = Self::skipped(self.definition, EventOutcome::Disabled);
            return None;
        }
        if limit.is_exempt(client, now) {
            self.client = EXEMPTED;
            return None;
        }
        self.enforced = limit.dry_run().map_or(self.enforced, |dry_run| !dry_run);
        if let Some(penalty) = limit.penalty(client, now).filter(|_| self.enforced) {
            return Some(Arc::clone(penalty));
        }
        let base = if self.own.rate { None } else { limit.base_rate() };
        let rates = [limit.rate_of(client, now), limit.rate(), base];
        // A rate that came from elsewhere was not checked if the throttle was not known then.
        let rate = rates.into_iter().flatten().find(|rate| self.definition.check_rate(*rate).is_ok());
        self.rate = rate.unwrap_or(self.rate);
        // A function or a caller that says 0 does not count the request.
        self.cost = match self.cost {
            0 if self.own.cost => 0,
            cost => limit.cost().or(if self.own.cost { None } else { limit.base_cost() }).unwrap_or(cost),
        };
        None
    }
}
