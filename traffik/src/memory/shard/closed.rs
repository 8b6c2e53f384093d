use traffik_core::{
    clock::Timestamp,
    decision::Hit,
    strategy::{AnyStrategy, Past},
};

use super::{
    Behind, Shard,
    entry::{Entry, Note, RoughCost},
    leaving::Leaving,
    rank::Rank,
};
use crate::memory::{digest::Name, turnstile::Closed};

/// How many entries are looked at for each that arrives, to see whether they expired.
const SWEEP: usize = 4;

/// A shard that nobody else reads or writes meanwhile.
#[derive(Debug)]
pub(in super::super) struct ClosedShard<'a> {
    shard: &'a Shard,
    behind: Closed<'a, Behind>,
}

impl<'a> ClosedShard<'a> {
    pub(super) fn new(shard: &'a Shard) -> Self {
        Self { shard, behind: shard.turnstile.close() }
    }

    pub(in super::super) fn holds(&self, name: Name) -> bool {
        self.shard.position(name).is_some()
    }

    /// What is stored under `name`.
    pub(in super::super) fn get(&self, name: Name) -> Option<Past> {
        let entry = self.entry(name)?;
        if entry.note().has_log { self.log(entry).cloned() } else { self.past(entry) }
    }

    /// The same, for `strategy` to change. A log is taken out, and has to be [put](Self::put) in or
    /// [back](Self::put_back). A custom strategy gets a copy: if it panics, the entry is as before.
    pub(in super::super) fn take(&mut self, name: Name, strategy: &AnyStrategy) -> Option<Past> {
        let entry = self.entry(name)?;
        if entry.note().has_log && !strategy.is_custom() { self.take_log(entry) } else { self.get(name) }
    }

    /// Stores what a hit left behind, whether the entry is there or new. Room for a new one was made before, by
    /// [`Self::make_room`].
    pub(in super::super) fn put(&mut self, name: Name, past: Past, hit: &Hit<'_>) {
        let known = self.entry(name);
        let Some(entry) = known.or_else(|| self.insert(name)) else { return };
        let terms = match known.map(|entry| entry.note().terms) {
            Some(terms) if self.behind.terms.is(terms, hit.strategy, past.rate) => terms,
            other => {
                other.into_iter().for_each(|terms| self.behind.terms.release(terms));
                self.behind.terms.acquire(hit.strategy, past.rate, &self.shard.rates)
            }
        };
        entry.write_note(Note { terms, cost: RoughCost::new(hit.cost), ..entry.note() });
        self.write_state(entry, past);
    }

    /// Stores what was [taken](Self::take) as it is now, under the terms it was stored under.
    pub(in super::super) fn put_back(&mut self, name: Name, past: Past) {
        if let Some(entry) = self.entry(name) {
            self.write_state(entry, past);
        }
    }

    pub(in super::super) fn remove(&mut self, name: Name) {
        if let Some(position) = self.shard.position(name) {
            self.remove_at(position);
        }
    }

    /// Sees to it that `arriving` entries fit under the cap, and returns how many had to go that had not expired. None
    /// of those go that are to stay.
    pub(in super::super) fn make_room(&mut self, arriving: usize, now: Timestamp, stays: impl Fn(Name) -> bool) -> u64 {
        self.sweep(SWEEP * arriving, now, &stays);
        let excess = (self.shard.len() + arriving).saturating_sub(self.shard.max_entries);
        if excess == 0 { 0 } else { self.evict(excess, now, stays) }
    }

    pub(in super::super) fn clear(&mut self) {
        self.shard.index.clear();
        self.shard.entries.clear();
        *self.behind = Behind::default();
    }

    /// Lets go of expired entries among the next few.
    fn sweep(&mut self, steps: usize, now: Timestamp, stays: impl Fn(Name) -> bool) {
        for _ in 0..steps {
            if self.behind.hand >= self.shard.len() {
                self.behind.hand = 0;
            }
            match self.shard.entries.get(self.behind.hand).filter(|_| self.shard.len() > 0) {
                Some(entry) if entry.expires() <= now && !stays(entry.name()) => self.remove_at(self.behind.hand),
                Some(_) => self.behind.hand += 1,
                None => return,
            }
        }
    }

    /// Lets `excess` entries go, those of the lowest rank.
    fn evict(&mut self, excess: usize, now: Timestamp, stays: impl Fn(Name) -> bool) -> u64 {
        let mut evicted = 0;
        for _ in 0..excess {
            let Some((rank, name)) = self.next_to_leave(now, &stays) else { break };
            self.remove(name);
            evicted += u64::from(rank != Rank::Expired);
        }
        evicted
    }

