//! Decisions: with all shards locked that have entries of the hits.

use std::sync::MutexGuard;

use smallvec::SmallVec;
use traffik_core::{
    backend::{Answer, BackendError, MaybeReady},
    clock::Timestamp,
    decision::{Decision, Hit, HitTally, Outcome},
    strategy::StoredState,
};

use super::{
    hash::{ClientHash, KeyHash},
    shard::{Shard, Slot},
    store::Store,
};

/// Holds the hits of most decisions without an allocation.
type Inline<T> = SmallVec<[T; 4]>;

/// The maximum number of hits that are decided without a tally.
const FEW: usize = 4;

/// The location of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Location {
    shard: usize,
    key: KeyHash,
}

/// The locked shards, each with its number, in ascending order.
struct LockedShards<'a>(Inline<(usize, MutexGuard<'a, Shard>)>);

impl Store {
    #[inline]
    pub(super) fn decide<'a>(&self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        // Changed in place, because moving a decision takes longer than making it.
        let mut answer = MaybeReady::Ready(Ok(Outcome::new(true, 0, Timestamp::UNIX_EPOCH).into()));
        self.decide_into(hits, &mut answer);
        answer
    }

    #[inline]
    fn decide_into(&self, hits: &[Hit<'_>], answer: &mut Answer<'_, Decision>) {
        if let ([hit], MaybeReady::Ready(Ok(decision))) = (hits, &mut *answer) {
            if let Some(outcome) = decision.outcomes_mut().first_mut() {
                if self.decide_one(hit, outcome) {
                    return;
                }
            }
        }
        *answer = MaybeReady::Ready(self.decide_several(hits));
    }

    #[inline(never)]
    fn decide_several(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        match self.decide_few(hits)? {
            Some(decision) => Ok(decision),
            None => self.decide_by_tally(hits),
        }
    }

    /// Decides about one hit. Returns `false` for a new rate, a log, a custom strategy, a hit that is not plain, and if
    /// the store is closed.
    #[inline]
    fn decide_one(&self, hit: &Hit<'_>, outcome: &mut Outcome) -> bool {
        if !is_simple(hit) {
            return false;
        }
        let client = self.seed.hash(hit.key);
        let key = client.at(hit.limit);
        let mut shard = self.shards.lock(self.shards.locate(client));
        if self.check_open().is_err() {
            return false;
        }
        (outcome.cost, outcome.granted) = (hit.cost, hit.cost);
        // Read under the lock: a later decision about the same entry sees a later time.
        outcome.at = self.now();
        let strategy = hit.limit.strategy();
        let Some(slot) = shard.find(key) else {
            return self.add(shard, key, hit, outcome);
        };
        outcome.past = shard.state_at(slot, hit);
        if outcome.past.is_none() {
            return false;
        }
        let mut has_log = false;
        outcome.admitted = strategy.decide_in_place(&mut outcome.past, hit.rate, hit.cost, outcome.at, |state| {
            has_log = state.log().is_some();
            if !has_log {
                shard.update_at(slot, state);
            }
        });
        if outcome.admitted && !has_log {
            shard.charged_at(slot, hit.cost);
        }
        !has_log
    }

    /// Decides about a new client. Returns `false` for a log.
    #[inline(never)]
    fn add(&self, mut shard: MutexGuard<'_, Shard>, key: KeyHash, hit: &Hit<'_>, outcome: &mut Outcome) -> bool {
        let Outcome { past, at: now, .. } = outcome;
        let mut is_new = false;
        outcome.admitted = hit
            .limit
            .strategy()
            .decide_in_place(past, hit.rate, hit.cost, *now, |state| is_new = state.log().is_none());
        if past.as_ref().is_some_and(|past| past.state.log().is_some()) {
            *past = None;
            return false;
        }
        if let Some(past) = past.as_ref().filter(|_| is_new) {
            let before = shard.len();
            let evicted = shard.put(key, past.clone(), Some(hit), *now, |_| false);
            self.usage.resized(before, shard.len());
            drop(shard);
            self.count_evictions(evicted);
        }
        true
    }

    /// Decides about a few known clients. Returns `None` for new clients, new rates, logs, custom strategies, hits that are
    /// not plain, and several hits on one entry.
    #[inline(never)]
    fn decide_few(&self, hits: &[Hit<'_>]) -> Result<Option<Decision>, BackendError> {
        if !(2..=FEW).contains(&hits.len()) || !hits.iter().all(is_simple) {
            return Ok(None);
        }
        let locations = self.locate_all(hits);
        let mut shards = self.lock_all(&locations);
        self.check_open()?;
        let now = self.now();
        let mut slots: Inline<(usize, Slot)> = SmallVec::new();
        let mut decision: Decision = hits.iter().map(|hit| Outcome::new(true, hit.cost, now)).collect();
        for ((hit, location), outcome) in hits.iter().zip(&locations).zip(decision.outcomes_mut()) {
            let place = shards.place_of(location.shard);
            let Some(shard) = shards.at(place) else { return Ok(None) };
            let Some(slot) = shard.find(location.key).filter(|&slot| !slots.contains(&(place, slot))) else {
                return Ok(None);
            };
            slots.push((place, slot));
            outcome.past = shard.state_at(slot, hit);
            if outcome.past.is_none() {
                return Ok(None);
            }
            let strategy = hit.limit.strategy();
            let mut has_log = false;
            outcome.admitted = strategy
                .decide_in_place(&mut outcome.past, hit.rate, hit.cost, now, |state| has_log = state.log().is_some());
            if has_log {
                return Ok(None);
            }
        }
        let is_admitted = decision.is_admitted();
        for ((hit, &(place, slot)), outcome) in hits.iter().zip(&slots).zip(decision.outcomes_mut()) {
            let Some(shard) = shards.at(place) else { continue };
            if is_admitted && hit.cost > 0 {
                if let Some(past) = &outcome.past {
                    shard.update_at(slot, &past.state);
                    shard.charged_at(slot, hit.cost);
                }
            } else {
                // Nothing is charged, but the clock may have gone back.
                outcome.past = shard.state_at(slot, hit);
                hit.limit.strategy().decide_in_place(&mut outcome.past, hit.rate, 0, now, |state| {
                    shard.update_at(slot, state);
                });
            }
        }
        drop(shards);
        Ok(Some(decision))
    }

    #[inline(never)]
    fn decide_by_tally(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        let mut locked = self.tally(hits, |shard, key, hit| shard.take(key, hit.limit.strategy()))?;
        let decision = locked.tally.decide();
        locked.write();
        Ok(decision)
    }

    pub(super) fn peek(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        Ok(self.tally(hits, |shard, key, _| shard.get(key))?.tally.peek())
    }

    /// Locks the shards, and reads all entries.
    ///
    /// # Errors
    ///
    /// Returns an error if there are more hits than a shard has room for.
    fn tally<'a>(
        &'a self,
        hits: &'a [Hit<'a>],
        read: impl Fn(&mut Shard, KeyHash, &Hit<'_>) -> Option<StoredState>,
    ) -> Result<LockedTally<'a>, BackendError> {
        let most = self.shards.max_entries;
        if hits.len() > most {
            let reason =
                format!("a decision has {} hits, but a shard holds {most} entries: raise `max_entries`", hits.len());
            return Err(BackendError::unavailable(reason));
        }
        let locations = self.locate_all(hits);
        let shards = self.lock_all(&locations);
        self.check_open()?;
        let now = self.now();
        let mut locked = LockedTally { store: self, shards, tally: HitTally::new(now), now };
        for (hit, Location { shard, key }) in hits.iter().zip(locations) {
            let place = locked.shards.place_of(shard);
            let shard = locked.shards.at(place);
            locked.tally.add(hit, (place, key), || read(shard?, key, hit));
        }
        Ok(locked)
    }

    fn locate_all<'h>(&self, hits: &'h [Hit<'_>]) -> Inline<Location> {
        let mut last: Option<(&'h Hit<'_>, ClientHash)> = None;
        let locate = |hit: &'h Hit<'_>| {
            // The limits of a decision are often about one client.
            let known = last.filter(|(other, _)| std::ptr::eq(other.key, hit.key));
            let client = known.map_or_else(|| self.seed.hash(hit.key), |(_, client)| client);
            last = Some((hit, client));
            Location { shard: self.shards.locate(client), key: client.at(hit.limit) }
        };
        hits.iter().map(locate).collect()
    }

    /// Locks the shards in ascending order, which prevents deadlocks.
    fn lock_all(&self, locations: &[Location]) -> LockedShards<'_> {
        let mut locked = SmallVec::new();
        let mut next = locations.iter().map(|location| location.shard).min();
        while let Some(shard) = next {
            locked.push((shard, self.shards.lock(shard)));
            next = locations.iter().map(|location| location.shard).filter(|&other| other > shard).min();
        }
        LockedShards(locked)
    }
}

