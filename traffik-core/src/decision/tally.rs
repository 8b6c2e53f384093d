use std::mem;

use smallvec::SmallVec;

use super::{Decision, Hit, Outcome, Outcomes};
use crate::{
    clock::Timestamp,
    strategy::{Past, Present, Strategy},
};

/// Room for the hits of most requests. More hits take an allocation.
type Inline<T> = SmallVec<[T; 4]>;

/// Decides about several hits together: either all of them are charged, or none is.
///
/// Several hits on one entry add up: each meets what the hits before it would leave behind. `K` is the key by which the
/// backend finds an entry.
///
/// A backend that runs the strategies itself calls this between reading and writing its entries. The entries must not change
/// in between: the backend holds a lock, or writes only if they are still the same.
///
/// # Panics
///
/// Only where a custom strategy panics. The [entries](Self::entries) then still have the states that were stored, as after
/// a refusal. Custom strategies run first and work on copies.
/// Built-in ones change the states that they were given, and copy them only where an entry has several hits.
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
///
/// use traffik::{
///     Rate,
///     client::Key,
///     clock::Timestamp,
///     decision::{Decision, Hit, HitTally},
///     strategy::{AnyStrategy, Past},
/// };
///
/// fn decide(stored: &mut HashMap<String, Past>, hits: &[Hit<'_>], now: Timestamp) -> Decision {
///     let mut tally = HitTally::new(now);
///     for hit in hits {
///         tally.add(hit, hit.uid, || stored.get(hit.uid).cloned());
///     }
///     let decision = tally.decide();
///     for entry in tally.entries_mut().iter_mut().filter(|entry| entry.is_new()) {
///         stored.extend(entry.take_past().map(|past| (entry.key().to_string(), past)));
///     }
///     decision
/// }
///
/// let (key, strategy, rate) = (Key::from("alice"), AnyStrategy::default(), Rate::literal("5/min"));
/// let hit = |uid, cost| Hit { uid, key: &key, strategy: &strategy, rate, cost };
/// let (mut stored, now) = (HashMap::new(), Timestamp::from_micros(0));
///
/// assert!(decide(&mut stored, &[hit("search", 2), hit("search", 2), hit("export", 1)], now).is_admitted());
/// assert!(!decide(&mut stored, &[hit("search", 1), hit("search", 1), hit("export", 1)], now).is_admitted());
/// assert!(decide(&mut stored, &[hit("search", 1), hit("export", 4)], now).is_admitted());
/// ```
#[derive(Debug)]
pub struct HitTally<'a, K> {
    at: Timestamp,
    entries: Inline<TalliedEntry<'a, K>>,
    /// The hits, each with the place of its entry. A hit at an unlimited rate has none.
    hits: Inline<(&'a Hit<'a>, Option<usize>)>,
    outcomes: SmallVec<[Outcome; 2]>,
}

/// What the hits on one entry come to: see [`HitTally::entries`].
#[derive(Debug)]
pub struct TalliedEntry<'a, K> {
    key: K,
    /// The last hit that fits and costs something, or else the first.
    hit: &'a Hit<'a>,
    before: Option<Past>,
    is_rewound: bool,
    /// Whether one of its hits has a custom strategy, which may panic.
    is_custom: bool,
    /// With the hits charged that fit, except for the last while it is pending.
    after: Option<Past>,
    has_cost: bool,
    is_pending: bool,
    is_charged: bool,
    admitted: bool,
    cost: u64,
}

