use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use traffik_core::{
    clock::{AnyClock, Timestamp},
    decision::{Hit, Receipt},
    strategy::{Past, Strategy},
};

use super::{hash::KeyHash, shard::LockedShard, shards::Shards};
use crate::warning::Warning;

/// What a store is made with.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) namespace: String,
    pub(super) clock: AnyClock,
    pub(super) max_entries: usize,
    /// Whether it does not warn when it is full.
    pub(super) is_silent: bool,
}

pub(super) struct Store {
    pub(super) settings: Settings,
    pub(super) shards: Shards,
    pub(super) evictions: AtomicU64,
    pub(super) closed: AtomicBool,
}

impl Store {
    pub(super) fn new(settings: Settings) -> Self {
        let max_entries = Shards::clamp(settings.max_entries);
        Self {
            settings: Settings { max_entries, ..settings },
            shards: Shards::new(max_entries),
            evictions: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    /// Gives back each receipt by itself. A custom strategy that panics does not keep the others from it.
    pub(super) fn refund(&self, receipts: &[Receipt<'_>]) {
        let panics: Vec<_> =
            receipts.iter().filter_map(|receipt| isolated(receipt, || self.refund_one(receipt)).err()).collect();
        if let Some(panic) = panics.into_iter().next() {
            resume_unwind(panic);
        }
    }

    fn refund_one(&self, Receipt { hit, charged_at }: &Receipt<'_>) {
        let (mut shard, key) = self.lock_one(hit);
        let now = self.now();
        if let Some(past) = hit.strategy.present(shard.take(key, hit.strategy), now).past {
            let rate = past.rate;
            let state = hit.strategy.refund(past, hit.cost, *charged_at, now);
            shard.put(key, Past { state, rate }, None);
        }
    }

    /// Renews each receipt by itself. One whose custom strategy panics is not renewed.
    pub(super) fn renew(&self, receipts: &[Receipt<'_>]) -> Vec<Option<Timestamp>> {
        let renew = |receipt| isolated(receipt, || self.renew_one(receipt)).unwrap_or_default();
        receipts.iter().map(renew).collect()
    }

    fn renew_one(&self, Receipt { hit, charged_at }: &Receipt<'_>) -> Option<Timestamp> {
        if hit.rate.is_unlimited() {
            return Some(self.now());
        }
        let (mut shard, key) = self.lock_one(hit);
        let now = self.now();
        let renewed = hit.strategy.renew(shard.take(key, hit.strategy), hit.rate, hit.cost, *charged_at, now);
        let charged = Some(hit).filter(|_| renewed.admitted && renewed.is_new);
        let arriving = usize::from(charged.is_some() && !shard.holds(key));
        let evicted = shard.make_room(arriving, now, |_| false);
        if let Some(past) = renewed.past {
            shard.put(key, past, charged);
        }
        drop(shard);
        self.count_evictions(evicted);
        renewed.admitted.then_some(now)
    }

    pub(super) fn reset(&self, hits: &[Hit<'_>]) {
        for hit in hits {
            let (mut shard, key) = self.lock_one(hit);
            shard.remove(key);
        }
    }

    fn lock_one(&self, hit: &Hit<'_>) -> (LockedShard<'_>, KeyHash) {
        let location = self.shards.locate(hit);
        (self.shards.at(location.shard).lock(), location.key)
    }

    /// Counts evictions. Warns of the first, and whenever their number has doubled: a flood of clients does not become a
    /// flood of log lines.
    pub(super) fn count_evictions(&self, evicted: u64) {
        if evicted == 0 {
            return;
        }
        let before = self.evictions.fetch_add(evicted, Ordering::Relaxed);
        let total = before.saturating_add(evicted);
        if !self.settings.is_silent && (before == 0 || before.ilog2() != total.ilog2()) {
            tracing::warn!(
                warning = Warning::MemoryFull.name(),
                docs = Warning::MemoryFull.docs(),
                namespace = self.settings.namespace,
                evictions = total,
                max_entries = self.settings.max_entries,
                "the memory backend is full and forgets clients before their entries expire: raise `max_entries`, or \
                 look for who sends from so many addresses"
            );
        }
    }
}

/// Works on one receipt. A panic of its custom strategy is an error.
fn isolated<T>(receipt: &Receipt<'_>, work: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    if receipt.hit.strategy.is_custom() { catch_unwind(AssertUnwindSafe(work)) } else { Ok(work()) }
}
