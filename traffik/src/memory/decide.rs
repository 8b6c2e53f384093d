//! What is asked of the store.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use traffik_core::{
    backend::BackendError,
    clock::Timestamp,
    decision::{Decision, Hit, Receipt},
    strategy::{Past, Strategy},
};

use super::{
    Store,
    together::{Access, Together},
};

impl Store {
    #[inline(never)]
    pub(super) fn decide_together(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        self.together(hits, Access::Take).map(Together::decide)
    }

    pub(super) fn peek(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        self.together(hits, Access::Look).map(Together::peek)
    }

    /// Each by itself. A custom strategy that panics keeps nothing from the others.
    pub(super) fn refund(&self, receipts: &[Receipt<'_>]) {
        let panics: Vec<_> =
            receipts.iter().filter_map(|receipt| apart(receipt, || self.refund_one(receipt)).err()).collect();
        if let Some(panic) = panics.into_iter().next() {
            resume_unwind(panic);
        }
    }

    fn refund_one(&self, Receipt { hit, charged_at }: &Receipt<'_>) {
        let digest = self.seed.digest(hit);
        let mut shard = self.shards.at(self.shards.place(digest)).close();
        let now = self.clock.now();
        let stored = shard.take(digest.name, hit.strategy);
        if let Some(past) = hit.strategy.present(stored, now).past {
            let rate = past.rate;
            let state = hit.strategy.refund(past, hit.cost, *charged_at, now);
            shard.put_back(digest.name, Past { state, rate });
        }
    }

    /// Each by itself: they are no decision of several. What a custom strategy panics at is not renewed, and the others are.
    pub(super) fn renew(&self, receipts: &[Receipt<'_>]) -> Vec<Option<Timestamp>> {
        let renew = |receipt: &Receipt<'_>| apart(receipt, || self.renew_one(receipt)).unwrap_or_default();
        receipts.iter().map(renew).collect()
    }

    fn renew_one(&self, Receipt { hit, charged_at }: &Receipt<'_>) -> Option<Timestamp> {
        if hit.rate.is_unlimited() {
            return Some(self.clock.now());
        }
        let digest = self.seed.digest(hit);
        let mut shard = self.shards.at(self.shards.place(digest)).close();
        let now = self.clock.now();
        let renewed = hit.strategy.renew(shard.take(digest.name, hit.strategy), hit.rate, hit.cost, *charged_at, now);
        match renewed.past {
            Some(past) if renewed.admitted && renewed.is_new => {
                let evicted = if shard.holds(digest.name) { 0 } else { shard.make_room(1, now, |_| false) };
                shard.put(digest.name, past, hit);
                drop(shard);
                self.count_evictions(evicted);
            }
            Some(past) => shard.put_back(digest.name, past),
            None => {}
        }
        renewed.admitted.then_some(now)
    }

    pub(super) fn reset(&self, hits: &[Hit<'_>]) {
        for hit in hits {
            let digest = self.seed.digest(hit);
            self.shards.at(self.shards.place(digest)).close().remove(digest.name);
        }
    }
}

/// Does something about one receipt of many, where a custom strategy may panic.
fn apart<T>(receipt: &Receipt<'_>, work: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    if receipt.hit.strategy.is_custom() { catch_unwind(AssertUnwindSafe(work)) } else { Ok(work()) }
}
