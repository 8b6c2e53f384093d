//! Several hits as one decision: close their shards in order, read everything, decide, write all or nothing.

use smallvec::SmallVec;

use super::{
    Store,
    digest::{Digest, Name},
    shard::ClosedShard,
};
use crate::{
    backend::BackendError,
    clock::Timestamp,
    decision::{Decision, Hit, Outcome},
    strategy::{Past, Present, Strategy},
};

/// Room for as many as most requests meet. More of them take an allocation.
type Inline<T> = SmallVec<[T; 2]>;

/// Some hits, with all shards closed that their entries are in.
pub(super) struct Together<'a> {
    store: &'a Store,
    hits: &'a [Hit<'a>],
    shards: Inline<ClosedShard<'a>>,
    entries: Inline<Entry>,
    readings: Inline<Reading>,
    now: Timestamp,
}

/// What is done to the logs of entries.
#[derive(Clone, Copy)]
pub(super) enum Access {
    /// They are copied.
    Look,
    /// They are taken out, to be written on without a copy, and put back.
    Take,
}

/// An entry that hits are about.
struct Entry {
    name: Name,
    /// Which of the closed shards it is in.
    shard: usize,
    /// What says something of the client, nothing charged.
    before: Option<Past>,
    /// Whether that is to be stored even if nothing is charged: it had to be moved, or taken out to be looked at.
    is_to_be_put_back: bool,
    /// The same, once the hits that fit are charged, but for one that is pending.
    after: Option<Past>,
    /// The last hit that fits and costs something, and whether it is still to be charged.
    last: Option<usize>,
    is_pending: bool,
    admitted: bool,
    cost: u64,
}

/// What one hit comes to.
struct Reading {
    /// The entry that it is about; none where its rate is unlimited.
    entry: Option<usize>,
    /// Whether it fits, and those before it on the same entry.
    admitted: bool,
    /// Its cost, and that of the hits before it on the same entry.
    cost: u64,
}

impl Store {
    /// Closes shards in their order: whoever wants some of the same ones waits at the first of them, and so never holds
    /// one that somebody else needs while waiting for one that he holds.
    ///
    /// # Errors
    ///
    /// When there are more hits than a shard has room for.
    pub(super) fn together<'a>(&'a self, hits: &'a [Hit<'a>], access: Access) -> Result<Together<'a>, BackendError> {
        let most = self.shards.max_entries_at_once();
        if hits.len() > most {
            let reason =
                format!("{} hits in one decision are too many for a store with room for {most} at once", hits.len());
            return Err(BackendError::unavailable(reason));
        }
        let digests: Inline<Digest> = hits.iter().map(|hit| self.seed.digest(hit)).collect();
        let mut places: Inline<usize> = digests.iter().map(|&digest| self.shards.place(digest)).collect();
        places.sort_unstable();
        places.dedup();
        let mut together = Together {
            store: self,
            hits,
            shards: places.iter().map(|&place| self.shards.at(place).close()).collect(),
            entries: SmallVec::new(),
            readings: SmallVec::new(),
            // Read while they are closed: who comes later to the same entry sees a later time.
            now: self.clock.now(),
        };
        for (hit, digest) in hits.iter().zip(digests) {
            let shard = places.binary_search(&self.shards.place(digest)).unwrap_or_default();
            together.read(hit, digest.name, shard, access);
        }
        Ok(together)
    }
}

