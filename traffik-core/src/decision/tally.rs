use std::mem;

use smallvec::SmallVec;

use super::{Decision, Hit, Outcome, Outcomes};
use crate::{
    clock::Timestamp,
    strategy::{CurrentState, StoredState, Strategy},
};

/// Room for the hits of most requests. More hits take an allocation.
type Inline<T> = SmallVec<[T; 4]>;

/// Decides about several hits together: either all of them are charged, or none is.
///
/// Several hits on one entry add up: each meets what the hits before it would leave behind. Hits that take what fits get as
/// much above [`at_least`](Hit::at_least) as all of them can have, the same amount each. Hits that are not
/// [enforced](Hit::enforced) come last, and never refuse the decision. `K` is the key by which the backend finds an entry.
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
///     decision::{Decision, Hit, HitTally, LimitId},
///     strategy::{AnyStrategy, StoredState},
/// };
///
/// fn decide(stored: &mut HashMap<String, StoredState>, hits: &[Hit<'_>], now: Timestamp) -> Decision {
///     let mut tally = HitTally::new(now);
///     for hit in hits {
///         tally.add(hit, hit.limit.uid(), || stored.get(hit.limit.uid()).cloned());
///     }
///     let decision = tally.decide();
///     for entry in tally.entries_mut().iter_mut().filter(|entry| entry.is_new()) {
///         stored.extend(entry.take_past().map(|past| (entry.key().to_string(), past)));
///     }
///     decision
/// }
///
/// let [search, export] = ["search", "export"].map(|uid| LimitId::new(uid, AnyStrategy::default()));
/// let (key, rate) = (Key::from("alice"), Rate::literal("5/min"));
/// let hit = |limit, cost| Hit::new(limit, &key, rate, cost);
/// let (mut stored, now) = (HashMap::new(), Timestamp::from_micros(0));
///
/// assert!(decide(&mut stored, &[hit(&search, 2), hit(&search, 2), hit(&export, 1)], now).is_admitted());
/// assert!(!decide(&mut stored, &[hit(&search, 1), hit(&search, 1), hit(&export, 1)], now).is_admitted());
/// assert!(decide(&mut stored, &[hit(&search, 1), hit(&export, 4)], now).is_admitted());
/// ```
#[derive(Debug)]
pub struct HitTally<'a, K> {
    at: Timestamp,
    entries: Inline<TalliedEntry<'a, K>>,
    /// The hits, each with the place of its entry. A hit at an unlimited rate has none.
    hits: Inline<(&'a Hit<'a>, Option<usize>)>,
    outcomes: SmallVec<[Outcome; 4]>,
    /// Whether all hits are enforced and take exactly their costs.
    is_plain: bool,
}

/// The result of all hits on one entry: see [`HitTally::entries`].
#[derive(Debug)]
pub struct TalliedEntry<'a, K> {
    key: K,
    /// The last hit that fits and has a cost, or else the first.
    hit: &'a Hit<'a>,
    before: Option<StoredState>,
    is_rewound: bool,
    /// Whether one of its hits has a custom strategy, which may panic.
    is_custom: bool,
    /// With the hits charged that fit, except for the last while it is pending.
    after: Option<StoredState>,
    has_cost: bool,
    /// The cost of the last hit, while it is not charged in `after`.
    pending: u64,
    is_charged: bool,
    admitted: bool,
    cost: u64,
}

