//! Strategies and rates by number: many entries share few rates.

use std::{
    hash::{BuildHasher, RandomState},
    num::NonZeroU64,
};

use hashbrown::{HashTable, hash_table};
use slab::Slab;
use traffik_core::{
    decision::Hit,
    rate::Rate,
    strategy::{AnyStrategy, PreparedRate},
};

use super::entries::EntryMeta;

/// The strategies and rates of a shard's entries. A row exists as long as an entry uses it.
#[derive(Default)]
#[repr(C)]
pub(super) struct RateTable {
    /// Rows that were checked last, by the lowest bit of their number. A decision about a known client reads no other.
    checked: [Option<CheckedRow>; 2],
    rows: Slab<RateRow>,
    by_rate: HashTable<u16>,
    hasher: RandomState,
    /// The last row that was acquired. In most shards all entries use the same row.
    last: u16,
}

/// A row that has the strategy of a limit, for decisions about states without logs.
#[repr(C)]
struct CheckedRow {
    /// The [number](traffik_core::decision::LimitId::number) of the limit.
    limit: NonZeroU64,
    row: u16,
    rate: PreparedRate,
}

impl CheckedRow {
    #[inline]
    fn is_of(&self, number: u16, hit: &Hit<'_>) -> bool {
        self.limit.get() == hit.limit.number() && self.rate.rate() == hit.rate && self.row == number
    }
}

pub(super) struct RateRow {
    pub(super) strategy: AnyStrategy,
    pub(super) rate: Rate,
    entries: usize,
}

impl RateRow {
    fn is(&self, strategy: &AnyStrategy, rate: Rate) -> bool {
        self.rate == rate && self.strategy == *strategy
    }
}

impl RateTable {
    #[inline]
    pub(super) fn get(&self, number: u16) -> Option<&RateRow> {
        self.rows.get(number.into())
    }

    pub(super) fn is(&self, number: u16, strategy: &AnyStrategy, rate: Rate) -> bool {
        self.get(number).is_some_and(|row| row.is(strategy, rate))
    }

    /// Returns the rate of a hit, prepared by its strategy, if a row has both. It is faster the second time. Returns `None`
    /// for strategies with logs and custom ones too.
    #[inline]
    pub(super) fn prepared(&mut self, number: u16, hit: &Hit<'_>) -> Option<&PreparedRate> {
        if !self.checked(number).is_some_and(|row| row.is_of(number, hit)) {
            self.check(number, hit)?;
        }
        self.checked(number).map(|row| &row.rate)
    }

    /// Returns the rate of a hit, prepared by its strategy. Returns `None` for strategies with logs and custom ones.
    #[inline]
    pub(super) fn prepare(&mut self, hit: &Hit<'_>) -> Option<PreparedRate> {
        let known = self.prepared(self.last, hit).copied();
        known.or_else(|| hit.limit.strategy().prepare(hit.rate))
    }

    #[inline]
    fn checked(&self, number: u16) -> Option<&CheckedRow> {
        let [even, odd] = &self.checked;
        // The processor predicts a branch. It would wait for the number in the entry to compute a place.
        if number % 2 == 0 { even.as_ref() } else { odd.as_ref() }
    }

    #[inline(never)]
    fn check(&mut self, number: u16, hit: &Hit<'_>) -> Option<()> {
        if !self.is(number, hit.limit.strategy(), hit.rate) {
            return None;
        }
        let (limit, rate) = (NonZeroU64::new(hit.limit.number())?, hit.limit.strategy().prepare(hit.rate)?);
        let [even, odd] = &mut self.checked;
        let checked = if number % 2 == 0 { even } else { odd };
        *checked = Some(CheckedRow { limit, row: number, rate });
        Some(())
    }

    /// Returns the number of the row of a hit for one more entry.
    #[inline]
    pub(super) fn acquire_of(&mut self, hit: &Hit<'_>) -> u16 {
        if self.prepared(self.last, hit).is_some() {
            self.retain_last()
        } else {
            self.acquire(hit.limit.strategy(), hit.rate)
        }
    }

    /// Returns the number of a row for one more entry.
    pub(super) fn acquire(&mut self, strategy: &AnyStrategy, rate: Rate) -> u16 {
        if !self.is(self.last, strategy, rate) {
            self.last = self.find_or_add(strategy, rate);
        }
        self.retain_last()
    }

    #[inline]
    fn retain_last(&mut self) -> u16 {
        if let Some(row) = self.rows.get_mut(self.last.into()) {
            row.entries += 1;
        }
        self.last
    }

    fn find_or_add(&mut self, strategy: &AnyStrategy, rate: Rate) -> u16 {
        let Self { rows, by_rate, hasher, .. } = self;
        let row = |number: u16| rows.get(number.into());
        let is_it = |&number: &u16| row(number).is_some_and(|row| row.is(strategy, rate));
        let hash = |&number: &u16| row(number).map_or(0, |row| hasher.hash_one(row.rate));
        match by_rate.entry(hasher.hash_one(rate), is_it, hash) {
            hash_table::Entry::Occupied(found) => *found.get(),
            hash_table::Entry::Vacant(vacant) => {
                // There are at most as many rows as entries, and fewer entries in a shard than numbers.
                let number = u16::try_from(rows.vacant_key()).unwrap_or(u16::MAX).min(EntryMeta::MAX_RATE);
                rows.insert(RateRow { strategy: strategy.clone(), rate, entries: 0 });
                vacant.insert(number);
                number
            }
        }
    }

    /// Releases the row of an entry.
    pub(super) fn release(&mut self, number: u16) {
        let Some(row) = self.rows.get_mut(number.into()) else { return };
        row.entries = row.entries.saturating_sub(1);
        if row.entries == 0 {
            let hash = self.hasher.hash_one(row.rate);
            if let Ok(found) = self.by_rate.find_entry(hash, |&other| other == number) {
                found.remove();
            }
            self.rows.remove(number.into());
            self.checked = [None, None];
        }
    }
}
