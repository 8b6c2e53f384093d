//! The keys of the hits of one call, and the slots of these keys in a cluster.

use traffik_core::{
    Rate,
    backend::BackendError,
    decision::{Adjustment, Charge, Decision, Hit},
    strategy::Strategy,
};

use crate::{client::slot_of, keys::Keys, scripts::LuaStrategy};

#[derive(Default)]
pub(crate) struct Places {
    pub(crate) keys: Vec<String>,
    /// The position of the key of each hit. `None` at an unlimited rate.
    pub(crate) of_hits: Vec<Option<usize>>,
    /// The amount of each hit.
    pub(crate) amounts: Vec<Amount>,
}

/// The amount that a hit would charge.
#[derive(Clone, Copy)]
pub(crate) struct Amount {
    pub(crate) rate: Rate,
    pub(crate) cost: u64,
    pub(crate) at_least: u64,
    pub(crate) is_enforced: bool,
}

impl Amount {
    pub(crate) fn is_plain(&self) -> bool {
        self.is_enforced && self.at_least == self.cost
    }

    /// Returns the maximum that an enforced hit can have above its lowest cost, if it takes what fits.
    pub(crate) fn extra(&self) -> Option<u64> {
        self.cost.checked_sub(self.at_least).filter(|&extra| extra > 0 && self.is_enforced)
    }

    /// Returns the cost with `extra` above the lowest.
    pub(crate) fn granted(&self, extra: u64) -> u64 {
        self.at_least.saturating_add(extra).min(self.cost)
    }
}

impl From<&Hit<'_>> for Amount {
    fn from(hit: &Hit<'_>) -> Self {
        Self { rate: hit.rate, cost: hit.cost, at_least: hit.least(), is_enforced: hit.enforced }
    }
}

impl Places {
    pub(crate) fn of(hits: &[Hit<'_>], keys: &Keys) -> Result<Self, BackendError> {
        let mut places = Self::default();
        for hit in hits {
            // A new key comes last.
            let place = if hit.rate.is_unlimited() { None } else { Some(places.place(hit, keys)?) };
            places.of_hits.push(place);
            places.amounts.push(hit.into());
        }
        Ok(places)
    }

    /// Returns the maximum that hits at unlimited rates allow all hits that take what fits. Returns `u64::MAX` if there
    /// are none.
    pub(crate) fn max_extra(&self) -> u64 {
        let unlimited = self.amounts.iter().filter(|amount| amount.rate.is_unlimited());
        unlimited.filter_map(Amount::extra).min().unwrap_or(u64::MAX)
    }

    fn place(&mut self, hit: &Hit<'_>, keys: &Keys) -> Result<usize, BackendError> {
        // At higher rates the numbers would not be exact.
        hit.limit.strategy().check(hit.rate).map_err(BackendError::unavailable)?;
        let key = keys.of(hit).map_err(BackendError::misconfigured)?;
        Ok(self.keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.keys.push(key);
            self.keys.len() - 1
        }))
    }

    /// Returns whether only the custom strategy of the hit can decide about it, because it has no Lua form.
    pub(crate) fn is_own(hit: &Hit<'_>) -> bool {
        LuaStrategy::of(hit.limit.strategy()).is_none() && !hit.rate.is_unlimited()
    }
}

/// The positions of the hits of each part. All hits of a part are in one slot. Parts are in the order of their first
/// hits.
pub(crate) struct Slots(Vec<Vec<usize>>);

impl Slots {
    /// Splits hits by slot. Hits on one client are in the same slot.
    pub(crate) fn of(hits: &[Hit<'_>], keys: &Keys) -> Self {
        let slot = |hit: &Hit<'_>| keys.of(hit).map(|key| slot_of(&key)).ok();
        let slots: Vec<_> = hits.iter().map(|hit| if hit.rate.is_unlimited() { None } else { slot(hit) }).collect();
        // A hit at an unlimited rate has no entry, and goes with the first that has one. So does a hit that cannot have a
        // key, which is an error later.
        let first = slots.iter().flatten().next();
        Self(groups(0..hits.len(), |place| slots.get(place).and_then(Option::as_ref).or(first)))
    }

    /// Puts all hits in one part.
    pub(crate) fn one(count: usize) -> Self {
        Self(vec![(0..count).collect()])
    }

    /// Splits each part into the groups of its hits, which stay in order.
    pub(crate) fn grouped<G: PartialEq>(self, group_of: impl Fn(usize) -> G) -> Self {
        Self(self.0.into_iter().flat_map(|places| groups(places, &group_of)).collect())
    }

    /// Returns the number of hits in each part.
    pub(crate) fn lengths(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(Vec::len)
    }

    /// Splits a list of one item for each hit into parts.
    pub(crate) fn split<T: Clone>(&self, all: &[T]) -> Vec<Vec<T>> {
        let of = |places: &[usize]| places.iter().filter_map(|&place| all.get(place)).cloned().collect();
        self.0.iter().map(|places| of(places)).collect()
    }

    /// Undoes `split`: returns the items of all parts in the order of the hits.
    pub(crate) fn in_order<T>(&self, parts: impl IntoIterator<Item = Vec<T>>) -> Vec<T> {
        let places = self.0.iter().flatten();
        let mut all: Vec<_> = places.zip(parts.into_iter().flatten()).collect();
        all.sort_by_key(|(place, _)| **place);
        all.into_iter().map(|(_, one)| one).collect()
    }

    /// Returns the outcomes of all parts, in the order of the hits.
    pub(crate) fn join(&self, decisions: &[Decision]) -> Decision {
        self.in_order(decisions.iter().map(|decision| decision.outcomes().to_vec())).into_iter().collect()
    }
}

/// Groups positions by what `group_of` returns. Groups are in the order of their first positions.
fn groups<G: PartialEq>(places: impl IntoIterator<Item = usize>, group_of: impl Fn(usize) -> G) -> Vec<Vec<usize>> {
    let mut groups = Vec::<(G, Vec<usize>)>::new();
    for place in places {
        let group = group_of(place);
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, places)) => places.push(place),
            None => groups.push((group, vec![place])),
        }
    }
    groups.into_iter().map(|(_, places)| places).collect()
}

/// Returns the refunds of what a decision charged.
pub(crate) fn refunds<'a>(hits: &[Hit<'a>], decision: &Decision) -> Vec<Adjustment<'a>> {
    let charged = hits.iter().zip(decision.outcomes()).filter(|(_, outcome)| outcome.admitted);
    charged.map(|(hit, outcome)| Charge::new(hit.costing(outcome.granted), outcome.at).refund()).collect()
}
