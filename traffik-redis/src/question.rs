//! What is asked of a program: the keys, and the hits in as few bytes as they need.

use thiserror::Error;
use traffik_core::{
    Rate,
    backend::BackendError,
    decision::Hit,
    strategy::{AnyStrategy, Strategy},
};

use crate::{
    client::slot_of,
    keys::Keys,
    places::Places,
    scripts::{LuaSet, LuaStrategy},
};

/// A cost that never fits. Higher ones are sent as this one: no limit and no bucket is so large.
pub(crate) const NEVER_FITS: u64 = Rate::MAX_LIMIT + 1;

/// A delay that no queue reaches, in microseconds: 142 years.
const NO_BOUND: u64 = (1 << 52) - 1;

/// The hits of one call that a program has to see: those at an unlimited rate are none of its business.
pub(crate) struct Question {
    pub(crate) places: Places,
    /// How many keys there are, and each hit, as `hits.lua` reads them.
    pub(crate) packed: Vec<u8>,
    /// The strategies that the hits are about; none where nothing is to be asked.
    pub(crate) strategies: Option<LuaSet>,
}

#[derive(Debug, Error)]
enum NotAsked {
    #[error("the strategy `{0}` has no form in Lua")]
    NoLua(&'static str),
    #[error("{0} limits are too many for one decision")]
    TooMany(usize),
}

impl Question {
    pub(crate) fn new<'a>(keys: &Keys, hits: impl IntoIterator<Item = &'a Hit<'a>>) -> Result<Self, BackendError> {
        let mut question = Self { places: Places::default(), packed: vec![0; 2], strategies: None };
        for hit in hits {
            if let Some(place) = question.places.add(hit, keys)? {
                question.add(hit, place)?;
            }
        }
        let count = number(question.places.keys.len())?;
        question.packed.iter_mut().zip(count).for_each(|(place, byte)| *place = byte);
        Ok(question)
    }

    /// Where it is kept, in a cluster.
    pub(crate) fn slot(&self) -> u16 {
        self.places.keys.first().map_or(0, |key| slot_of(key))
    }

    /// How many hits it is about.
    pub(crate) fn len(&self) -> usize {
        self.places.of_hits.len()
    }

    /// Adds a hit about a key.
    fn add(&mut self, hit: &Hit<'_>, place: usize) -> Result<(), BackendError> {
        let strategy = LuaStrategy::of(hit.limit.strategy())
            .ok_or_else(|| BackendError::unavailable(NotAsked::NoLua(hit.limit.strategy().name())))?;
        self.strategies = Some(self.strategies.map_or(LuaSet::Only(strategy), |set| set.and(LuaSet::Only(strategy))));
        self.packed.extend(number(place + 1)?);
        self.packed.push(strategy as u8);
        let numbers = [
            hit.limit.strategy().capacity(hit.rate),
            hit.rate.limit(),
            hit.rate.period_micros(),
            hit.cost.min(NEVER_FITS),
        ];
        for number in numbers {
            self.packed.extend(number.to_le_bytes().into_iter().take(6));
        }
        if let AnyStrategy::LeakyBucketWithQueue(queue) = hit.limit.strategy() {
            let longest = queue.longest_delay().and_then(|longest| u64::try_from(longest.as_micros()).ok());
            let longest = longest.map_or(NO_BOUND, |longest| longest.min(NO_BOUND));
            self.packed.extend(longest.to_le_bytes().into_iter().take(7));
        }
        Ok(())
    }
}

/// The number of a key.
fn number(key: usize) -> Result<[u8; 2], BackendError> {
    let number = u16::try_from(key).map_err(|_| BackendError::unavailable(NotAsked::TooMany(key)))?;
    Ok(number.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use traffik_core::{
        client::Key,
        decision::LimitId,
        strategy::{SlidingWindowLog, TokenBucket},
    };

    use super::*;

    fn question(strategy: impl Into<AnyStrategy>, rates: &[Rate], cost: u64) -> Result<Question, BackendError> {
        let (key, limit) = (Key::from("alice"), LimitId::new("u", strategy));
        let hits: Vec<_> = rates.iter().map(|&rate| Hit::new(&limit, &key, rate, cost)).collect();
        Question::new(&Keys::new("n", None), &hits)
    }

    #[test]
    fn hits_on_one_entry_share_a_key_and_unlimited_ones_need_none() {
        let rate = Rate::literal("5/min");
        let asked = question(AnyStrategy::default(), &[rate, Rate::UNLIMITED, rate], u64::MAX).unwrap();
        assert_eq!(asked.places.keys, ["{n|text=alice}|u|fixed-window"]);
        assert_eq!(asked.places.of_hits, [Some(0), None, Some(0)]);
        assert_eq!(asked.packed.len(), 2 + 2 * 27);
        assert_eq!(asked.packed.first_chunk(), Some(&1_u16.to_le_bytes()));
    }

    #[test]
    fn what_would_not_be_exact_is_an_error() {
        let bucket = TokenBucket::new().burst(u64::MAX);
        assert!(question(bucket, &[Rate::literal("5/min")], 1).is_err());
        assert!(question(SlidingWindowLog, &[Rate::literal("65537/min")], 1).is_err());
    }
}
