//! A store that forgets nothing, knows no concurrency, and leaves every decision to [`AnyStrategy::decide`].

use std::collections::{BTreeMap, HashMap};

#[cfg(doc)]
use traffik_core::strategy::AnyStrategy;
use traffik_core::{
    backend::{Adjusted, ControlRequest},
    client::Key,
    clock::Timestamp,
    decision::{Adjustment, Charge, Hit, Outcome},
    strategy::{StoredState, Strategy},
};

/// What an entry is kept by.
type Name = (String, &'static str, Key);

#[derive(Debug, Default)]
pub(super) struct Reference {
    entries: HashMap<Name, StoredState>,
    settings: BTreeMap<String, String>,
}

/// What the hits of a decision make of the entries.
#[derive(Default)]
struct Trial {
    entries: HashMap<Name, Entry>,
    outcomes: Vec<Outcome>,
}

/// What several hits of one decision make of one entry.
struct Entry {
    /// What is known of it at that time, and whether the clock went back since it was written.
    before: Option<StoredState>,
    is_rewound: bool,
    after: Option<StoredState>,
    is_charged: bool,
    admitted: bool,
}

impl Reference {
    pub(super) fn decide(&mut self, hits: &[Hit<'_>], now: Timestamp) -> Vec<Outcome> {
        let Trial { entries, outcomes } = self.try_hits(hits, now);
        let is_admitted = outcomes.iter().all(Outcome::lets_pass);
        for (name, entry) in entries {
            let stored =
                if is_admitted && entry.is_charged { entry.after } else { entry.before.filter(|_| entry.is_rewound) };
            self.entries.extend(stored.map(|past| (name, past)));
        }
        outcomes
    }

    pub(super) fn peek(&self, hits: &[Hit<'_>], now: Timestamp) -> Vec<Outcome> {
        let Trial { entries, mut outcomes } = self.try_hits(hits, now);
        for (outcome, hit) in outcomes.iter_mut().zip(hits) {
            outcome.past = entries.get(&name_of(hit)).and_then(|entry| entry.before.clone());
        }
        outcomes
    }

    /// Each by itself.
    pub(super) fn adjust(&mut self, adjustments: &[Adjustment<'_>], now: Timestamp) -> Vec<Adjusted> {
        let adjust_one = |Adjustment { charge: Charge { hit, at, .. }, actual, .. }: &Adjustment<'_>| {
            let outcome = Outcome::new(true, *actual, now);
            if hit.rate.is_unlimited() {
                return Ok(outcome);
            }
            let stored = self.entries.get(&name_of(hit)).cloned();
            let settled = hit.limit.strategy().settle(stored, hit.rate, hit.cost, *actual, *at, now)?;
            self.entries.extend(settled.past.clone().filter(|_| settled.is_new).map(|past| (name_of(hit), past)));
            Ok(outcome.with_past(settled.past.filter(|past| past.is_alive(now))))
        };
        adjustments.iter().map(adjust_one).collect()
    }

    /// Each by itself: whether it was charged anew.
    pub(super) fn renew(&mut self, charges: &[Charge<'_>], now: Timestamp) -> Vec<bool> {
        let mut renew_one = |Charge { hit, at, .. }: &Charge<'_>| {
            if hit.rate.is_unlimited() {
                return true;
            }
            let stored = self.entries.remove(&name_of(hit));
            let renewed = hit.limit.strategy().renew(stored, hit.rate, hit.cost, *at, now);
            self.entries.extend(renewed.past.map(|past| (name_of(hit), past)));
            renewed.admitted
        };
        charges.iter().map(&mut renew_one).collect()
    }

    pub(super) fn reset(&mut self, hits: &[Hit<'_>]) {
        for hit in hits {
            self.entries.remove(&name_of(hit));
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Returns whether a setting is replaced, and all settings after that.
    pub(super) fn control(&mut self, request: ControlRequest<'_>) -> (bool, Vec<(String, String)>) {
        let mut is_replaced = false;
        if let ControlRequest::Replace { name, expected, value } = request {
            is_replaced = self.settings.get(name).map(String::as_str) == expected;
            if is_replaced {
                self.settings.remove(name);
                self.settings.extend(value.map(|value| (name.to_owned(), value.to_owned())));
            }
        }
        (is_replaced, self.settings.clone().into_iter().collect())
    }

    /// Tries the enforced hits with the highest amount above their lowest costs that fits, and then the others.
    fn try_hits(&self, hits: &[Hit<'_>], now: Timestamp) -> Trial {
        let extra = self.extra(hits, now);
        let mut trial = self.try_enforced(hits, extra, now);
        for (hit, place) in hits.iter().zip(0..).filter(|(hit, _)| !hit.enforced) {
            let admitted = self.try_hit(&mut trial, hit, granted(hit, extra), now);
            if let Some(outcome) = trial.outcomes.get_mut(place) {
                outcome.admitted = admitted;
            }
        }
        let is_admitted = trial.outcomes.iter().all(Outcome::lets_pass);
        for (place, hit) in hits.iter().enumerate() {
            let cost = Self::cost_up_to(hits, &trial.outcomes, place);
            let entry = trial.entries.get(&name_of(hit)).filter(|_| !hit.rate.is_unlimited());
            let past = entry.and_then(|entry| if is_admitted { entry.after.clone() } else { entry.before.clone() });
            if let Some(outcome) = trial.outcomes.get_mut(place) {
                (outcome.cost, outcome.past) = (cost, past);
            }
        }
        trial
    }

    /// The cost of a hit and of those that come before it on its entry, of which some may not be charged.
    fn cost_up_to(hits: &[Hit<'_>], outcomes: &[Outcome], place: usize) -> u64 {
        let Some((hit, own)) = hits.get(place).zip(outcomes.get(place)) else { return 0 };
        let before = hits.iter().zip(outcomes).take(place).filter(|(other, outcome)| {
            let counts = other.enforced || (!hit.enforced && outcome.admitted);
            counts && !hit.rate.is_unlimited() && !other.rate.is_unlimited() && name_of(other) == name_of(hit)
        });
        before.fold(own.granted, |sum, (_, outcome)| sum.saturating_add(outcome.granted))
    }

    /// The highest amount above their lowest costs that all hits can have that take what fits, by search.
    fn extra(&self, hits: &[Hit<'_>], now: Timestamp) -> u64 {
        let fits = |extra| self.try_enforced(hits, extra, now).outcomes.iter().all(Outcome::lets_pass);
        let flexible = hits.iter().filter(|hit| hit.enforced && hit.at_least < hit.cost);
        let most = flexible.map(|hit| hit.cost - hit.at_least).min();
        match most {
            _ if !fits(0) => 0,
            None => u64::MAX,
            Some(most) if fits(most) => most,
            Some(most) => {
                let mut between = 0..most;
                while between.end - between.start > 1 {
                    let middle = between.start.midpoint(between.end);
                    between = if fits(middle) { middle..between.end } else { between.start..middle };
                }
                between.start
            }
        }
    }

    fn try_enforced(&self, hits: &[Hit<'_>], extra: u64, now: Timestamp) -> Trial {
        let mut trial = Trial::default();
        for hit in hits {
            let cost = granted(hit, extra);
            let admitted = !hit.enforced || self.try_hit(&mut trial, hit, cost, now);
            let mut outcome = Outcome::new(admitted, cost, now);
            outcome.enforced = hit.enforced;
            trial.outcomes.push(outcome);
        }
        trial
    }

    /// Returns whether a hit fits after those before it. One that is enforced does not fit after another that did not.
    fn try_hit(&self, trial: &mut Trial, hit: &Hit<'_>, cost: u64, now: Timestamp) -> bool {
        if hit.rate.is_unlimited() {
            return true;
        }
        let entry = trial.entries.entry(name_of(hit)).or_insert_with(|| self.entry(hit, now));
        let verdict = hit.limit.strategy().decide(entry.after.clone(), hit.rate, cost, now);
        if verdict.admitted {
            entry.after = verdict.past;
            entry.is_charged |= cost > 0;
        }
        if hit.enforced {
            entry.admitted &= verdict.admitted;
            return entry.admitted;
        }
        verdict.admitted
    }

    fn entry(&self, hit: &Hit<'_>, now: Timestamp) -> Entry {
        // A cost of 0 changes nothing, and returns the present state.
        let stored = self.entries.get(&name_of(hit)).cloned();
        let known = hit.limit.strategy().decide(stored, hit.rate, 0, now);
        Entry {
            after: known.past.clone(),
            before: known.past,
            is_rewound: known.is_new,
            is_charged: false,
            admitted: true,
        }
    }
}

fn granted(hit: &Hit<'_>, extra: u64) -> u64 {
    hit.at_least.saturating_add(extra).min(hit.cost)
}

fn name_of(hit: &Hit<'_>) -> Name {
    (hit.limit.uid().to_owned(), hit.limit.strategy().name(), hit.key.clone())
}
