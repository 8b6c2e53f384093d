//! A store that forgets nothing, knows no concurrency, and leaves every decision to [`AnyStrategy::decide`].

use std::collections::HashMap;

#[cfg(doc)]
use traffik_core::strategy::AnyStrategy;
use traffik_core::{
    client::Key,
    clock::Timestamp,
    decision::{Charge, Hit, Outcome},
    strategy::{StoredState, Strategy},
};

/// What an entry is kept by.
type Name = (String, &'static str, Key);

#[derive(Debug, Default)]
pub(super) struct Reference(HashMap<Name, StoredState>);

/// What several hits of one decision make of one entry.
struct Entry {
    /// What is known of it at that time, and whether the clock went back since it was written.
    before: Option<StoredState>,
    is_rewound: bool,
    after: Option<StoredState>,
    is_charged: bool,
    admitted: bool,
    cost: u64,
}

impl Reference {
    pub(super) fn decide(&mut self, hits: &[Hit<'_>], now: Timestamp) -> Vec<Outcome> {
        let (outcomes, entries) = self.try_hits(hits, now);
        let all_fit = outcomes.iter().all(|outcome| outcome.admitted);
        for (name, entry) in entries {
            let stored =
                if all_fit && entry.is_charged { entry.after } else { entry.before.filter(|_| entry.is_rewound) };
            self.0.extend(stored.map(|past| (name, past)));
        }
        outcomes
    }

    pub(super) fn peek(&self, hits: &[Hit<'_>], now: Timestamp) -> Vec<Outcome> {
        let (mut outcomes, entries) = self.try_hits(hits, now);
        for (outcome, hit) in outcomes.iter_mut().zip(hits) {
            outcome.past = entries.get(&name_of(hit)).and_then(|entry| entry.before.clone());
        }
        outcomes
    }

    pub(super) fn refund(&mut self, charges: &[Charge<'_>], now: Timestamp) {
        for Charge { hit, at, .. } in charges.iter().filter(|charge| !charge.hit.rate.is_unlimited()) {
            let stored = self.0.remove(&name_of(hit));
            if let Some(past) = hit.limit.strategy().current(stored, now).past {
                let rate = past.rate;
                let state = hit.limit.strategy().refund(past, hit.cost, *at, now);
                self.0.insert(name_of(hit), StoredState { state, rate });
            }
        }
    }

    /// Each by itself: whether it was charged anew.
    pub(super) fn renew(&mut self, charges: &[Charge<'_>], now: Timestamp) -> Vec<bool> {
        let mut renew_one = |Charge { hit, at, .. }: &Charge<'_>| {
            if hit.rate.is_unlimited() {
                return true;
            }
            let renewed = hit.limit.strategy().renew(self.0.remove(&name_of(hit)), hit.rate, hit.cost, *at, now);
            self.0.extend(renewed.past.map(|past| (name_of(hit), past)));
            renewed.admitted
        };
        charges.iter().map(&mut renew_one).collect()
    }

    pub(super) fn reset(&mut self, hits: &[Hit<'_>]) {
        for hit in hits {
            self.0.remove(&name_of(hit));
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn try_hits(&self, hits: &[Hit<'_>], now: Timestamp) -> (Vec<Outcome>, HashMap<Name, Entry>) {
        let (mut entries, mut outcomes) = (HashMap::new(), Vec::new());
        for hit in hits {
            if hit.rate.is_unlimited() {
                outcomes.push(Outcome::new(true, hit.cost, now));
                continue;
            }
            let entry = entries.entry(name_of(hit)).or_insert_with(|| self.entry(hit, now));
            entry.charge(hit, now);
            outcomes.push(Outcome::new(entry.admitted, entry.cost, now).with_granted(hit.cost));
        }
        let all_fit = outcomes.iter().all(|outcome| outcome.admitted);
        for (outcome, hit) in outcomes.iter_mut().zip(hits) {
            let entry = entries.get(&name_of(hit)).filter(|_| !hit.rate.is_unlimited());
            outcome.past = entry.and_then(|entry| if all_fit { entry.after.clone() } else { entry.before.clone() });
        }
        (outcomes, entries)
    }

    fn entry(&self, hit: &Hit<'_>, now: Timestamp) -> Entry {
        // What costs nothing changes nothing: it tells what is known now.
        let known = hit.limit.strategy().decide(self.0.get(&name_of(hit)).cloned(), hit.rate, 0, now);
        Entry {
            after: known.past.clone(),
            before: known.past,
            is_rewound: known.is_new,
            is_charged: false,
            admitted: true,
            cost: 0,
        }
    }
}

impl Entry {
    fn charge(&mut self, hit: &Hit<'_>, now: Timestamp) {
        let verdict = hit.limit.strategy().decide(self.after.clone(), hit.rate, hit.cost, now);
        if verdict.admitted {
            self.after = verdict.past;
            self.is_charged |= hit.cost > 0;
        }
        self.admitted &= verdict.admitted;
        self.cost = self.cost.saturating_add(hit.cost);
    }
}

fn name_of(hit: &Hit<'_>) -> Name {
    (hit.limit.uid().to_owned(), hit.limit.strategy().name(), hit.key.clone())
}
