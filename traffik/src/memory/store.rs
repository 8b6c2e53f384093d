use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use traffik_core::{
    backend::{Adjusted, BackendError},
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Hit, Outcome},
    strategy::Strategy,
};

use super::{
    control::ControlSettings,
    hash::{KeyHash, Seed},
    shards::{LockedShard, Shards},
};
use crate::{
    observe::{Counter, Gauge, metric},
    warning::{Warning, warn_of},
};

/// The settings of a store.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) namespace: String,
    pub(super) clock: AnyClock,
    pub(super) max_entries: usize,
    /// Whether the warning about a full store is disabled.
    pub(super) is_silent: bool,
}

pub(super) struct Store {
    pub(super) settings: Settings,
    pub(super) seed: Seed,
    pub(super) shards: Shards,
    pub(super) control: ControlSettings,
    pub(super) evictions: AtomicU64,
    pub(super) usage: Usage,
    pub(super) is_closed: AtomicBool,
}

impl Store {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            seed: Seed::random(),
            shards: Shards::new(settings.max_entries),
            usage: Usage::of(&settings.namespace),
            settings,
            control: ControlSettings::default(),
            evictions: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
        }
    }

    #[inline]
    pub(super) fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    /// Removes everything. Later calls return an error.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.clear();
    }

    pub(super) fn clear(&self) {
        for mut shard in self.shards.all() {
            self.usage.resized(shard.len(), 0);
            shard.clear();
        }
    }

    /// Returns an error if the store is closed. Call it while a shard is locked: it either sees the store closed, or
    /// [`close`](Self::close) removes what it writes.
    #[inline]
    pub(super) fn check_open(&self) -> Result<(), BackendError> {
        if self.is_closed.load(Ordering::Relaxed) { Err(BackendError::Closed) } else { Ok(()) }
    }

    /// Adjusts each charge separately. A charge whose custom strategy panics is not adjusted.
    pub(super) fn adjust(&self, adjustments: &[Adjustment<'_>]) -> Result<Vec<Adjusted>, BackendError> {
        self.check_open()?;
        let adjust = |adjustment: &Adjustment<'_>| {
            let adjusted = isolated(&adjustment.charge, || self.adjust_one(adjustment));
            adjusted.unwrap_or_else(|_| Err(BackendError::not_run("a custom strategy panicked").into()))
        };
        Ok(adjustments.iter().map(adjust).collect())
    }

    fn adjust_one(&self, adjustment: &Adjustment<'_>) -> Adjusted {
        let Adjustment { charge: Charge { hit, at, .. }, actual, .. } = adjustment;
        if hit.rate.is_unlimited() {
            return Ok(Outcome::new(true, *actual, self.now()));
        }
        let (mut shard, key) = self.lock_one(hit)?;
        let (strategy, now) = (hit.limit.strategy(), self.now());
        // Only a refund cannot fail. Other adjustments use a copy, so that an error changes nothing.
        let stored = if *actual == 0 { shard.take(key, strategy) } else { shard.get(key) };
        let settled = strategy.settle(stored, hit.rate, hit.cost, *actual, *at, now)?;
        let outcome = Outcome::new(true, *actual, now);
        let Some(past) = settled.past else { return Ok(outcome) };
        let told = Some(&past).filter(|past| past.is_alive(now));
        let told = told.map(|past| strategy.summary(past, hit.rate, *actual, now));
        let charged = Some(hit).filter(|_| *actual > hit.cost);
        if settled.is_new || past.state.log().is_some() {
            let before = shard.len();
            let evicted = shard.put(key, past, charged, now, |_| false);
            self.usage.resized(before, shard.len());
            drop(shard);
            self.count_evictions(evicted);
        }
        Ok(outcome.with_past(told))
    }

    /// Renews each charge separately. A charge whose custom strategy panics is not renewed.
    pub(super) fn renew(&self, charges: &[Charge<'_>]) -> Result<Vec<Option<Timestamp>>, BackendError> {
        self.check_open()?;
        charges.iter().map(|charge| isolated(charge, || self.renew_one(charge)).unwrap_or(Ok(None))).collect()
    }

    fn renew_one(&self, Charge { hit, at, .. }: &Charge<'_>) -> Result<Option<Timestamp>, BackendError> {
        if hit.rate.is_unlimited() {
            return Ok(Some(self.now()));
        }
        let (mut shard, key) = self.lock_one(hit)?;
        let now = self.now();
        let renewed = hit.limit.strategy().renew(shard.take(key, hit.limit.strategy()), hit.rate, hit.cost, *at, now);
        let charged = Some(hit).filter(|_| renewed.admitted && renewed.is_new);
        if let Some(past) = renewed.past {
            let before = shard.len();
            let evicted = shard.put(key, past, charged, now, |_| false);
            self.usage.resized(before, shard.len());
            drop(shard);
            self.count_evictions(evicted);
        }
        Ok(renewed.admitted.then_some(now))
    }

    pub(super) fn reset(&self, hits: &[Hit<'_>]) -> Result<(), BackendError> {
        self.check_open()?;
        hits.iter().try_for_each(|hit| {
            let (mut shard, key) = self.lock_one(hit)?;
            let before = shard.len();
            shard.remove(key);
            self.usage.resized(before, shard.len());
            Ok(())
        })
    }

    fn lock_one(&self, hit: &Hit<'_>) -> Result<(LockedShard<'_>, KeyHash), BackendError> {
        let client = self.seed.hash(hit.key);
        let shard = self.shards.lock(self.shards.locate(client));
        self.check_open()?;
        Ok((shard, client.at(hit.limit)))
    }

    /// Counts evictions. Warns about the first, and whenever their number has doubled, so that a flood of clients does
    /// not flood the log.
    pub(super) fn count_evictions(&self, evicted: u64) {
        if evicted == 0 {
            return;
        }
        self.usage.evicted(evicted);
        let before = self.evictions.fetch_add(evicted, Ordering::Relaxed);
        let total = before.saturating_add(evicted);
        if !self.settings.is_silent && (before == 0 || before.ilog2() != total.ilog2()) {
            warn_of!(
                Warning::MemoryFull,
                namespace = self.settings.namespace,
                evictions = total,
                max_entries = self.settings.max_entries,
                "the memory backend is full and evicts clients before their entries expire: raise `max_entries`, or \
                 check whether an attacker uses many addresses"
            );
        }
    }
}

impl Drop for Store {
    /// Metrics of other stores of this namespace go on.
    fn drop(&mut self) {
        let entries = self.shards.all().map(|shard| shard.len()).sum();
        self.usage.resized(entries, 0);
    }
}

/// What metrics show of a store. Stores of one namespace add up.
#[derive(Debug)]
pub(super) struct Usage {
    namespace: Box<str>,
    entries: Gauge,
    evictions: Counter,
}

impl Usage {
    fn of(namespace: &str) -> Self {
        Self { namespace: namespace.into(), entries: Gauge::default(), evictions: Counter::default() }
    }

    /// Records that a part of the store has `after` entries, and had `before`.
    #[inline]
    pub(super) fn resized(&self, before: usize, after: usize) {
        if before != after {
            self.entries.add(&metric::MEMORY_ENTRIES, &[&self.namespace], after as f64 - before as f64);
        }
    }

    #[inline]
    fn evicted(&self, entries: u64) {
        self.evictions.add(&metric::MEMORY_EVICTIONS, &[&self.namespace], entries);
    }
}

/// Runs `work` on one charge. A panic of its custom strategy becomes an error.
fn isolated<T>(charge: &Charge<'_>, work: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    if charge.hit.limit.strategy().is_custom() { catch_unwind(AssertUnwindSafe(work)) } else { Ok(work()) }
}
