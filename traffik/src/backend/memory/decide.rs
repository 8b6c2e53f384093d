//! What is asked of the store.

use super::{
    Store,
    together::{Access, Together},
};
use crate::{
    backend::BackendError,
    decision::{Decision, Hit, Receipt},
    strategy::{Past, Strategy},
};

impl Store {
    #[inline(never)]
    pub(super) fn decide_together(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        self.together(hits, Access::Take).map(Together::decide)
    }

    pub(super) fn peek(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        self.together(hits, Access::Look).map(Together::peek)
    }

    pub(super) fn refund(&self, receipts: &[Receipt<'_>]) {
        for Receipt { hit, charged_at } in receipts {
            let digest = self.seed.digest(hit);
            let mut shard = self.shards.at(self.shards.place(digest)).close();
            let now = self.clock.now();
            let stored = shard.take(digest.name);
            if let Some(past) = hit.strategy.present(stored, now).past {
                let rate = past.rate;
                let state = hit.strategy.refund(past, hit.cost, *charged_at, now);
                shard.put_back(digest.name, Past { state, rate });
            }
        }
    }

    pub(super) fn reset(&self, hits: &[Hit<'_>]) {
        for hit in hits {
            let digest = self.seed.digest(hit);
            self.shards.at(self.shards.place(digest)).close().remove(digest.name);
        }
    }
}