impl<'a, K> HitTally<'a, K> {
    /// Creates an empty tally for a decision at `at`.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self { at, entries: Inline::new(), hits: Inline::new(), outcomes: SmallVec::new(), is_plain: true }
    }

    /// Adds the next hit of the decision, on the entry at `key`.
    ///
    /// Calls `read` for the first hit on an entry; it returns what is stored. A hit at an unlimited rate has no entry.
    pub fn add(&mut self, hit: &'a Hit<'a>, key: K, read: impl FnOnce() -> Option<StoredState>)
    where
        K: PartialEq,
    {
        let place = (!hit.rate.is_unlimited()).then(|| {
            self.entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
                self.entries.push(TalliedEntry::new(key, hit, hit.limit.strategy().current(read(), self.at)));
                self.entries.len() - 1
            })
        });
        let entry = place.and_then(|place| self.entries.get_mut(place)).filter(|_| hit.enforced);
        let (admitted, cost) = entry.map_or((true, hit.least()), |entry| entry.add(hit, self.at));
        self.is_plain &= hit.is_plain();
        self.hits.push((hit, place));
        let outcome = Outcome::new(admitted, cost, self.at);
        self.outcomes.push(Outcome { enforced: hit.enforced, granted: hit.least(), ..outcome });
    }

    /// Charges all hits if all of them fit, and returns the outcomes.
    #[must_use]
    pub fn decide(&mut self) -> Decision {
        let is_charged = self.grant();
        self.conclude(is_charged)
    }

    /// Returns the outcomes, and charges nothing.
    #[must_use]
    pub fn peek(&mut self) -> Decision {
        self.grant();
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

    /// Returns whether all enforced hits fit. Adds the hits that are not plain.
    fn grant(&mut self) -> bool {
        let is_admitted = self.entries.iter().all(|entry| entry.admitted);
        if !self.is_plain {
            let extra = if is_admitted { self.extra() } else { 0 };
            self.tell(extra);
        }
        is_admitted
    }

    /// Charges the hits that take what fits the highest amount above their lowest costs that all of them can have, and returns
    /// it. Without such hits it has no end.
    fn extra(&mut self) -> u64 {
        let flexible = self.hits.iter().filter(|(hit, _)| takes_what_fits(hit));
        let Some(mut most) = flexible.map(|(hit, _)| hit.cost - hit.least()).min() else { return u64::MAX };
        let mut fits = 0;
        // Most strategies need no more than these two. The rest is found by halving.
        let left = self.left();
        let mut guesses = [left, left.saturating_add(1)].into_iter();
        while fits < most {
            let extra = guesses.next().unwrap_or_else(|| most - (most - fits) / 2).clamp(fits + 1, most);
            if self.fits(extra) {
                fits = extra;
            } else {
                most = extra - 1;
            }
        }
        self.fits(fits);
        fits
    }

    /// Estimates that amount from what the strategies have available.
    fn left(&self) -> u64 {
        let left = self.hits.iter().filter(|(hit, _)| takes_what_fits(hit)).filter_map(|&(hit, place)| {
            let entry = self.entries.get(place?)?;
            let on_entry = self.hits.iter().filter(|(other, of)| *of == place && takes_what_fits(other)).count();
            let available = hit.limit.strategy().available(entry.before.as_ref(), hit.rate, self.at);
            Some(available.saturating_sub(entry.cost) / on_entry.max(1) as u64)
        });
        left.min().unwrap_or(u64::MAX)
    }

    /// Charges the enforced hits anew, with `extra` above the lowest costs. Returns `false` at the first that does not fit.
    fn fits(&mut self, extra: u64) -> bool {
        self.entries.iter_mut().for_each(TalliedEntry::start_again);
        self.hits.iter().filter(|(hit, _)| hit.enforced).all(|&(hit, place)| {
            let entry = place.and_then(|place| self.entries.get_mut(place));
            entry.is_none_or(|entry| entry.try_push(hit, granted(hit, extra), self.at))
        })
    }

    /// Sets what each hit is granted, with `extra` above the lowest costs, and adds the hits that are not enforced.
    fn tell(&mut self, extra: u64) {
        for (&(hit, place), outcome) in self.hits.iter().zip(&mut self.outcomes) {
            outcome.granted = granted(hit, extra);
            let entry = place.and_then(|place| self.entries.get_mut(place)).filter(|_| !hit.enforced);
            if let Some(entry) = entry {
                outcome.admitted = entry.try_push(hit, outcome.granted, self.at);
            }
        }
        for (place, &(hit, entry)) in self.hits.iter().enumerate() {
            let before = self.hits.iter().zip(&self.outcomes).take(place);
            let same = before.filter(|((other, of), outcome)| {
                entry.is_some() && *of == entry && (other.enforced || outcome.admitted && !hit.enforced)
            });
            let before = same.fold(0_u64, |sum, (_, outcome)| sum.saturating_add(outcome.granted));
            if let Some(outcome) = self.outcomes.get_mut(place) {
                outcome.cost = before.saturating_add(outcome.granted);
            }
        }
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
                outcome.past = known.map(|past| hit.limit.strategy().summary(past, hit.rate, outcome.cost, self.at));
            }
        }
        self.entries.iter_mut().for_each(|entry| entry.is_charged = is_charged && entry.has_cost);
        Decision(Outcomes::Several(mem::take(&mut self.outcomes)))
    }
}

