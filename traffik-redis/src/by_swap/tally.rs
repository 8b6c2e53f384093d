//! What hits come to beside what is stored: the strategies' own functions decide, one hit after the other.

use traffik_core::{
    backend::BackendError,
    clock::Timestamp,
    decision::{Decision, Hit, Outcome, Receipt},
    strategy::{AnyStrategy, Past, Strategy},
};

use super::stored::{Change, Stored};
use crate::{answer, packed};

pub(super) struct Tally<'a> {
    hits: &'a [Hit<'a>],
    at: Timestamp,
    /// One for each key.
    entries: Vec<Entry<'a>>,
    readings: Vec<Reading>,
}

/// What hits are about.
struct Entry<'a> {
    strategy: &'a AnyStrategy,
    /// What says something of the client, nothing charged.
    before: Option<Past>,
    /// Whether that had to be moved with a clock that went back, so that even a refusal stores it.
    is_rewound: bool,
    /// The same, once the hits that fit are charged.
    after: Option<Past>,
    is_charged: bool,
    admitted: bool,
    cost: u64,
}

/// What one hit comes to.
struct Reading {
    /// The entry that it is about; none where its rate is unlimited.
    entry: Option<usize>,
    /// Whether it fits, and those before it on the same entry.
    admitted: bool,
    /// Its cost, and that of those before it on the same entry.
    cost: u64,
}

impl<'a> Tally<'a> {
    /// Keys are numbered in the order in which hits first speak of them.
    pub(super) fn new(hits: &'a [Hit<'a>], places: &[Option<usize>], stored: &Stored) -> Result<Self, BackendError> {
        let mut tally = Self { hits, at: stored.at, entries: Vec::new(), readings: Vec::new() };
        for (hit, &place) in hits.iter().zip(places) {
            if let Some(place) = place.filter(|&place| place == tally.entries.len()) {
                tally.entries.push(Entry::new(hit.strategy, stored.past(place)?, hit, stored.at));
            }
            let reading = match place.and_then(|place| tally.entries.get_mut(place)) {
                Some(entry) => entry.add(hit, place, stored.at),
                None => Reading { entry: None, admitted: true, cost: hit.cost },
            };
            tally.readings.push(reading);
        }
        Ok(tally)
    }

    fn is_admitted(&self) -> bool {
        self.entries.iter().all(|entry| entry.admitted)
    }

    /// How the clients stand afterwards.
    pub(super) fn tell(&self) -> Decision {
        let is_admitted = self.is_admitted();
        self.tell_of(|entry| if is_admitted { entry.after.as_ref() } else { entry.before.as_ref() })
    }

    /// How they stand if nothing is charged.
    pub(super) fn tell_before(&self) -> Decision {
        self.tell_of(|entry| entry.before.as_ref())
    }

    fn tell_of(&self, past_of: impl for<'e> Fn(&'e Entry<'a>) -> Option<&'e Past>) -> Decision {
        let outcome = |(hit, reading): (&Hit<'_>, &Reading)| {
            let Some(entry) = reading.entry.and_then(|entry| self.entries.get(entry)) else {
                return answer::unlimited(hit.cost, self.at);
            };
            let past = past_of(entry).map(|past| hit.strategy.outline(past, hit.rate, reading.cost, self.at));
            Outcome { admitted: reading.admitted, past, cost: reading.cost, at: self.at }
        };
        self.hits.iter().zip(&self.readings).map(outcome).collect()
    }

    /// What is to be stored: all that was charged, or only what had to be moved back.
    pub(super) fn changes(&self) -> Result<Vec<Option<Change>>, BackendError> {
        let is_admitted = self.is_admitted();
        let change = |entry: &Entry<'_>| {
            let past = if is_admitted && entry.is_charged {
                entry.after.as_ref()
            } else {
                entry.before.as_ref().filter(|_| entry.is_rewound)
            };
            past.map(|past| change(entry.strategy, past)).transpose()
        };
        self.entries.iter().map(change).collect()
    }
}

impl<'a> Entry<'a> {
    fn new(strategy: &'a AnyStrategy, stored: Option<Past>, hit: &Hit<'_>, now: Timestamp) -> Self {
        // What costs nothing changes nothing: it tells what is known now.
        let known = strategy.decide(stored, hit.rate, 0, now);
        let (before, is_rewound) = (known.past, known.is_new);
        Self { strategy, after: before.clone(), before, is_rewound, is_charged: false, admitted: true, cost: 0 }
    }

    /// Hits on one entry follow each other: each meets what the one before it would leave behind.
    fn add(&mut self, hit: &Hit<'_>, place: Option<usize>, now: Timestamp) -> Reading {
        let verdict = hit.strategy.decide(self.after.take(), hit.rate, hit.cost, now);
        self.after = verdict.past;
        self.is_charged |= verdict.admitted && hit.cost > 0;
        self.admitted &= verdict.admitted;
        self.cost = self.cost.saturating_add(hit.cost);
        Reading { entry: place, admitted: self.admitted, cost: self.cost }
    }
}

/// What is to be stored once all is given back that still counts.
pub(super) fn refunds(
    receipts: &[Receipt<'_>],
    places: &[Option<usize>],
    stored: &Stored,
) -> Result<Vec<Option<Change>>, BackendError> {
    let mut entries: Vec<(&AnyStrategy, Option<Past>)> = Vec::new();
    for (Receipt { hit, charged_at }, &place) in receipts.iter().zip(places) {
        let Some(place) = place else { continue };
        if place == entries.len() {
            let known = hit.strategy.decide(stored.past(place)?, hit.rate, 0, stored.at);
            entries.push((hit.strategy, known.past));
        }
        if let Some((_, past)) = entries.get_mut(place) {
            *past = past.take().map(|past| {
                let rate = past.rate;
                Past { state: hit.strategy.refund(past, hit.cost, *charged_at, stored.at), rate }
            });
        }
    }
    let change = |(strategy, past): (&AnyStrategy, Option<Past>)| past.map(|past| change(strategy, &past)).transpose();
    entries.into_iter().map(change).collect()
}

/// Whether a charge is made anew, and what is to be stored then.
pub(super) fn renewal(receipt: &Receipt<'_>, stored: &Stored) -> Result<(bool, Option<Change>), BackendError> {
    let Receipt { hit, charged_at } = receipt;
    let renewed = hit.strategy.renew(stored.past(0)?, hit.rate, hit.cost, *charged_at, stored.at);
    let past = renewed.past.filter(|_| renewed.is_new);
    Ok((renewed.admitted, past.map(|past| change(hit.strategy, &past)).transpose()?))
}

fn change(strategy: &AnyStrategy, past: &Past) -> Result<Change, BackendError> {
    let packed = packed::pack(strategy, past).map_err(BackendError::unavailable)?;
    Ok(Change { packed, expires: past.state.expires() })
}