/// Returns whether a hit is plain, and its strategy cannot panic.
fn is_simple(hit: &Hit<'_>) -> bool {
    hit.is_plain() && !hit.rate.is_unlimited() && !hit.limit.strategy().is_custom()
}

impl LockedShards<'_> {
    fn place_of(&self, shard: usize) -> usize {
        self.0.iter().position(|(number, _)| *number == shard).unwrap_or_default()
    }

    fn at(&mut self, place: usize) -> Option<&mut Shard> {
        self.0.get_mut(place).map(|(_, shard)| &mut **shard)
    }
}

/// The tally of some hits, with the shards locked that their entries are in.
struct LockedTally<'a> {
    store: &'a Store,
    shards: LockedShards<'a>,
    /// Entries are identified by the place of their shard in `shards`, and their key.
    tally: HitTally<'a, (usize, KeyHash)>,
    now: Timestamp,
}

impl LockedTally<'_> {
    /// Writes changed states, and puts logs back.
    fn write(&mut self) {
        let Self { store, shards, tally, now } = self;
        let keys: Inline<(usize, KeyHash)> = tally.entries().iter().map(|entry| *entry.key()).collect();
        let mut evicted = 0;
        for entry in tally.entries_mut() {
            let ((place, key), charged) = (*entry.key(), Some(entry.hit()).filter(|_| entry.is_charged()));
            let has_log = entry.past().is_some_and(|past| past.state.log().is_some());
            let past = if entry.is_new() || has_log { entry.take_past() } else { None };
            if let (Some(shard), Some(past)) = (shards.at(place), past) {
                let before = shard.len();
                evicted += shard.put(key, past, charged, *now, |key| keys.contains(&(place, key)));
                store.usage.resized(before, shard.len());
            }
        }
        shards.0.clear();
        store.count_evictions(evicted);
    }
}

/// If a custom strategy panics, the logs that were taken are put back.
impl Drop for LockedTally<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.write();
        }
    }
}
