use std::sync::Arc;

use traffik_core::{
    backend::{Answer, BackendError},
    decision::{Decision, Hit},
    rate::Rate,
    strategy::{AnyStrategy, Strategy},
};

use super::{fallback::Fallback, refusals::Refusals};
use crate::store::{HITS_INLINE, Store};

/// The backend that decides while the primary does not answer.
#[derive(Debug)]
pub(crate) struct FallbackBackend {
    pub(crate) store: Arc<Store>,
    share: u64,
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
    pub(super) fn decide(&self, hits: &[Hit<'_>]) -> Answer<'_, Decision> {
        self.store.decide(&self.shares(hits))
    }

    pub(super) fn peek(&self, hits: &[Hit<'_>]) -> Answer<'_, Decision> {
        self.store.peek(&self.shares(hits))
    }

    /// Remembers the refusals of a decision.
    pub(super) fn decided(&self, hits: &[Hit<'_>], decision: &Decision) {
        let admitted = decision.is_admitted();
        if !admitted {
            self.refusals.remember(&self.shares(hits), decision, self.store.clock().now());
        }
        tracing::debug!(fallback = self.store.namespace(), admitted, "the fallback decided");
    }

    /// Records that it did not answer, and logs the start of its outage.
    #[cold]
    pub(super) fn failed(&self, error: &BackendError) {
        self.store.failed(error);
        self.store.log_outage(|| {
            let (backend, namespace) = (self.store.label(), self.store.namespace());
            tracing::error!(backend, namespace, %error, "a fallback gives no answer: requests are refused");
        });
    }

    /// Returns `true` if it refused any of the clients lately.
    pub(super) fn may_refuse(&self, hits: &[Hit<'_>]) -> bool {
        self.refusals.concern(hits, self.store.clock())
    }

    pub(super) async fn clear(&self) -> Result<(), BackendError> {
        self.refusals.forget_all();
        self.store.clear().await
    }

    fn shares<'a>(&self, hits: &[Hit<'a>]) -> Shares<'a> {
        let share = |hit: &Hit<'a>| {
            let strategy = hit.limit.strategy();
            let (rate, cost) = self.share_of(strategy, hit.rate, hit.cost);
            let (_, least) = self.share_of(strategy, hit.rate, hit.least());
            hit.at_rate(rate).costing(cost).at_least(least)
        };
        hits.iter().map(share).collect()
    }

    /// Returns `true` if each process has a part of the limits.
    pub(crate) fn has_share(&self) -> bool {
        self.share > 1
    }

    /// Returns the share of a rate, and the cost under it. A cost above the share becomes all of the share, unless it exceeds
    /// the whole rate, which refuses it for good.
    pub(crate) fn share_of(&self, strategy: &AnyStrategy, rate: Rate, cost: u64) -> (Rate, u64) {
        match divided(rate, self.share).filter(|share| strategy.check(*share).is_ok()) {
            Some(share) if cost <= strategy.capacity(rate) => (share, cost.min(strategy.capacity(share))),
            Some(share) => (share, cost),
            None => (rate, cost),
        }
    }
}

/// Returns `None` for an unlimited rate and for a share of one.
fn divided(rate: Rate, share: u64) -> Option<Rate> {
    let limit = rate.limit().checked_div(share)?.max(1);
    (share > 1 && !rate.is_unlimited()).then(|| Rate::new(limit, rate.period()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divided_limit_is_never_below_one() {
        let divided = |rate: &str, share| divided(rate.parse().unwrap(), share);
        assert_eq!(divided("100/min", 20), Some("5/min".parse().unwrap()));
        assert_eq!(divided("7/min", 2), Some("3/min".parse().unwrap()));
        assert_eq!(divided("7/min", 20), Some("1/min".parse().unwrap()));
        assert_eq!((divided("7/min", 1), divided("0/0", 20)), (None, None));
    }
}
