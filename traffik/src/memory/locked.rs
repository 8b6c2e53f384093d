//! Decisions with all their shards locked: for new clients, new rates, logs, and many hits.

use smallvec::SmallVec;
use traffik_core::{
    backend::BackendError,
    clock::Timestamp,
    decision::{Decision, Hit, HitTally},
    strategy::StoredState,
};

use super::{hash::KeyHash, shard::LockedShard, shards::Location, store::Store};

/// Holds the hits of most requests without an allocation.
type Inline<T> = SmallVec<[T; 2]>;

/// The tally of some hits, with the shards locked that their entries are in.
struct LockedTally<'a> {
    store: &'a Store,
    shards: Inline<LockedShard<'a>>,
    /// Entries are identified by the index of their shard in `shards`, and their key.
    tally: HitTally<'a, (usize, KeyHash)>,
    now: Timestamp,
}

impl Store {
    #[inline(never)]
    pub(super) fn decide_locked(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        let mut locked = self.tally(hits, |shard, key, hit| shard.take(key, hit.limit.strategy()))?;
        let decision = locked.tally.decide();
        locked.write();
        Ok(decision)
    }

    pub(super) fn peek(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        Ok(self.tally(hits, |shard, key, _| shard.get(key))?.tally.peek())
    }

    /// Locks the shards in ascending order, which prevents deadlocks. Then reads all entries.
    ///
    /// # Errors
    ///
    /// Returns an error if there are more hits than a shard has room for.
    fn tally<'a>(
        &'a self,
        hits: &'a [Hit<'a>],
        read: impl Fn(&mut LockedShard<'a>, KeyHash, &Hit<'_>) -> Option<StoredState>,
    ) -> Result<LockedTally<'a>, BackendError> {
        let most = self.shards.at(0).max_entries();
        if hits.len() > most {
            let reason =
                format!("a decision has {} hits, but a shard holds {most} entries: raise `max_entries`", hits.len());
            return Err(BackendError::unavailable(reason));
        }
        let locations: Inline<Location> = hits.iter().map(|hit| self.shards.locate(hit)).collect();
        let mut places: Inline<usize> = locations.iter().map(|location| location.shard).collect();
        places.sort_unstable();
        places.dedup();
        let shards = places.iter().map(|&shard| self.shards.at(shard).lock()).collect();
        // Read while they are locked: a later decision about the same entry sees a later time.
        let now = self.now();
        let mut locked = LockedTally { store: self, shards, tally: HitTally::new(now), now };
        for (hit, Location { shard, key }) in hits.iter().zip(locations) {
            let place = places.binary_search(&shard).unwrap_or_default();
            let shard = locked.shards.get_mut(place);
            locked.tally.add(hit, (place, key), || read(shard?, key, hit));
        }
        Ok(locked)
    }
}

impl LockedTally<'_> {
    /// Writes changed states, and puts logs back.
    fn write(&mut self) {
        let entries = self.tally.entries_mut();
        let mut evicted = 0;
        for (place, shard) in self.shards.iter_mut().enumerate() {
            let here = || entries.iter().filter(move |entry| entry.key().0 == place);
            let arriving = here().filter(|entry| entry.is_charged() && !shard.holds(entry.key().1)).count();
            evicted += shard.make_room(arriving, self.now, |key| here().any(|entry| entry.key().1 == key));
        }
        for entry in entries {
            let ((place, key), charged) = (*entry.key(), Some(entry.hit()).filter(|_| entry.is_charged()));
            let has_log = entry.past().is_some_and(|past| past.state.log().is_some());
            let past = if entry.is_new() || has_log { entry.take_past() } else { None };
            if let (Some(shard), Some(past)) = (self.shards.get_mut(place), past) {
                shard.put(key, past, charged);
            }
        }
        self.shards.clear();
        self.store.count_evictions(evicted);
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
