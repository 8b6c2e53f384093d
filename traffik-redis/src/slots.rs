//! Splits decisions about several clients in a cluster by slot. One call cannot decide about several slots.

use traffik_core::{
    backend::BackendError,
    decision::{Adjustment, Charge, Decision, Hit},
};

use crate::{client::slot_of, keys::Keys};

/// The positions of the hits in each slot. Slots are in the order of their first hits.
pub(crate) struct Slots(Vec<(u16, Vec<usize>)>);

impl Slots {
    /// Finds the slot of each hit. Hits on one client are in the same slot.
    pub(crate) fn of(hits: &[Hit<'_>], keys: &Keys) -> Result<Self, BackendError> {
        let mut slots = Vec::<(u16, Vec<usize>)>::new();
        for (place, hit) in hits.iter().enumerate() {
            // A hit at an unlimited rate has no entry, and goes with the first.
            let slot = match slots.first() {
                Some((first, _)) if hit.rate.is_unlimited() => *first,
                None if hit.rate.is_unlimited() => 0,
                _ => slot_of(&keys.of(hit).map_err(BackendError::unavailable)?),
            };
            match slots.iter_mut().find(|(known, _)| *known == slot) {
                Some((_, places)) => places.push(place),
                None => slots.push((slot, vec![place])),
            }
        }
        Ok(Self(slots))
    }

    /// Puts all hits in one slot.
    pub(crate) fn one(count: usize) -> Self {
        Self(vec![(0, (0..count).collect())])
    }

    /// Splits each part into the groups of its hits, which stay in order.
    pub(crate) fn grouped<G: PartialEq>(self, group_of: impl Fn(usize) -> G) -> Self {
        let mut parts = Vec::new();
        for (slot, places) in self.0 {
            let mut groups = Vec::<(G, Vec<usize>)>::new();
            for place in places {
                let group = group_of(place);
                match groups.iter_mut().find(|(known, _)| *known == group) {
                    Some((_, places)) => places.push(place),
                    None => groups.push((group, vec![place])),
                }
            }
            parts.extend(groups.into_iter().map(|(_, places)| (slot, places)));
        }
        Self(parts)
    }

    /// Returns the number of hits in each part.
    pub(crate) fn lengths(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|(_, places)| places.len())
    }

    /// Splits a list of one item for each hit into parts.
    pub(crate) fn split<T: Clone>(&self, all: &[T]) -> Vec<Vec<T>> {
        let of = |places: &[usize]| places.iter().filter_map(|&place| all.get(place)).cloned().collect();
        self.0.iter().map(|(_, places)| of(places)).collect()
    }

    /// Undoes `split`: returns the items of all parts in the order of the hits.
    pub(crate) fn in_order<T>(&self, parts: impl IntoIterator<Item = Vec<T>>) -> Vec<T> {
        let places = self.0.iter().flat_map(|(_, places)| places);
        let mut all: Vec<_> = places.zip(parts.into_iter().flatten()).collect();
        all.sort_by_key(|(place, _)| **place);
        all.into_iter().map(|(_, one)| one).collect()
    }

    /// Returns the outcomes of all parts, in the order of the hits.
    pub(crate) fn join(&self, decisions: &[Decision]) -> Decision {
        self.in_order(decisions.iter().map(|decision| decision.outcomes().to_vec())).into_iter().collect()
    }
}

/// Returns the refunds of what a decision charged.
pub(crate) fn refunds<'a>(hits: &[Hit<'a>], decision: &Decision) -> Vec<Adjustment<'a>> {
    let charged = hits.iter().zip(decision.outcomes()).filter(|(_, outcome)| outcome.admitted);
    charged.map(|(hit, outcome)| Charge::new(hit.costing(outcome.granted), outcome.at).refund()).collect()
}
