use std::{num::NonZeroU64, sync::Arc};

use traffik_core::{
    backend::{Answer, BackendError},
    decision::{Decision, Hit},
    rate::Rate,
    strategy::{AnyStrategy, Strategy},
};

use super::{Decided, DecidedBy, Fallback, budget::Budget, decided::check_complete, refusals::Refusals};
use crate::store::{HITS_INLINE, Store};

/// The backend that decides while the primary does not answer.
#[derive(Debug)]
pub(crate) struct FallbackBackend {
    pub(crate) store: Arc<Store>,
    share: NonZeroU64,
    refusals: Refusals,
}

/// Hits at this process's share of their rates.
type Shares<'a> = smallvec::SmallVec<[Hit<'a>; HITS_INLINE]>;

impl FallbackBackend {
    /// Calls that no request waits for have the timeout of the primary.
    pub(super) fn new(fallback: Fallback, primary: &Store) -> Self {
        let Fallback { backend, share } = fallback;
        Self { store: Arc::new(primary.standby(backend)), share, refusals: Refusals::default() }
    }

    /// Starts a decision about this process's share of each limit.
    pub(super) fn start(&self, hits: &[Hit<'_>]) -> Answer<'_, Decision> {
        self.store.decide(&self.shares(hits))
    }

    /// Receives a decision, and remembers refusals.
    pub(super) async fn receive(
        self: &Arc<Self>,
        hits: &[Hit<'_>],
        answer: Answer<'_, Decision>,
        budget: Budget<'_>,
    ) -> Result<Decided, BackendError> {
        self.conclude(hits, budget.hold(answer).await?)
    }

    pub(super) fn conclude(self: &Arc<Self>, hits: &[Hit<'_>], decision: Decision) -> Result<Decided, BackendError> {
        let decided = self.decided(hits, decision)?;
        let admitted = decided.decision.is_admitted();
        if !admitted {
            self.refusals.remember(&self.shares(hits), &decided.decision, self.store.clock().now());
        }
        tracing::debug!(fallback = self.store.namespace(), admitted, "the fallback decided");
        Ok(decided)
    }

    fn decided(self: &Arc<Self>, hits: &[Hit<'_>], decision: Decision) -> Result<Decided, BackendError> {
        check_complete(hits, &decision)?;
        Ok(Decided { decision, by: DecidedBy::Fallback(Arc::clone(self)) })
    }

    /// Whether it refused any of the clients lately.
    pub(super) fn may_refuse(&self, hits: &[Hit<'_>]) -> bool {
        self.refusals.concern(hits, self.store.clock())
    }

    /// Returns a refusal if it refused any of the clients before, and still would.
    ///
    /// It has a quarter of the time to say so. If it does not, the primary decides: that the fallback hangs is no failure of
    /// the primary.
    pub(super) async fn still_refused(self: &Arc<Self>, hits: &[Hit<'_>], budget: Budget<'_>) -> Option<Decided> {
        if !self.may_refuse(hits) {
            return None;
        }
        let decided = self.peek(hits, budget.a_quarter()).await.ok()?;
        (!decided.decision.is_admitted()).then_some(decided)
    }

    pub(super) async fn peek(self: &Arc<Self>, hits: &[Hit<'_>], budget: Budget<'_>) -> Result<Decided, BackendError> {
        let answer = self.store.peek(&self.shares(hits));
        self.decided(hits, budget.hold(answer).await?)
    }

    pub(super) async fn clear(&self) -> Result<(), BackendError> {
        self.refusals.forget_all();
        self.store.clear().await
    }

    fn shares<'a>(&self, hits: &[Hit<'a>]) -> Shares<'a> {
        let share = |hit: &Hit<'a>| {
            let (rate, cost) = self.share_of(hit.strategy, hit.rate, hit.cost);
            Hit { rate, cost, ..*hit }
        };
        hits.iter().map(share).collect()
    }

    /// Returns the share of a rate, and the cost under it. A cost above the share is all of the share, so that it is refused
    /// for good only if it exceeds the whole rate.
    pub(crate) fn share_of(&self, strategy: &AnyStrategy, rate: Rate, cost: u64) -> (Rate, u64) {
        match divided(rate, self.share).filter(|share| strategy.check(*share).is_ok()) {
            Some(share) if cost <= strategy.capacity(rate) => (share, cost.min(strategy.capacity(share))),
            Some(share) => (share, cost),
            None => (rate, cost),
        }
    }
}

/// Returns `None` for an unlimited rate and for a share of one.
fn divided(rate: Rate, share: NonZeroU64) -> Option<Rate> {
    let limit = (rate.limit() / share).max(1);
    (share.get() > 1 && !rate.is_unlimited()).then(|| Rate::new(limit, rate.period()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_divided_and_never_below_one() {
        let divided = |rate: &str, share| divided(rate.parse().unwrap(), NonZeroU64::new(share).unwrap());
        assert_eq!(divided("100/min", 20), Some("5/min".parse().unwrap()));
        assert_eq!(divided("7/min", 2), Some("3/min".parse().unwrap()));
        assert_eq!(divided("7/min", 20), Some("1/min".parse().unwrap()));
        assert_eq!((divided("7/min", 1), divided("0/0", 20)), (None, None));
    }
}
