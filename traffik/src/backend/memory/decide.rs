//! Decisions, as fast as they can be made.

use super::{
    Store,
    together::{Access, Together},
};
use crate::{
    backend::BackendError,
    decision::{Decision, Hit, Outcome, Receipt},
    strategy::{Past, State, Strategy, Verdict},
};

impl Store {
    pub(super) fn decide(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        self.together(hits, Access::Take).map(Together::decide)
    }

    pub(super) fn peek(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        self.together(hits, Access::Look).map(Together::peek)
    }

    pub(super) fn refund(&self, receipts: &[Receipt<'_>]) {
        for Receipt { hit, charged_at } in receipts {
            let digest = self.seed.digest(hit);
            let mut shard = self.shards.at(self.shards.place(digest)).close();
            if let Some(past) = shard.take(digest.name) {
                let rate = past.rate;
                let state = hit.strategy.refund(past, hit.cost, *charged_at, self.clock.now());
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

    /// Decides about a client that is known, without a lock: what is read is of one moment, and what is written builds on
    /// nothing that somebody else changed meanwhile.
    #[inline]
    pub(super) fn decide_known(&self, hits: &[Hit<'_>]) -> Option<Outcome> {
        let [hit] = hits else { return None };
        let digest = self.seed.digest(hit);
        let shard = self.shards.at(self.shards.place(digest));
        loop {
            let version = shard.look();
            let (entry, past) = shard.known(digest.name, hit)?;
            // Read after the version: who comes later to the same entry sees a later time.
            let at = self.clock.now();
            let Verdict { admitted, past, is_new } = hit.strategy.decide(Some(past), hit.rate, hit.cost, at);
            let state = match past {
                None => None,
                Some(Past { state, .. }) if state.log().is_some() => return None,
                Some(Past { state, .. }) => Some((state.expires(), state.words())),
            };
            if let (Some((expires, words)), true) = (state, is_new) {
                let Some(inside) = shard.enter(version) else { continue };
                entry.update(expires, words, hit.cost, &inside);
            } else if !shard.is_still(version) {
                continue;
            }
            let past = state.map(|(expires, words)| Past { state: State::new(expires, words), rate: hit.rate });
            return Some(Outcome { admitted, past, cost: hit.cost, at });
        }
    }
}
