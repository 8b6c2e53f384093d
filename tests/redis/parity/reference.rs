//! A store that forgets nothing, and leaves every decision to `AnyStrategy::decide`.

use std::collections::HashMap;

use traffik::{
    clock::Timestamp,
    decision::{Charge, Hit, Outcome},
    strategy::{StoredState, Strategy},
};

/// What is stored of one client, by uid.
#[derive(Default)]
pub(super) struct Reference(HashMap<String, StoredState>);

struct Entry {
    /// What still says something, and whether it was moved back with the clock.
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
        for (uid, entry) in entries {
            let stored =
                if all_fit && entry.is_charged { entry.after } else { entry.before.filter(|_| entry.is_rewound) };
            self.0.extend(stored.map(|past| (uid, past)));
        }
        outcomes
    }

    pub(super) fn peek(&self, hits: &[Hit<'_>], now: Timestamp) -> Vec<Outcome> {
        let (mut outcomes, entries) = self.try_hits(hits, now);
        for (outcome, hit) in outcomes.iter_mut().zip(hits) {
            outcome.past = entries.get(hit.limit.uid()).and_then(|entry| summary(entry.before.as_ref(), hit, outcome));
        }
        outcomes
    }

    pub(super) fn refund(&mut self, Charge { hit, at: charged_at, .. }: Charge<'_>, now: Timestamp) {
        let known = hit.limit.strategy().decide(self.0.get(hit.limit.uid()).cloned(), hit.rate, 0, now);
        if let Some(StoredState { state, rate }) = known.past {
            let state = hit.limit.strategy().refund(StoredState { state, rate }, hit.cost, charged_at, now);
            self.0.insert(hit.limit.uid().to_owned(), StoredState { state, rate });
        }
    }

    pub(super) fn renew(
        &mut self,
        Charge { hit, at: charged_at, .. }: Charge<'_>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let known = self.0.remove(hit.limit.uid());
        let renewed = hit.limit.strategy().renew(known, hit.rate, hit.cost, charged_at, now);
        self.0.extend(renewed.past.map(|past| (hit.limit.uid().to_owned(), past)));
        renewed.admitted.then_some(now)
    }

    pub(super) fn reset(&mut self, hit: Hit<'_>) {
        self.0.remove(hit.limit.uid());
    }

    fn try_hits(&self, hits: &[Hit<'_>], now: Timestamp) -> (Vec<Outcome>, HashMap<String, Entry>) {
        let mut entries = HashMap::new();
        let mut outcomes = Vec::new();
        for hit in hits {
            let entry = entries.entry(hit.limit.uid().to_owned()).or_insert_with(|| {
                // What costs nothing changes nothing: it tells what is known now.
                let known = hit.limit.strategy().decide(self.0.get(hit.limit.uid()).cloned(), hit.rate, 0, now);
                let (before, is_rewound) = (known.past, known.is_new);
                Entry { after: before.clone(), before, is_rewound, is_charged: false, admitted: true, cost: 0 }
            });
            let verdict = hit.limit.strategy().decide(entry.after.clone(), hit.rate, hit.cost, now);
            if verdict.admitted {
                entry.after = verdict.past;
                entry.is_charged |= hit.cost > 0;
            }
            entry.admitted &= verdict.admitted;
            entry.cost = entry.cost.saturating_add(hit.cost);
            outcomes.push(Outcome::new(entry.admitted, entry.cost, now).with_granted(hit.cost));
        }
        let all_fit = outcomes.iter().all(|outcome| outcome.admitted);
        for (outcome, hit) in outcomes.iter_mut().zip(hits) {
            let Some(entry) = entries.get(hit.limit.uid()) else { continue };
            outcome.past = summary(if all_fit { entry.after.as_ref() } else { entry.before.as_ref() }, hit, outcome);
        }
        (outcomes, entries)
    }
}

fn summary(past: Option<&StoredState>, hit: &Hit<'_>, outcome: &Outcome) -> Option<StoredState> {
    past.map(|past| hit.limit.strategy().summary(past, hit.rate, outcome.cost, outcome.at))
}
