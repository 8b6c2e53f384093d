//! A store that forgets nothing and uses `AnyStrategy::decide` for every decision.

use std::{collections::HashMap, mem};

use traffik::{
    clock::Timestamp,
    decision::{Adjusted, Adjustment, Charge, Hit, HitTally, Outcome},
    strategy::{StoredState, Strategy},
};

/// The stored state of one client, by uid.
#[derive(Default)]
pub(super) struct Reference(HashMap<String, StoredState>);

impl Reference {
    pub(super) fn decide(&mut self, hits: &[Hit<'_>], now: Timestamp) -> Vec<Outcome> {
        let mut tally = self.tally(hits, now);
        let outcomes = tally.decide().outcomes().to_vec();
        let new = tally.entries_mut().iter_mut().filter(|entry| entry.is_new());
        let new: Vec<_> = new.filter_map(|entry| Some((entry.key().to_string(), entry.take_past()?))).collect();
        self.0.extend(new);
        outcomes
    }

    pub(super) fn peek(&self, hits: &[Hit<'_>], now: Timestamp) -> Vec<Outcome> {
        self.tally(hits, now).peek().outcomes().to_vec()
    }

    pub(super) fn settle(&mut self, Adjustment { charge, actual, .. }: Adjustment<'_>, now: Timestamp) -> Adjusted {
        let Charge { hit, at: charged_at, .. } = charge;
        let (uid, strategy) = (hit.limit.uid(), hit.limit.strategy());
        let settled = strategy.settle(self.0.get(uid).cloned(), hit.rate, hit.cost, actual, charged_at, now)?;
        let past = settled.past.as_ref().filter(|past| past.is_alive(now));
        let outcome =
            Outcome::new(true, actual, now).with_past(past.map(|past| strategy.summary(past, hit.rate, actual, now)));
        self.0.extend(settled.past.filter(|_| settled.is_new).map(|past| (uid.to_owned(), past)));
        Ok(outcome)
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

    fn tally<'a>(&self, hits: &'a [Hit<'a>], now: Timestamp) -> HitTally<'a, &'a str> {
        let mut tally = HitTally::new(now);
        for hit in hits {
            tally.add(hit, hit.limit.uid(), || self.0.get(hit.limit.uid()).cloned());
        }
        tally
    }
}

/// Checks that adjustments have the same results. The words of an error may differ.
pub(super) fn assert_same(found: &[Adjusted], expected: &[Adjusted], says: &str) {
    let kinds = |adjusted: &[Adjusted]| -> Vec<_> {
        adjusted.iter().map(|adjusted| adjusted.as_ref().map_err(mem::discriminant).cloned()).collect()
    };
    assert_eq!(kinds(found), kinds(expected), "{says}");
}