fn takes_what_fits(hit: &Hit<'_>) -> bool {
    hit.enforced && hit.least() < hit.cost
}

/// Returns the cost of a hit that gets `extra` above its lowest cost.
fn granted(hit: &Hit<'_>, extra: u64) -> u64 {
    hit.least().saturating_add(extra).min(hit.cost)
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
    pub const fn past(&self) -> Option<&StoredState> {
        if self.is_charged { self.after.as_ref() } else { self.before.as_ref() }
    }

    /// Removes the state from the tally.
    pub const fn take_past(&mut self) -> Option<StoredState> {
        if self.is_charged { self.after.take() } else { self.before.take() }
    }

    fn new(key: K, hit: &'a Hit<'a>, CurrentState { past, is_rewound }: CurrentState) -> Self {
        Self {
            key,
            hit,
            before: past,
            is_rewound,
            is_custom: false,
            after: None,
            has_cost: false,
            pending: 0,
            is_charged: false,
            admitted: true,
            cost: 0,
        }
    }

    /// Returns whether the lowest cost of an enforced hit fits after the hits before it, and their cost.
    fn add(&mut self, hit: &'a Hit<'a>, now: Timestamp) -> (bool, u64) {
        self.admitted &= self.try_push(hit, hit.least(), now);
        self.cost = self.cost.saturating_add(hit.least());
        (self.admitted, self.cost)
    }

    /// Charges `cost` if it fits after the hits before it, and returns whether it does.
    fn try_push(&mut self, hit: &'a Hit<'a>, cost: u64, now: Timestamp) -> bool {
        // Only a second hit has to know what the first would leave behind.
        self.charge(true, now);
        self.is_custom |= hit.limit.strategy().is_custom();
        let fits = cost == 0 || hit.limit.strategy().fits(self.known(now), hit.rate, cost, now);
        if fits && cost > 0 {
            (self.hit, self.has_cost, self.pending) = (hit, true, cost);
        }
        fits
    }

    /// Forgets all hits.
    fn start_again(&mut self) {
        (self.after, self.has_cost, self.pending) = (None, false, 0);
    }

    fn known(&self, now: Timestamp) -> Option<&StoredState> {
        match &self.after {
            Some(after) => Some(after).filter(|after| after.is_alive(now)),
            None => self.before.as_ref(),
        }
    }

    /// Charges the cost that is pending, if one is.
    fn charge(&mut self, keeps_before: bool, now: Timestamp) {
        let cost = mem::take(&mut self.pending);
        if cost == 0 {
            return;
        }
        let known = match self.after.take() {
            Some(after) => Some(after).filter(|after| after.is_alive(now)),
            None if keeps_before => self.before.clone(),
            None => self.before.take(),
        };
        let Hit { limit, rate, .. } = *self.hit;
        self.after = Some(StoredState { state: limit.strategy().charge(known, rate, cost, now), rate });
    }
}