impl Together<'_> {
    pub(super) fn decide(mut self) -> Decision {
        if self.readings.iter().all(|reading| reading.admitted) { self.charge() } else { self.leave() }
    }

    pub(super) fn peek(self) -> Decision {
        self.tell_before()
    }

    /// Hits on one entry follow each other: each meets what the one before it would leave behind.
    fn read(&mut self, hit: &Hit<'_>, name: Name, shard: usize, access: Access) {
        if hit.rate.is_unlimited() {
            self.readings.push(Reading { entry: None, admitted: true, cost: hit.cost });
            return;
        }
        let known = self.entries.iter().position(|entry| (entry.shard, entry.name) == (shard, name));
        let place = known.unwrap_or_else(|| {
            let stored = self.shards.get_mut(shard).and_then(|shard| match access {
                Access::Look => shard.get(name),
                Access::Take => shard.take(name),
            });
            self.entries.push(Entry::read(hit, name, shard, stored, self.now));
            self.entries.len() - 1
        });
        let reading = match self.entries.get_mut(place) {
            Some(entry) => entry.add(self.hits, self.readings.len(), self.now),
            None => (false, hit.cost),
        };
        let (admitted, cost) = reading;
        self.readings.push(Reading { entry: Some(place), admitted, cost });
    }

    /// Charges all, and tells how the clients stand then.
    fn charge(&mut self) -> Decision {
        let evicted = self.make_room();
        let after: Inline<Option<Past>> =
            self.entries.iter_mut().map(|entry| entry.charge(self.hits, self.now)).collect();
        let decision = self.tell(|place| after.get(place)?.as_ref());
        for (entry, after) in self.entries.iter_mut().zip(after) {
            let (Some(shard), Some(past)) = (self.shards.get_mut(entry.shard), after) else { continue };
            match entry.last.and_then(|last| self.hits.get(last)) {
                Some(hit) => shard.put(entry.name, past, hit),
                None if entry.is_to_be_put_back => shard.put_back(entry.name, past),
                None => {}
            }
        }
        self.shards.clear();
        self.store.count_evictions(evicted);
        decision
    }

    /// Charges nothing, and tells how the clients stand.
    fn leave(&mut self) -> Decision {
        let decision = self.tell_before();
        self.put_back();
        decision
    }

    fn put_back(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.is_to_be_put_back) {
            if let (Some(shard), Some(past)) = (self.shards.get_mut(entry.shard), entry.before.take()) {
                shard.put_back(entry.name, past);
            }
        }
    }

    /// Makes room for the entries that are new, and returns how many others had to go for it.
    fn make_room(&mut self) -> u64 {
        let mut evicted = 0;
        for (place, shard) in self.shards.iter_mut().enumerate() {
            let here = || self.entries.iter().filter(move |entry| entry.shard == place);
            let arriving = here().filter(|entry| entry.last.is_some() && !shard.holds(entry.name)).count();
            if arriving > 0 {
                // What this decision is about is written in a moment, and would only come back.
                evicted += shard.make_room(arriving, self.now, |name| here().any(|entry| entry.name == name));
            }
        }
        evicted
    }

    fn tell_before(&self) -> Decision {
        self.tell(|place| self.entries.get(place)?.before.as_ref())
    }

    fn tell<'p>(&self, past_of: impl Fn(usize) -> Option<&'p Past>) -> Decision {
        let outcome = |(hit, reading): (&Hit<'_>, &Reading)| {
            let past = reading.entry.and_then(&past_of);
            Outcome {
                admitted: reading.admitted,
                past: past.map(|past| hit.strategy.outline(past, hit.rate, reading.cost, self.now)),
                cost: reading.cost,
                at: self.now,
            }
        };
        self.hits.iter().zip(&self.readings).map(outcome).collect()
    }
}

/// A strategy of somebody's own may panic: what was taken for it to look at is put back.
impl Drop for Together<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.put_back();
        }
    }
}

impl Entry {
    fn read(hit: &Hit<'_>, name: Name, shard: usize, stored: Option<Past>, now: Timestamp) -> Self {
        let was_taken = stored.as_ref().is_some_and(|past| past.state.log().is_some());
        let Present { past, is_rewound } = hit.strategy.present(stored, now);
        Self {
            name,
            shard,
            before: past,
            is_to_be_put_back: was_taken || is_rewound,
            after: None,
            last: None,
            is_pending: false,
            admitted: true,
            cost: 0,
        }
    }

    /// One hit more, by its place among all. Whether all of them fit, and what they cost.
    fn add(&mut self, hits: &[Hit<'_>], place: usize, now: Timestamp) -> (bool, u64) {
        // It meets what those before it leave behind. As a rule there are none, and nothing is copied.
        if self.is_pending {
            let known = self.after.take().or_else(|| self.before.clone());
            self.after = self.with_last(known, hits, now);
            self.is_pending = false;
        }
        if let Some(hit) = hits.get(place) {
            let known = self.after.as_ref().or(self.before.as_ref());
            let fits = hit.cost == 0 || hit.strategy.fits(known, hit.rate, hit.cost, now);
            if fits && hit.cost > 0 {
                (self.last, self.is_pending) = (Some(place), true);
            }
            self.admitted &= fits;
            self.cost = self.cost.saturating_add(hit.cost);
        }
        (self.admitted, self.cost)
    }

    /// What is known of the client once all hits are charged.
    fn charge(&mut self, hits: &[Hit<'_>], now: Timestamp) -> Option<Past> {
        let known = self.after.take().or_else(|| self.before.take());
        if self.is_pending { self.with_last(known, hits, now) } else { known }
    }

    fn with_last(&self, known: Option<Past>, hits: &[Hit<'_>], now: Timestamp) -> Option<Past> {
        match self.last.and_then(|last| hits.get(last)) {
            Some(hit) => Some(Past { state: hit.strategy.charge(known, hit.rate, hit.cost, now), rate: hit.rate }),
            None => known,
        }
    }
}