impl<'a, K> HitTally<'a, K> {
    /// Creates an empty tally for a decision at `at`.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self { at, entries: Inline::new(), hits: Inline::new(), outcomes: SmallVec::new() }
    }

    /// Adds the next hit of the decision, on the entry at `key`.
    ///
    /// Calls `read` for the first hit on an entry; it returns what is stored. A hit at an unlimited rate has no entry.
    pub fn add(&mut self, hit: &'a Hit<'a>, key: K, read: impl FnOnce() -> Option<Past>)
    where
        K: PartialEq,
    {
        let place = (!hit.rate.is_unlimited()).then(|| {
            self.entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
                self.entries.push(TalliedEntry::new(key, hit, hit.strategy.present(read(), self.at)));
                self.entries.len() - 1
            })
        });
        let entry = place.and_then(|place| self.entries.get_mut(place));
        let (admitted, cost) = entry.map_or((true, hit.cost), |entry| entry.add(hit, self.at));
        self.hits.push((hit, place));
        self.outcomes.push(Outcome { admitted, past: None, cost, at: self.at });
    }

    /// Charges all hits if all of them fit, and returns the outcomes.
    #[must_use]
    pub fn decide(&mut self) -> Decision {
        let is_charged = self.entries.iter().all(|entry| entry.admitted);
        self.conclude(is_charged)
    }

    /// Returns the outcomes, and charges nothing.
    #[must_use]
    pub fn peek(&mut self) -> Decision {
        self.conclude(false)
    }

    /// Returns the entries, in the order of their first hits.
    pub fn entries(&self) -> &[TalliedEntry<'a, K>] {
        &self.entries
    }

    /// Returns the same, for a store that takes their states.
    pub fn entries_mut(&mut self) -> &mut [TalliedEntry<'a, K>] {
        &mut self.entries
    }

    fn conclude(&mut self, is_charged: bool) -> Decision {
        // The built-in strategies, which cannot panic, move the states once no custom one is left to run.
        let passes: &[bool] = if self.entries.iter().any(|entry| entry.is_custom) { &[true, false] } else { &[false] };
        for &is_custom in passes {
            for (&(hit, place), outcome) in self.hits.iter().zip(&mut self.outcomes) {
                let entry = place.and_then(|place| self.entries.get_mut(place));
                let Some(entry) = entry.filter(|entry| entry.is_custom == is_custom) else { continue };
                if is_charged {
                    entry.charge(is_custom, self.at);
                }
                let known = entry.after.as_ref().filter(|_| is_charged).or(entry.before.as_ref());
                outcome.past = known.map(|past| hit.strategy.outline(past, hit.rate, outcome.cost, self.at));
            }
        }
        self.entries.iter_mut().for_each(|entry| entry.is_charged = is_charged && entry.has_cost);
        Decision(Outcomes::Several(mem::take(&mut self.outcomes)))
    }
}

impl<'a, K> TalliedEntry<'a, K> {
    /// Returns the key that its first hit was added with.
    pub const fn key(&self) -> &K {
        &self.key
    }

    /// Returns the last hit that was charged, or another hit if none was.
    pub const fn hit(&self) -> &'a Hit<'a> {
        self.hit
    }

    /// Returns whether a hit was charged.
    pub const fn is_charged(&self) -> bool {
        self.is_charged
    }

    /// Returns whether the state has to be stored: after a charge, and after the clock went back.
    pub const fn is_new(&self) -> bool {
        self.is_charged || self.is_rewound
    }

    /// Returns the state: with all hits charged, or as it was before.
    pub const fn past(&self) -> Option<&Past> {
        if self.is_charged { self.after.as_ref() } else { self.before.as_ref() }
    }

    /// Removes the state from the tally.
    pub const fn take_past(&mut self) -> Option<Past> {
        if self.is_charged { self.after.take() } else { self.before.take() }
    }

    fn new(key: K, hit: &'a Hit<'a>, Present { past, is_rewound }: Present) -> Self {
        Self {
            key,
            hit,
            before: past,
            is_rewound,
            is_custom: false,
            after: None,
            has_cost: false,
            is_pending: false,
            is_charged: false,
            admitted: true,
            cost: 0,
        }
    }

    /// Returns whether the hit and those before it fit, and their cost.
    fn add(&mut self, hit: &'a Hit<'a>, now: Timestamp) -> (bool, u64) {
        // Only a second hit has to know what the first would leave behind.
        self.charge(true, now);
        self.is_custom |= hit.strategy.is_custom();
        let known =
            self.after.as_ref().map_or(self.before.as_ref(), |after| Some(after).filter(|after| after.is_alive(now)));
        let fits = hit.cost == 0 || hit.strategy.fits(known, hit.rate, hit.cost, now);
        if fits && hit.cost > 0 {
            (self.hit, self.has_cost, self.is_pending) = (hit, true, true);
        }
        self.admitted &= fits;
        self.cost = self.cost.saturating_add(hit.cost);
        (self.admitted, self.cost)
    }

    /// Charges the hit that is pending, if one is.
    fn charge(&mut self, keeps_before: bool, now: Timestamp) {
        if !mem::take(&mut self.is_pending) {
            return;
        }
        let known = match self.after.take() {
            Some(after) => Some(after).filter(|after| after.is_alive(now)),
            None if keeps_before => self.before.clone(),
            None => self.before.take(),
        };
        let Hit { strategy, rate, cost, .. } = *self.hit;
        self.after = Some(Past { state: strategy.charge(known, rate, cost, now), rate });
    }
}
