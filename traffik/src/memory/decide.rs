//! Decisions: with all shards locked that have entries of the hits.

use std::{ptr, slice};

use smallvec::SmallVec;
use traffik_core::{
    backend::{Answer, BackendError, MaybeReady},
    client::Key,
    clock::Timestamp,
    decision::{Decision, Hit, HitTally, Outcome},
    strategy::{PlainVerdict, StoredState},
};

use super::{
    hash::{ClientHash, KeyHash},
    shard::{Shard, Slot},
    shards::LockedShard,
    store::Store,
};

/// Holds the hits of most decisions without an allocation.
type Inline<T> = SmallVec<[T; 4]>;

/// The location of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Location {
    shard: usize,
    key: KeyHash,
}

/// The locked shards, each with its number, in ascending order.
struct LockedShards<'a> {
    numbers: Inline<usize>,
    shards: Inline<LockedShard<'a>>,
}

impl Store {
    #[inline]
    pub(super) fn decide<'a>(&self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let [hit] = hits else { return self.decide_several(hits) };
        if !hit.is_plain() {
            return MaybeReady::Ready(self.decide_by_tally(hits));
        }
        let client = self.seed.hash(hit.key);
        let key = client.at(hit.limit);
        // Before the lock, so that the processor does both at once.
        let now = self.now();
        let mut shard = self.shards.lock(self.shards.locate(client));
        let Some(slot) = shard.find(key) else { return self.add(shard, key, hit, now) };
        let Some(verdict) = shard.decide(slot, hit, now) else { return self.decide_later(shard, slot, hit) };
        drop(shard);
        ready(hit, verdict, now)
    }

    /// Decides where another thread may have decided at a later time before the shard was locked.
    #[inline(never)]
    fn decide_later<'a>(&self, mut shard: LockedShard<'_>, slot: Slot, hit: &Hit<'_>) -> Answer<'a, Decision> {
        let now = self.now();
        if let Some(verdict) = shard.decide(slot, hit, now) {
            return ready(hit, verdict, now);
        }
        drop(shard);
        MaybeReady::Ready(self.decide_by_tally(slice::from_ref(hit)))
    }

    /// Decides about a new client.
    #[inline(never)]
    fn add<'a>(&self, mut shard: LockedShard<'_>, key: KeyHash, hit: &Hit<'_>, now: Timestamp) -> Answer<'a, Decision> {
        // Since the clock was read, the entry may have expired, and been removed.
        let now = if now < shard.removed_at() { self.now() } else { now };
        let verdict = shard.verdict_of_new(hit, now);
        let Some(verdict) = verdict.filter(|_| self.check_open().is_ok()) else {
            drop(shard);
            return MaybeReady::Ready(self.decide_by_tally(slice::from_ref(hit)));
        };
        if let Some(state) = verdict.state {
            let before = shard.len();
            let evicted = shard.add(key, state, hit, now);
            self.usage.resized(before, shard.len());
            drop(shard);
            self.count_evictions(evicted);
        }
        ready(hit, verdict, now)
    }

    #[inline(never)]
    fn decide_several<'a>(&self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let two = if let [one, other] = hits { self.decide_two(one, other) } else { None };
        if let Some(outcomes) = two {
            return MaybeReady::Ready(Ok(outcomes.into()));
        }
        let few = match hits {
            // Of one client it was decided above, if it could be.
            [one, other] if one.key != other.key => self.decide_few::<2>(hits),
            [_, _, _] => self.decide_few::<3>(hits),
            [_, _, _, _] => self.decide_few::<4>(hits),
            _ => None,
        };
        MaybeReady::Ready(few.map_or_else(|| self.decide_by_tally(hits), Ok))
    }

    /// Decides about two limits of one client, as many requests meet them. Its entries are in one shard.
    ///
    /// Otherwise this is [`decide_few`](Self::decide_few), which takes a third longer because it moves each verdict.
    #[inline(always)]
    fn decide_two(&self, one: &Hit<'_>, other: &Hit<'_>) -> Option<[Outcome; 2]> {
        let are_of_one_client = ptr::eq(one.key, other.key) || one.key == other.key;
        if !are_of_one_client || !one.is_plain() || !other.is_plain() {
            return None;
        }
        let client = self.seed.hash(one.key);
        let now = self.now();
        let mut shard = self.shards.lock(self.shards.locate(client));
        let (slot, of_other) = (shard.find(client.at(one.limit))?, shard.find(client.at(other.limit))?);
        if slot == of_other {
            return None;
        }
        let (first, second) = (shard.verdict(slot, one, now)?, shard.verdict(of_other, other, now)?);
        if first.admitted && second.admitted {
            shard.charge(slot, first, one.cost);
            shard.charge(of_other, second, other.cost);
            drop(shard);
            return Some([outcome(one, first, now), outcome(other, second, now)]);
        }
        let (first, second) = (shard.uncharged(slot, first, now), shard.uncharged(of_other, second, now));
        drop(shard);
        Some([outcome(one, first, now), outcome(other, second, now)])
    }

    fn decide_few<const N: usize>(&self, hits: &[Hit<'_>]) -> Option<Decision> {
        let hits = <&[Hit<'_>; N]>::try_from(hits).ok()?;
        let mut verdicts = [None; N];
        let now = self.decide_known(hits, &mut verdicts)?;
        Some(hits.iter().zip(verdicts).filter_map(|(hit, verdict)| Some(outcome(hit, verdict?, now))).collect())
    }

    /// Decides about several hits on entries of known clients, and returns the time of the decision. Returns `None` for
    /// what only the tally decides, for new clients, for several hits on one entry, and if others decided at a later time.
    #[inline]
    fn decide_known<const N: usize>(
        &self,
        hits: &[Hit<'_>; N],
        verdicts: &mut [Option<PlainVerdict>; N],
    ) -> Option<Timestamp> {
        if !hits.iter().all(Hit::is_plain) {
            return None;
        }
        let locations = self.locate(hits);
        let [Location { shard, .. }, ..] = *locations.as_slice() else { return None };
        let now = self.now();
        if locations.iter().all(|location| location.shard == shard) {
            // As of all limits of one client.
            let keys = locations.map(|location| (0, location.key));
            return Self::decide_in(hits, &keys, now, verdicts, &mut [self.shards.lock(shard)]);
        }
        let mut locked = self.lock_all(&locations);
        let keys = locations.map(|location| (locked.place_of(location.shard), location.key));
        Self::decide_in(hits, &keys, now, verdicts, &mut locked.shards)
    }

    /// Decides about hits on entries. Each has the place of its shard among the locked ones.
    #[inline]
    fn decide_in<const N: usize>(
        hits: &[Hit<'_>; N],
        keys: &[(usize, KeyHash); N],
        now: Timestamp,
        verdicts: &mut [Option<PlainVerdict>; N],
        shards: &mut [LockedShard<'_>],
    ) -> Option<Timestamp> {
        let (mut is_admitted, mut slots) = (true, [Slot::default(); N]);
        for (n, hit) in hits.iter().enumerate() {
            let (place, key) = *keys.get(n)?;
            if keys.iter().take(n).any(|other| *other == (place, key)) {
                return None;
            }
            let shard = shards.get_mut(place)?;
            let slot = shard.find(key)?;
            let verdict = shard.verdict(slot, hit, now)?;
            is_admitted &= verdict.admitted;
            (*slots.get_mut(n)?, *verdicts.get_mut(n)?) = (slot, Some(verdict));
        }
        for (n, hit) in hits.iter().enumerate() {
            let (verdict, (place, _)) = (verdicts.get_mut(n)?.as_mut()?, keys.get(n)?);
            let (shard, slot) = (shards.get_mut(*place)?, *slots.get(n)?);
            if is_admitted {
                shard.charge(slot, *verdict, hit.cost);
            } else {
                *verdict = shard.uncharged(slot, *verdict, now);
            }
        }
        Some(now)
    }

    #[inline]
    fn locate<const N: usize>(&self, hits: &[Hit<'_>; N]) -> [Location; N] {
        let mut last: Option<(&Key, ClientHash)> = None;
        hits.each_ref().map(|hit| {
            let client = match last {
                // The limits of a decision are often about one client.
                Some((key, client)) if ptr::eq(key, hit.key) => client,
                _ => self.seed.hash(hit.key),
            };
            last = Some((hit.key, client));
            Location { shard: self.shards.locate(client), key: client.at(hit.limit) }
        })
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

    fn locate_all(&self, hits: &[Hit<'_>]) -> Inline<Location> {
        let locate = |hit: &Hit<'_>| {
            let client = self.seed.hash(hit.key);
            Location { shard: self.shards.locate(client), key: client.at(hit.limit) }
        };
        hits.iter().map(locate).collect()
    }

    /// Locks the shards in ascending order, which prevents deadlocks.
    fn lock_all(&self, locations: &[Location]) -> LockedShards<'_> {
        let mut locked = LockedShards { numbers: SmallVec::new(), shards: SmallVec::new() };
        let mut next = locations.iter().map(|location| location.shard).min();
        while let Some(shard) = next {
            locked.numbers.push(shard);
            locked.shards.push(self.shards.lock(shard));
            next = locations.iter().map(|location| location.shard).filter(|&other| other > shard).min();
        }
        locked
    }
}

#[inline(always)]
fn ready<'a>(hit: &Hit<'_>, verdict: PlainVerdict, now: Timestamp) -> Answer<'a, Decision> {
    MaybeReady::Ready(Ok(outcome(hit, verdict, now).into()))
}

#[inline(always)]
fn outcome(hit: &Hit<'_>, verdict: PlainVerdict, now: Timestamp) -> Outcome {
    Outcome::new(verdict.admitted, hit.cost, now)
        .with_past(verdict.state.map(|state| StoredState { state: state.into(), rate: hit.rate }))
}

impl LockedShards<'_> {
    fn place_of(&self, shard: usize) -> usize {
        self.numbers.iter().position(|number| *number == shard).unwrap_or_default()
    }

    fn at(&mut self, place: usize) -> Option<&mut Shard> {
        self.shards.get_mut(place).map(|shard| &mut **shard)
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
        shards.shards.clear();
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
