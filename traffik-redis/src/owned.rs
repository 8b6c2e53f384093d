//! Hits and receipts that a task can keep: those of a call borrow from its caller.

use traffik_core::{
    Rate,
    client::Key,
    clock::Timestamp,
    decision::{Hit, Receipt},
    strategy::AnyStrategy,
};

pub(crate) struct Owned(Vec<OwnedHit>);

struct OwnedHit {
    uid: String,
    key: Key,
    strategy: AnyStrategy,
    rate: Rate,
    cost: u64,
    /// For a receipt.
    charged_at: Timestamp,
}

impl Owned {
    pub(crate) fn of_hits(hits: &[Hit<'_>]) -> Self {
        Self(hits.iter().map(|hit| OwnedHit::new(hit, Timestamp::UNIX_EPOCH)).collect())
    }

    pub(crate) fn of_receipts(receipts: &[Receipt<'_>]) -> Self {
        Self(receipts.iter().map(|receipt| OwnedHit::new(&receipt.hit, receipt.charged_at)).collect())
    }

    pub(crate) fn hits(&self) -> Vec<Hit<'_>> {
        self.0.iter().map(OwnedHit::hit).collect()
    }

    pub(crate) fn receipts(&self) -> Vec<Receipt<'_>> {
        self.0.iter().map(|owned| Receipt { hit: owned.hit(), charged_at: owned.charged_at }).collect()
    }
}

impl OwnedHit {
    fn new(hit: &Hit<'_>, charged_at: Timestamp) -> Self {
        let Hit { uid, key, strategy, rate, cost } = *hit;
        Self { uid: uid.to_owned(), key: key.clone(), strategy: strategy.clone(), rate, cost, charged_at }
    }

    fn hit(&self) -> Hit<'_> {
        Hit { uid: &self.uid, key: &self.key, strategy: &self.strategy, rate: self.rate, cost: self.cost }
    }
}
