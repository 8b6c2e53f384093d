//! Several hits as one decision: lock their shards in order, read everything, decide, write all or nothing.

use std::sync::MutexGuard;

use smallvec::SmallVec;

use super::{Store, digest::Digest, shard::Shard};
use crate::{
    clock::Timestamp,
    decision::{Decision, Hit, INLINE, Outcome, Receipt},
    strategy::{Past, Strategy, Verdict},
};

type Inline<T> = SmallVec<[T; INLINE]>;

/// The shards of some hits, all locked.
struct Locked<'a> {
    shards: Inline<MutexGuard<'a, Shard>>,
    places: Inline<Place>,
}

/// Where the entry of a hit is: its digest, and which of the locked shards holds it.
struct Place {
    digest: Digest,
    shard: usize,
}

/// What one hit comes to.
struct Reading {
    /// Whether it has an entry, as it does unless its rate is unlimited.
    is_counted: bool,
    /// Its cost, and that of the hits before it that count on the same entry.
    cost: u64,
    /// What was before is what is stored, and not what hits before it on the same entry would leave behind.
    verdict: Verdict,
}

impl Reading {
    fn new(hit: &Hit<'_>, cost: u64, verdict: Verdict) -> Self {
        Self { is_counted: !hit.rate.is_unlimited(), cost, verdict }
    }
}

