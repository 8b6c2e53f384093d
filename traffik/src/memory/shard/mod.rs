//! A shard: entries side by side, an index from their names to where they lie, and a turnstile.
//!
//! Who knows an entry's terms reads and writes its state through the turnstile ([`Shard`]). Everything else, be it that
//! an entry comes, goes or changes its terms, or that its state is a log, takes a shard that is closed ([`ClosedShard`]).

mod closed;
mod entries;
mod entry;
mod index;
mod leaving;
mod rank;
mod terms;

use slab::Slab;
use traffik_core::{clock::Timestamp, decision::Hit, strategy::Past};

pub(super) use self::{closed::ClosedShard, entry::Entry};
use self::{
    entries::Entries,
    entry::{Note, RoughCost},
    index::Index,
    leaving::Leaving,
    terms::{Rates, TermsInUse},
};
use super::{
    digest::Name,
    turnstile::{Inside, Turnstile, Version},
};

/// A shard, alone on its cache lines.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Shard {
    turnstile: Turnstile<Behind>,
    index: Index,
    entries: Entries,
    rates: Rates,
    max_entries: usize,
}

/// What is seen by those only who close the shard.
#[derive(Debug, Default)]
struct Behind {
    terms: TermsInUse,
    /// The states that are logs, and the rate of each.
    logs: Slab<Past>,
    /// Where the sweep goes on.
    hand: usize,
    leaving: Leaving,
}

impl Shard {
    /// A shard that holds at most `max_entries`, which are fewer than 2^15.
    pub(super) fn new(max_entries: usize) -> Self {
        Self {
            turnstile: Turnstile::default(),
            index: Index::new(max_entries),
            entries: Entries::new(max_entries),
            rates: Rates::default(),
            max_entries,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(super) fn look(&self) -> Version {
        self.turnstile.look()
    }

    #[inline]
    pub(super) fn is_still(&self, version: Version) -> bool {
        self.turnstile.is_still(version)
    }

    #[inline]
    pub(super) fn enter(&self, version: Version) -> Option<Inside<'_>> {
        self.turnstile.enter(version)
    }

    pub(super) fn close(&self) -> ClosedShard<'_> {
        ClosedShard::new(self)
    }

    /// The entry of a hit, and what it says, if that can be told and changed without closing the shard: if it was written
    /// at the rate of the hit, and is no log.
    #[inline]
    pub(super) fn known(&self, name: Name, hit: &Hit<'_>) -> Option<(&Entry, Past)> {
        let entry = self.entries.get(self.position(name)?)?;
        let Note { terms, has_log, .. } = entry.note();
        let can_be_read = !has_log && self.rates.is(terms, hit.rate);
        can_be_read.then(|| (entry, Past { state: entry.state(), rate: hit.rate }))
    }

    #[inline]
    fn position(&self, name: Name) -> Option<usize> {
        self.index.find(name, |position| self.entries.get(position).is_some_and(|entry| entry.is(name)))
    }
}

impl Entry {
    /// Writes what a charge left, which is no log.
    #[inline]
    pub(super) fn update(&self, expires: Timestamp, words: [u64; 2], cost: u64, _inside: &Inside<'_>) {
        self.write_state(expires, words);
        let note = Note { cost: RoughCost::new(cost), ..self.note() };
        if cost > 0 && note != self.note() {
            self.write_note(note);
        }
    }
}
