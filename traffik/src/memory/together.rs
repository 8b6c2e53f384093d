//! Several hits as one decision: close their shards in order, read everything, decide, write all or nothing.

use smallvec::SmallVec;
use traffik_core::{
    backend::BackendError,
    clock::Timestamp,
    decision::{Decision, Hit, Outcome},
    strategy::{Past, Present, Strategy},
};

use super::{
    Store,
    digest::{Digest, Name},
    shard::ClosedShard,
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
    /// They are taken out, to be written on without a copy, and put back. Those of custom strategies are copied.
    Take,
}

/// An entry that hits are about.
struct Entry {
    name: Name,
    /// Which of the closed shards it is in.
    shard: usize,
    /// What says something of the client, nothing charged.
    before: Option<Past>,
    /// Whether that is no longer stored, since it is a log that was taken out.
    was_taken: bool,
    /// Whether it was moved back with the clock, and so is to be stored even if nothing is charged.
    is_rewound: bool,
    /// Whether a custom strategy, which may panic, works on it.
    is_custom: bool,
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
    /// What is told of the entry.
    outline: Option<Past>,
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

    pub(super) fn peek(mut self) -> Decision {
        self.tell_before()
    }

    /// Hits on one entry follow each other: each meets what the one before it would leave behind.
    fn read(&mut self, hit: &Hit<'_>, name: Name, shard: usize, access: Access) {
        if hit.rate.is_unlimited() {
            self.readings.push(Reading { entry: None, admitted: true, cost: hit.cost, outline: None });
            return;
        }
        let known = self.entries.iter().position(|entry| (entry.shard, entry.name) == (shard, name));
        let place = known.unwrap_or_else(|| {
            let stored = self.shards.get_mut(shard).and_then(|shard| match access {
                Access::Look => shard.get(name),
                Access::Take => shard.take(name, hit.strategy),
            });
            let was_taken = matches!(access, Access::Take)
                && !hit.strategy.is_custom()
                && stored.as_ref().is_some_and(|past| past.state.log().is_some());
            self.entries.push(Entry::read(hit, name, shard, stored, was_taken, self.now));
            self.entries.len() - 1
        });
        let reading = match self.entries.get_mut(place) {
            Some(entry) => entry.add(self.hits, self.readings.len(), self.now),
            None => (false, hit.cost),
        };
        let (admitted, cost) = reading;
        self.readings.push(Reading { entry: Some(place), admitted, cost, outline: None });
    }

    /// Charges all, and tells how the clients stand then.
    fn charge(&mut self) -> Decision {
        // Custom strategies come first, and work on copies: if one panics, nothing was changed.
        self.charge_entries(true);
        self.charge_entries(false);
        let decision = self.tell();
        let evicted = self.make_room();
        for entry in &mut self.entries {
            let after = entry.after.take().or_else(|| entry.before.take());
            let (Some(shard), Some(past)) = (self.shards.get_mut(entry.shard), after) else { continue };
            match entry.last.and_then(|last| self.hits.get(last)) {
                Some(hit) => shard.put(entry.name, past, hit),
                None if entry.was_taken || entry.is_rewound => shard.put_back(entry.name, past),
                None => {}
            }
        }
        self.shards.clear();
        self.store.count_evictions(evicted);
        decision
    }

    /// Charges the entries of custom strategies, or the others, and notes how their clients stand then.
    fn charge_entries(&mut self, is_custom: bool) {
        for (hit, reading) in self.hits.iter().zip(&mut self.readings) {
            let entry = reading.entry.and_then(|place| self.entries.get_mut(place));
            let Some(entry) = entry.filter(|entry| entry.is_custom == is_custom) else { continue };
            if !is_custom {
                entry.after = entry.after.take().or_else(|| entry.before.take());
            }
            entry.charge(self.hits, self.now);
            reading.outline = outline(entry.known(), hit, reading.cost, self.now);
        }
    }

    /// Charges nothing, and tells how the clients stand.
    fn leave(&mut self) -> Decision {
        let decision = self.tell_before();
        self.put_back(|entry| entry.was_taken || entry.is_rewound);
        decision
    }

    fn put_back(&mut self, is_to_be_put_back: impl Fn(&Entry) -> bool) {
        for entry in self.entries.iter_mut().filter(|entry| is_to_be_put_back(entry)) {
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

    fn tell_before(&mut self) -> Decision {
        for (hit, reading) in self.hits.iter().zip(&mut self.readings) {
            let entry = reading.entry.and_then(|place| self.entries.get(place));
            reading.outline = outline(entry.and_then(|entry| entry.before.as_ref()), hit, reading.cost, self.now);
        }
        self.tell()
    }

    fn tell(&mut self) -> Decision {
        let outcome = |reading: &mut Reading| Outcome {
            admitted: reading.admitted,
            past: reading.outline.take(),
            cost: reading.cost,
            at: self.now,
        };
        self.readings.iter_mut().map(outcome).collect()
    }
}

/// What an outcome tells of a client.
fn outline(known: Option<&Past>, hit: &Hit<'_>, cost: u64, now: Timestamp) -> Option<Past> {
    known.map(|past| hit.strategy.outline(past, hit.rate, cost, now))
}

/// A custom strategy may panic: the logs that were taken until then are put back.
impl Drop for Together<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.put_back(|entry| entry.was_taken);
        }
    }
}

impl Entry {
    fn read(hit: &Hit<'_>, name: Name, shard: usize, stored: Option<Past>, was_taken: bool, now: Timestamp) -> Self {
        let Present { past, is_rewound } = hit.strategy.present(stored, now);
        Self {
            name,
            shard,
            before: past,
            was_taken,
            is_rewound,
            is_custom: false,
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
        self.charge(hits, now);
        if let Some(hit) = hits.get(place) {
            let fits = hit.cost == 0 || hit.strategy.fits(self.known(), hit.rate, hit.cost, now);
            self.is_custom |= hit.strategy.is_custom();
            if fits && hit.cost > 0 {
                (self.last, self.is_pending) = (Some(place), true);
            }
            self.admitted &= fits;
            self.cost = self.cost.saturating_add(hit.cost);
        }
        (self.admitted, self.cost)
    }

    /// What is known of the client, with what was charged so far.
    fn known(&self) -> Option<&Past> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// Charges the hit that is pending, if one is. What was before stays, as far as it is not moved already.
    fn charge(&mut self, hits: &[Hit<'_>], now: Timestamp) {
        let pending = self.last.filter(|_| std::mem::take(&mut self.is_pending));
        if let Some(hit) = pending.and_then(|last| hits.get(last)) {
            let known = self.after.take().or_else(|| self.before.clone());
            self.after = Some(Past { state: hit.strategy.charge(known, hit.rate, hit.cost, now), rate: hit.rate });
        }
    }
}
