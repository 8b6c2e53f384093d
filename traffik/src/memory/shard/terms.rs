//! Strategies and rates by number: entries are many, and what they were written under is the same few.

use std::{
    array,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use hashbrown::HashTable;
use slab::Slab;
use traffik_core::{rate::Rate, strategy::AnyStrategy};

use super::entry::Note;

/// What a state is to be read by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Terms {
    pub(super) strategy: AnyStrategy,
    pub(super) rate: Rate,
}

/// The terms of a shard's entries, each for as long as one has it.
#[derive(Debug, Default)]
pub(super) struct TermsInUse {
    all: Slab<(Terms, usize)>,
    by_rate: HashTable<u16>,
    hasher: RandomState,
    /// The number that was wanted last.
    last: u16,
}

impl TermsInUse {
    pub(super) fn get(&self, number: u16) -> Option<&Terms> {
        self.all.get(number.into()).map(|(terms, _)| terms)
    }

    /// Whether the terms with this number are these.
    pub(super) fn is(&self, number: u16, strategy: &AnyStrategy, rate: Rate) -> bool {
        self.get(number).is_some_and(|terms| terms.rate == rate && terms.strategy == *strategy)
    }

    /// The number of these terms, for one entry more. As a rule all of a shard's entries have the same.
    pub(super) fn acquire(&mut self, strategy: &AnyStrategy, rate: Rate, rates: &Rates) -> u16 {
        let last = self.last;
        let number = if self.is(last, strategy, rate) { last } else { self.find_or_add(strategy, rate, rates) };
        if let Some((_, used)) = self.all.get_mut(number.into()) {
            *used += 1;
        }
        self.last = number;
        number
    }

    fn find_or_add(&mut self, strategy: &AnyStrategy, rate: Rate, rates: &Rates) -> u16 {
        let Self { all, by_rate, hasher, .. } = self;
        let is_it = |&number: &u16| {
            all.get(number.into()).is_some_and(|(terms, _)| terms.rate == rate && terms.strategy == *strategy)
        };
        let known = by_rate.find(hasher.hash_one(rate), is_it).copied();
        known.unwrap_or_else(|| {
            // There are no more terms than entries, of which a shard has no more than numbers.
            let number = u16::try_from(all.vacant_key()).unwrap_or(Note::MAX_TERMS).min(Note::MAX_TERMS);
            all.insert((Terms { strategy: strategy.clone(), rate }, 0));
            let hash = |&number: &u16| all.get(number.into()).map_or(0, |(terms, _)| hasher.hash_one(terms.rate));
            by_rate.insert_unique(hasher.hash_one(rate), number, hash);
            rates.set(number, rate);
            number
        })
    }

    /// An entry fewer has these terms.
    pub(super) fn release(&mut self, number: u16) {
        let Some((terms, used)) = self.all.get_mut(number.into()) else { return };
        *used = used.saturating_sub(1);
        if *used == 0 {
            let hash = self.hasher.hash_one(terms.rate);
            if let Ok(found) = self.by_rate.find_entry(hash, |&other| other == number) {
                found.remove();
            }
            self.all.remove(number.into());
        }
    }
}

/// The rates of the first few terms, for who reads without a lock.
#[derive(Debug)]
pub(super) struct Rates([[AtomicU64; 2]; 64]);

impl Rates {
    /// Whether the terms with this number have this rate. No, where only who closes the shard can tell.
    #[inline]
    pub(super) fn is(&self, number: u16, rate: Rate) -> bool {
        self.0.get(usize::from(number)).is_some_and(|[limit, period]| {
            limit.load(Relaxed) == rate.limit() && period.load(Relaxed) == rate.period_micros()
        })
    }

    fn set(&self, number: u16, rate: Rate) {
        if let Some([limit, period]) = self.0.get(usize::from(number)) {
            limit.store(rate.limit(), Relaxed);
            period.store(rate.period_micros(), Relaxed);
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self(array::from_fn(|_| Default::default()))
    }
}
