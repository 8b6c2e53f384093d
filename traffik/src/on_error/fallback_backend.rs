use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use traffik_core::{
    backend::{Answer, BackendError},
    clock::{AnyClock, Timestamp},
    decision::{Decision, Hit, LimitStatus},
    rate::Rate,
    strategy::{AnyStrategy, Strategy},
};

use super::options::Fallback;
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

    pub(crate) async fn clear(&self) -> Result<(), BackendError> {
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

/// The clients that a fallback refused, until their waits end. The primary does not know of these refusals when it decides
/// again.
///
/// It holds at most [`MOST`] clients, and forgets those first whose wait ends soonest. Once all waits have ended, asking takes
/// no lock.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// When the last wait ends, in microseconds.
    last_end: AtomicU64,
    waits: Mutex<Waits>,
    /// Two clients with the same hash do no harm, because the fallback makes the decision.
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Waits {
    ends: HashMap<u64, Timestamp>,
    by_end: BTreeSet<(Timestamp, u64)>,
}

const MOST: usize = 1 << 16;

impl Refusals {
    /// Remembers the hits that were refused.
    fn remember(&self, hits: &[Hit<'_>], decision: &Decision, now: Timestamp) {
        for (hit, outcome) in hits.iter().zip(decision.outcomes()) {
            if let Some(wait) = LimitStatus::new(hit.limit.strategy(), hit.rate, outcome).retry_after() {
                let end = now.saturating_add(wait);
                self.last_end.fetch_max(end.as_micros(), Ordering::Relaxed);
                self.waits.lock().add(self.digest(hit), end, now);
            }
        }
    }

    /// Returns `true` if the wait of any of the hits has not ended.
    fn concern(&self, hits: &[Hit<'_>], clock: &AnyClock) -> bool {
        let last_end = self.last_end.load(Ordering::Relaxed);
        // The clock is not read if no client was refused.
        if last_end == 0 {
            return false;
        }
        let now = clock.now();
        if now.as_micros() >= last_end {
            return false;
        }
        let waits = self.waits.lock();
        hits.iter().any(|hit| waits.ends.get(&self.digest(hit)).is_some_and(|end| now < *end))
    }

    fn forget_all(&self) {
        *self.waits.lock() = Waits::default();
        self.last_end.store(0, Ordering::Relaxed);
    }

    fn digest(&self, hit: &Hit<'_>) -> u64 {
        self.hasher.hash_one((hit.limit.uid(), hit.key))
    }
}

impl Waits {
    /// Keeps the longer of two waits of one client: the shorter one may be that of a cheaper request or of another plan.
    fn add(&mut self, digest: u64, end: Timestamp, now: Timestamp) {
        let end = self.ends.get(&digest).map_or(end, |before| end.max(*before));
        if let Some(before) = self.ends.insert(digest, end) {
            self.by_end.remove(&(before, digest));
        }
        self.by_end.insert((end, digest));
        // Two at a time, faster than waits are added.
        for _ in 0..2 {
            let is_over = self.by_end.first().is_some_and(|(end, _)| *end <= now);
            if is_over || self.ends.len() > MOST {
                self.remove_first();
            }
        }
    }

    fn remove_first(&mut self) {
        if let Some((_, digest)) = self.by_end.pop_first() {
            self.ends.remove(&digest);
        }
    }
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

    #[test]
    fn full_map_keeps_the_longest_waits() {
        let (mut waits, now) = (Waits::default(), Timestamp::from_micros(5));
        let most = u64::try_from(MOST).unwrap();
        for digest in 0..most + 10 {
            waits.add(digest, Timestamp::from_micros(10 + digest), now);
        }
        assert_eq!((waits.ends.len(), waits.by_end.len()), (MOST, MOST));
        assert!(!waits.ends.contains_key(&9) && waits.ends.contains_key(&10));

        // A client that is refused again has one wait.
        waits.add(most, Timestamp::from_micros(most * 3), now);
        assert_eq!((waits.ends.len(), waits.by_end.len()), (MOST, MOST));
    }

    #[test]
    fn shorter_wait_does_not_replace_a_longer_one() {
        let [soon, later] = [10, 50].map(Timestamp::from_micros);
        for ends in [[soon, later], [later, soon]] {
            let mut waits = Waits::default();
            ends.into_iter().for_each(|end| waits.add(1, end, Timestamp::from_micros(5)));
            assert_eq!((waits.ends.get(&1), waits.by_end.len()), (Some(&later), 1));
        }
    }

    #[test]
    fn ended_waits_are_removed() {
        let mut waits = Waits::default();
        for digest in 0..100 {
            waits.add(digest, Timestamp::from_micros(10), Timestamp::from_micros(5));
        }
        for digest in 100..200 {
            waits.add(digest, Timestamp::from_micros(50), Timestamp::from_micros(20));
        }
        assert_eq!(waits.ends.len(), 100);
    }
}
