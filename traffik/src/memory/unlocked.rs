//! Decisions about known clients without a lock: all reads are consistent, and a write succeeds only if nothing changed
//! in between.

use smallvec::SmallVec;
use traffik_core::{
    decision::{Decision, Hit, HitTally, Outcome},
    strategy::{StoredState, Verdict},
};

use super::{
    seqlock::{Version, WriteGuard},
    shard::{Entry, Shard},
    shards::Location,
    store::Store,
};

/// The maximum number of hits. A decision about more would often lose a race.
const MAX_HITS: usize = 4;

/// The number of attempts before shards are locked.
const ATTEMPTS: usize = 16;

type Inline<T> = SmallVec<[T; MAX_HITS]>;

/// The entry of a hit as it was read.
struct ReadEntry<'a> {
    location: Location,
    /// The index of the first hit on the same entry.
    first: usize,
    shard: &'a Shard,
    version: Version,
    entry: &'a Entry,
    past: Option<StoredState>,
}

impl Store {
    /// Decides about one hit. Returns `None` if its shard must be locked: for new clients, new rates and logs.
    #[inline]
    pub(super) fn decide_one(&self, hit: &Hit<'_>) -> Option<Outcome> {
        if !hit.is_plain() {
            return None;
        }
        let Location { shard, key } = self.shards.locate(hit);
        let shard = self.shards.at(shard);
        let mut has_lost = false;
        for _ in 0..ATTEMPTS {
            let version = shard.lock.read();
            // After a lost race it excludes other writers before it decides.
            let early = if has_lost { shard.lock.try_write(version) } else { None };
            if has_lost && early.is_none() {
                continue;
            }
            let (entry, past) = shard.find(key, hit)?;
            // A strategy never sees a partial write of another thread.
            if early.is_none() && !shard.lock.validate(version) {
                continue;
            }
            // Read after the version: a later decision about the same entry sees a later time.
            let at = self.now();
            let Verdict { admitted, past, is_new, .. } =
                hit.limit.strategy().decide(Some(past), hit.rate, hit.cost, at);
            if let Some(StoredState { state, .. }) = &past {
                if state.log().is_some() {
                    return None;
                }
                if is_new {
                    let Some(guard) = early.or_else(|| shard.lock.try_write(version)) else {
                        has_lost = true;
                        continue;
                    };
                    entry.update(state, hit.cost, &guard);
                }
            }
            return Some(Outcome::new(admitted, hit.cost, at).with_past(past));
        }
        None
    }

    /// Decides about several hits. Returns `None` if a shard must be locked.
    #[inline(never)]
    pub(super) fn decide_few(&self, hits: &[Hit<'_>]) -> Option<Decision> {
        if hits.len() > MAX_HITS {
            return None;
        }
        for _ in 0..ATTEMPTS {
            let mut read: Inline<ReadEntry<'_>> = SmallVec::new();
            for hit in hits {
                let location = self.shards.locate(hit);
                let shard = self.shards.at(location.shard);
                let version = shard.lock.read();
                let (entry, past) = shard.find(location.key, hit)?;
                let first = read.iter().position(|read| read.location == location).unwrap_or(read.len());
                read.push(ReadEntry { location, first, shard, version, entry, past: Some(past) });
            }
            // A strategy never sees a partial write of another thread, and all reads are consistent.
            if !read.iter().all(|read| read.shard.lock.validate(read.version)) {
                continue;
            }
            // Read after the versions: a later decision about the same entries sees a later time.
            let mut tally = HitTally::new(self.now());
            for (hit, read) in hits.iter().zip(&mut read) {
                tally.add(hit, read.first, || read.past.take());
            }
            let decision = tally.decide();
            let new = || tally.entries().iter().filter(|entry| entry.is_new());
            if new().any(|entry| entry.past().is_some_and(|past| past.state.log().is_some())) {
                return None;
            }
            if new().next().is_none() {
                return Some(decision);
            }
            let Some(guards) = write_all(&read) else { continue };
            for entry in new() {
                if let (Some(read), Some(past), Some(guard)) = (read.get(*entry.key()), entry.past(), guards.first()) {
                    read.entry.update(&past.state, if entry.is_charged() { entry.hit().cost } else { 0 }, guard);
                }
            }
            return Some(decision);
        }
        None
    }
}

/// Begins to write to every shard once, in ascending order. Calls that need the same shards conflict at the first
/// common one, so no call waits for another while it writes.
fn write_all<'a>(read: &[ReadEntry<'a>]) -> Option<Inline<WriteGuard<'a>>> {
    let mut guards = SmallVec::new();
    let mut last = None;
    let shard = |read: &&ReadEntry<'_>| read.location.shard;
    while let Some(next) = read.iter().filter(|read| last < Some(shard(read))).min_by_key(shard) {
        guards.push(next.shard.lock.try_write(next.version)?);
        last = Some(shard(&next));
    }
    Some(guards)
}