impl<'a> Locked<'a> {
    /// Locks in the order of the shards: whoever wants some of the same ones waits at the first of them, and so never
    /// holds one that somebody else needs while waiting for one that he holds.
    fn new(store: &'a Store, hits: &[Hit<'_>]) -> Self {
        let digests: Inline<Digest> = hits.iter().map(|hit| store.seed.digest(hit)).collect();
        let mut wanted: Inline<usize> = digests.iter().map(|&digest| store.shards.of(digest)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let place = |digest| {
            let shard = store.shards.of(digest);
            Place { digest, shard: wanted.binary_search(&shard).unwrap_or_default() }
        };
        Self {
            places: digests.into_iter().map(place).collect(),
            shards: wanted.iter().map(|&shard| store.shards.lock_at(shard)).collect(),
        }
    }

    /// Hits on one entry follow each other: each meets what the one before it would leave behind.
    fn read(&self, hits: &[Hit<'_>], now: Timestamp) -> Inline<Reading> {
        let mut readings: Inline<Reading> = SmallVec::new();
        for (hit, place) in hits.iter().zip(&self.places) {
            let earlier = self.places.iter().zip(&readings).rev();
            let same_entry = earlier.filter(|(other, reading)| other.digest == place.digest && reading.is_counted);
            let reading = match same_entry.map(|(_, reading)| reading).next() {
                None => {
                    let past = self.shards.get(place.shard).and_then(|shard| shard.get(place.digest));
                    Reading::new(hit, hit.cost, hit.strategy.decide(past, hit.rate, hit.cost, now))
                }
                Some(earlier) => {
                    let verdict = hit.strategy.decide(earlier.verdict.after, hit.rate, hit.cost, now);
                    let before = earlier.verdict.before;
                    let admitted = earlier.verdict.admitted && verdict.admitted;
                    Reading::new(hit, earlier.cost.saturating_add(hit.cost), Verdict { admitted, before, ..verdict })
                }
            };
            readings.push(reading);
        }
        readings
    }

    /// Makes room for the entries that are new, and returns how many others had to go for it.
    fn make_room(&mut self, readings: &[Reading], max_entries: usize, now: Timestamp) -> u64 {
        let Self { shards, places } = self;
        let mut evicted = 0;
        for (i, shard) in shards.iter_mut().enumerate() {
            let here = places.iter().zip(readings).filter(|(place, _)| place.shard == i);
            let new =
                here.filter(|(place, reading)| reading.verdict.after.is_some() && shard.get(place.digest).is_none());
            let mut arriving: Inline<Digest> = new.map(|(place, _)| place.digest).collect();
            arriving.sort_unstable();
            arriving.dedup();
            if !arriving.is_empty() {
                // What this decision is about is written in a moment, and would only come back.
                let stays = |digest| places.iter().any(|place| place.digest == digest);
                evicted += shard.make_room(arriving.len(), max_entries, now, stays);
            }
        }
        evicted
    }

    /// Lets every hit on an entry tell what all of them came to.
    fn tell_all_of_an_entry(&self, readings: &mut [Reading]) {
        let mut later: Inline<(Digest, Option<Past>)> = SmallVec::new();
        for (place, Reading { verdict, .. }) in self.places.iter().zip(readings).rev() {
            match later.iter().find(|(digest, _)| *digest == place.digest) {
                Some((_, last)) => verdict.after = *last,
                None if verdict.after.is_some() => later.push((place.digest, verdict.after)),
                None => {}
            }
        }
    }

    /// Stores for each hit what `choose` takes from its verdict.
    fn write(&mut self, hits: &[Hit<'_>], readings: &[Reading], choose: impl Fn(&Verdict) -> Option<Past>) {
        let Self { shards, places } = self;
        for ((hit, place), reading) in hits.iter().zip(places).zip(readings) {
            if let (Some(shard), Some(past)) = (shards.get_mut(place.shard), choose(&reading.verdict)) {
                shard.put(place.digest, past, hit);
            }
        }
    }
}

impl Store {
    pub(super) fn decide(&self, hits: &[Hit<'_>]) -> Decision {
        match hits {
            [hit] => Decision::from_iter([self.decide_one(hit)]),
            _ => self.decide_all(hits),
        }
    }

    /// A single hit needs one lock and one look at its entry.
    fn decide_one(&self, hit: &Hit<'_>) -> Outcome {
        let digest = self.seed.digest(hit);
        let mut shard = self.shards.lock(digest);
        let at = self.clock.now();
        let known = shard.get_mut(digest);
        let Verdict { admitted, before, after, rewound } =
            hit.strategy.decide(known.as_ref().map(|entry| entry.past), hit.rate, hit.cost, at);
        let past = if admitted { after } else { before };

        if let (true, Some(past)) = (admitted || rewound, past) {
            if let Some(entry) = known {
                entry.update(past, hit);
            } else {
                let evicted = shard.make_room(1, self.shards.max_entries_each(), at, |_| false);
                shard.put(digest, past, hit);
                drop(shard);
                self.count_evictions(evicted);
            }
        }
        Outcome { admitted, past, cost: hit.cost, at }
    }

    fn decide_all(&self, hits: &[Hit<'_>]) -> Decision {
        let mut locked = Locked::new(self, hits);
        // Read under the locks: whoever comes later to the same entry sees a later time.
        let now = self.clock.now();
        let mut readings = locked.read(hits, now);

        if readings.iter().all(|reading| reading.verdict.admitted) {
            let evicted = locked.make_room(&readings, self.shards.max_entries_each(), now);
            locked.write(hits, &readings, |verdict| verdict.after);
            locked.tell_all_of_an_entry(&mut readings);
            drop(locked);
            self.count_evictions(evicted);
            return decision(&readings, now, |verdict| verdict.after);
        }
        locked.write(hits, &readings, |verdict| verdict.before.filter(|_| verdict.rewound));
        decision(&readings, now, |verdict| verdict.before)
    }

    pub(super) fn peek(&self, hits: &[Hit<'_>]) -> Decision {
        let locked = Locked::new(self, hits);
        let now = self.clock.now();
        decision(&locked.read(hits, now), now, |verdict| verdict.before)
    }

    pub(super) fn refund(&self, receipts: &[Receipt<'_>]) {
        for Receipt { hit, charged_at } in receipts {
            self.with_entry(hit, |shard, digest| {
                if let Some(past) = shard.get(digest) {
                    let state = hit.strategy.refund(past, hit.cost, *charged_at, self.clock.now());
                    shard.put(digest, Past { state, ..past }, hit);
                }
            });
        }
    }

    pub(super) fn reset(&self, hits: &[Hit<'_>]) {
        for hit in hits {
            self.with_entry(hit, Shard::remove);
        }
    }

    fn with_entry(&self, hit: &Hit<'_>, change: impl FnOnce(&mut Shard, Digest)) {
        let digest = self.seed.digest(hit);
        change(&mut self.shards.lock(digest), digest);
    }
}

fn decision(readings: &[Reading], at: Timestamp, choose: impl Fn(&Verdict) -> Option<Past>) -> Decision {
    let outcome = |Reading { cost, verdict, .. }: &Reading| Outcome {
        admitted: verdict.admitted,
        past: choose(verdict),
        cost: *cost,
        at,
    };
    readings.iter().map(outcome).collect()
}
