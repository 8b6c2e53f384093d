//! Owned hits, charges and adjustments, for tasks. Those of a call borrow from its caller.

use traffik_core::{
    client::Key,
    clock::Timestamp,
    decision::{Adjustment, Charge, Hit, LimitId},
    rate::Rate,
};

/// A hit, a charge or an adjustment. A field that the kind does not have is 0.
#[derive(Clone)]
pub(crate) struct Owned {
    limit: LimitId,
    key: Key,
    rate: Rate,
    cost: u64,
    at_least: u64,
    is_enforced: bool,
    charged_at: Timestamp,
    actual: u64,
}

/// Copies hits, charges or adjustments.
pub(crate) fn owned<'a, T: 'a>(all: &'a [T]) -> Vec<Owned>
where
    Owned: From<&'a T>,
{
    all.iter().map(Owned::from).collect()
}

pub(crate) fn hits_of(owned: &[Owned]) -> Vec<Hit<'_>> {
    owned.iter().map(Owned::hit).collect()
}

pub(crate) fn charges_of(owned: &[Owned]) -> Vec<Charge<'_>> {
    owned.iter().map(Owned::charge).collect()
}

pub(crate) fn adjustments_of(owned: &[Owned]) -> Vec<Adjustment<'_>> {
    owned.iter().map(|owned| owned.charge().settle(owned.actual)).collect()
}

impl Owned {
    fn hit(&self) -> Hit<'_> {
        let hit = Hit::new(&self.limit, &self.key, self.rate, self.cost).at_least(self.at_least);
        if self.is_enforced { hit } else { hit.not_enforced() }
    }

    fn charge(&self) -> Charge<'_> {
        Charge::new(self.hit(), self.charged_at)
    }
}

impl From<&Hit<'_>> for Owned {
    fn from(hit: &Hit<'_>) -> Self {
        Self {
            limit: hit.limit.clone(),
            key: hit.key.clone(),
            rate: hit.rate,
            cost: hit.cost,
            at_least: hit.least(),
            is_enforced: hit.enforced,
            charged_at: Timestamp::UNIX_EPOCH,
            actual: 0,
        }
    }
}

impl From<&Charge<'_>> for Owned {
    fn from(charge: &Charge<'_>) -> Self {
        Self { charged_at: charge.at, ..Self::from(&charge.hit) }
    }
}

impl From<&Adjustment<'_>> for Owned {
    fn from(adjustment: &Adjustment<'_>) -> Self {
        Self { actual: adjustment.actual, ..Self::from(&adjustment.charge) }
    }
}