    fn next_to_leave(&mut self, now: Timestamp, stays: impl Fn(Name) -> bool) -> Option<(Rank, Name)> {
        let mut leaving = std::mem::take(&mut self.behind.leaving);
        let rank = |name| self.entry(name).map(|entry| self.rank(entry, now));
        let queued = if leaving.is_stale() { None } else { leaving.next(rank, &stays) };
        let next = queued.or_else(|| {
            leaving = Leaving::look(self.shard.entries.iter().map(|entry| (self.rank(entry, now), entry.name())));
            leaving.next(rank, &stays)
        });
        self.behind.leaving = leaving;
        next
    }

    fn rank(&self, entry: &Entry, now: Timestamp) -> Rank {
        let Note { terms, has_log, cost } = entry.note();
        // What cannot be read says nothing.
        let Some(terms) = self.behind.terms.get(terms) else { return Rank::Expired };
        if has_log {
            return self.log(entry).map_or(Rank::Expired, |past| Rank::of(past, terms, cost.get(), now));
        }
        let past = Past { state: entry.state(), rate: terms.rate };
        Rank::of(&past, terms, cost.get(), now)
    }

    /// What an entry says that has no log.
    fn past(&self, entry: &Entry) -> Option<Past> {
        let rate = self.behind.terms.get(entry.note().terms)?.rate;
        Some(Past { state: entry.state(), rate })
    }

    fn entry(&self, name: Name) -> Option<&'a Entry> {
        self.shard.entries.get(self.shard.position(name)?)
    }

    fn insert(&mut self, name: Name) -> Option<&'a Entry> {
        let Shard { index, entries, .. } = self.shard;
        let (position, entry) = entries.push()?;
        entry.write_name(name);
        index.insert(name, position, |position| entries.name_at(position));
        self.behind.leaving.join(name);
        Some(entry)
    }

    /// Removes an entry; the last one takes its place.
    fn remove_at(&mut self, position: usize) {
        let Shard { index, entries, .. } = self.shard;
        let Some(entry) = entries.get(position) else { return };
        self.take_log(entry);
        self.behind.terms.release(entry.note().terms);
        index.remove(entry.name(), position, |position| entries.name_at(position));

        let last = entries.len() - 1;
        if let Some(moved) = entries.get(last).filter(|_| position != last) {
            index.replace(moved.name(), last, position);
            entry.copy(moved);
        }
        entries.pop();
    }

    /// Writes the state of an entry, in place of a log that it may have.
    fn write_state(&mut self, entry: &Entry, past: Past) {
        self.take_log(entry);
        let (expires, has_log) = (past.state.expires(), past.state.log().is_some());
        let words = if has_log { [self.behind.logs.insert(past) as u64, 0] } else { past.state.words() };
        entry.write_state(expires, words);
        entry.write_note(Note { has_log, ..entry.note() });
    }

    /// The log of an entry, if it has one. From then on the entry says nothing.
    fn take_log(&mut self, entry: &Entry) -> Option<Past> {
        let note = entry.note();
        if !note.has_log {
            return None;
        }
        let [number, _] = entry.words();
        entry.write_state(Timestamp::UNIX_EPOCH, [0, 0]);
        entry.write_note(Note { has_log: false, ..note });
        usize::try_from(number).ok().and_then(|number| self.behind.logs.try_remove(number))
    }

    fn log(&self, entry: &Entry) -> Option<&Past> {
        let [number, _] = entry.words();
        usize::try_from(number).ok().and_then(|number| self.behind.logs.get(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use traffik_core::{
        client::Key,
        rate::Rate,
        strategy::{Log, State},
    };

    #[test]
    fn log_that_is_written_over_is_dropped() {
        let (shard, name, expires) = (Shard::new(16), Name { low: 7, high: 0 }, Timestamp::from_micros(60_000_000));
        let (key, strategy, rate) = (Key::from("alice"), AnyStrategy::default(), Rate::literal("5/min"));
        let hit = Hit { uid: "limit", key: &key, strategy: &strategy, rate, cost: 1 };
        let past = |log: Log| Past { state: State::new(expires, [0; 2]).with_log(log), rate };
        let mut closed = shard.close();
        for cost in 1..4 {
            let log: Log = [(expires, cost)].into_iter().collect();
            closed.put(name, past(log.clone()), &hit);
            closed.put_back(name, past(log));
            assert_eq!(closed.behind.logs.len(), 1);
        }
        closed.put(name, Past { state: State::new(expires, [0; 2]), rate }, &hit);
        assert!(closed.behind.logs.is_empty());
        assert_eq!(closed.get(name).map(|past| past.state.words()), Some([0; 2]));
    }
}
