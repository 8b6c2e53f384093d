//! The arguments of a script: the keys, and the hits in as few bytes as they need.

use traffik_core::{
    backend::BackendError,
    decision::{Charge, Hit},
    strategy::{AnyStrategy, Strategy},
};

use crate::{
    client::slot_of,
    keys::Keys,
    places::{Amount, Places},
    scripts::{LuaSet, LuaStrategy},
};

/// The highest cost that is sent. It never fits. Decisions send a higher cost as this one.
pub(crate) const MAX_SENT: u64 = (1 << 48) - 1;

/// The highest cost of a charge that is settled or renewed. Arithmetic in Lua is exact below 2^52.
pub(crate) const MAX_CHARGE: u64 = (1 << 52) - 1;

/// Flags above the number of a strategy: the hit takes what fits, is not enforced, or its strategy does not count
/// amounts.
const TAKES_WHAT_FITS: u8 = 1 << 4;
const NOT_ENFORCED: u8 = 1 << 5;
const INDIVISIBLE: u8 = 1 << 6;

/// A delay that no queue reaches, in microseconds: 142 years.
const NO_BOUND: u64 = (1 << 52) - 1;

/// The hits of one call. Scripts do not see hits at an unlimited rate.
pub(crate) struct Question {
    pub(crate) places: Places,
    pub(crate) way: Way,
    /// The number of keys, and each hit, as `hits.lua` reads them. Then the numbers of charges, as `charges.lua` does.
    pub(crate) args: Vec<Vec<u8>>,
}

/// How a question is answered.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// Without a call: all rates are unlimited.
    Here,
    /// By a script for these strategies.
    Script(LuaSet),
    /// By compare and swap, because a strategy has no form in Lua.
    Swap,
}

impl Question {
    pub(crate) fn new(keys: &Keys, hits: &[Hit<'_>]) -> Result<Self, BackendError> {
        let places = Places::of(hits, keys)?;
        let (max_extra, mut strategies) = (places.max_extra(), None::<LuaSet>);
        let mut packed = number(places.keys.len())?.to_vec();
        for (hit, place) in hits.iter().zip(&places.of_hits) {
            let Some(place) = *place else { continue };
            let Some(strategy) = LuaStrategy::of(hit.limit.strategy()) else {
                return Ok(Self { places, way: Way::Swap, args: Vec::new() });
            };
            let only = LuaSet::Only(strategy);
            strategies = Some(strategies.map_or(only, |set| set.and(only)));
            push(&mut packed, hit, number(place + 1)?, strategy, max_extra);
        }
        Ok(Self { places, way: strategies.map_or(Way::Here, Way::Script), args: vec![packed] })
    }

    /// Creates a question about charges. Sends the time, the cost and, if there is one, the actual cost of each.
    pub(crate) fn about<'a>(
        keys: &Keys,
        charges: impl Iterator<Item = (&'a Charge<'a>, Option<u64>)> + Clone,
    ) -> Result<Self, BackendError> {
        let plain = charges.clone().map(|(Charge { hit, .. }, _)| Hit::new(hit.limit, hit.key, hit.rate, hit.cost));
        let mut question = Self::new(keys, &plain.collect::<Vec<_>>())?;
        let mut numbers = Vec::new();
        for (charge, actual) in charges {
            for number in [charge.at.as_micros(), charge.hit.cost].into_iter().chain(actual) {
                put(&mut numbers, number, 7);
            }
        }
        question.args.push(numbers);
        Ok(question)
    }

    /// Returns the slot of the keys in a cluster.
    pub(crate) fn slot(&self) -> u16 {
        self.places.keys.first().map_or(0, |key| slot_of(key))
    }

    /// Returns the number of hits.
    pub(crate) fn len(&self) -> usize {
        self.places.of_hits.len()
    }
}

/// Appends a hit on a key. A hit that takes what fits takes at most `max_extra` above its lowest cost.
fn push(packed: &mut Vec<u8>, hit: &Hit<'_>, key: [u8; 2], strategy: LuaStrategy, max_extra: u64) {
    let takes_what_fits = hit.least() < hit.cost;
    let flags = [
        (TAKES_WHAT_FITS, takes_what_fits),
        (NOT_ENFORCED, !hit.enforced),
        (INDIVISIBLE, matches!(hit.limit.strategy(), AnyStrategy::Concurrency(_))),
    ];
    let flags = flags.into_iter().filter(|(_, is_set)| *is_set).fold(0, |flags, (flag, _)| flags | flag);
    packed.extend(key);
    packed.push(strategy as u8 | flags);
    put(packed, hit.limit.strategy().capacity(hit.rate), 6);
    put(packed, hit.rate.limit(), 6);
    put(packed, hit.rate.period_micros(), 6);
    put(packed, hit.least().min(MAX_SENT), 6);
    if takes_what_fits {
        put(packed, Amount::from(hit).granted(max_extra).min(MAX_SENT), 6);
    }
    if let AnyStrategy::LeakyBucketWithQueue(queue) = hit.limit.strategy() {
        let longest = queue.longest_delay().and_then(|longest| u64::try_from(longest.as_micros()).ok());
        put(packed, longest.map_or(NO_BOUND, |longest| longest.min(NO_BOUND)), 7);
    }
}

/// Appends the low bytes of a number.
fn put(packed: &mut Vec<u8>, number: u64, width: usize) {
    packed.extend(number.to_le_bytes().into_iter().take(width));
}

/// Packs the number of a key.
fn number(key: usize) -> Result<[u8; 2], BackendError> {
    let too_many = |_| BackendError::unavailable(format!("{key} limits are too many for one decision"));
    Ok(u16::try_from(key).map_err(too_many)?.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use traffik_core::{
        Rate,
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
        assert_eq!(asked.args[0].len(), 2 + 2 * 27);
        assert_eq!(asked.args[0].first_chunk(), Some(&1_u16.to_le_bytes()));
    }

    #[test]
    fn plain_hits_have_no_flags_and_others_their_lowest_cost_before_the_highest() {
        let (key, limit, rate) = (Key::from("alice"), LimitId::new("u", SlidingWindowLog), Rate::literal("5/min"));
        let hit = Hit::new(&limit, &key, rate, 7);
        let packed = |hits: &[Hit<'_>]| Question::new(&Keys::new("n", None), hits).unwrap().args.swap_remove(0);
        let (plain, flexible) = (packed(&[hit]), packed(&[hit.at_least(2)]));
        assert_eq!((plain.len(), flexible.len()), (29, 35));
        assert_eq!((plain[4], flexible[4]), (4, 4 | TAKES_WHAT_FITS));
        assert_eq!((plain[23], flexible[23], flexible[29]), (7, 2, 7));
        let not_enforced = packed(&[hit.not_enforced()]);
        assert_eq!((not_enforced.len(), not_enforced[4]), (29, 4 | NOT_ENFORCED));
        // A hit at an unlimited rate bounds the extra cost of the others.
        let bounded = packed(&[hit.at_least(2), hit.at_rate(Rate::UNLIMITED).at_least(4)]);
        assert_eq!(bounded[29], 5);
    }

    #[test]
    fn cost_that_cannot_be_sent_exactly_is_an_error() {
        let bucket = TokenBucket::new().burst(u64::MAX);
        assert!(question(bucket, &[Rate::literal("5/min")], 1).is_err());
        assert!(question(SlidingWindowLog, &[Rate::literal("65537/min")], 1).is_err());
    }
}
