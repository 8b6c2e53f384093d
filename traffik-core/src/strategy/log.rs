use std::{collections::VecDeque, time::Duration};

use smallvec::SmallVec;

use crate::clock::Timestamp;

/// Charges, sorted by the time until which each of them counts. Charges that count until the same time are one entry.
///
/// Each entry stores the sum of all charges up to it, so a binary search finds what counts at a time.
///
/// ```
/// use traffik::{clock::Timestamp, strategy::Log};
///
/// let [noon, one, two] = [12, 13, 14].map(|hour| Timestamp::from_micros(hour * 3_600_000_000));
/// let log: Log = [(one, 3), (two, 1)].into_iter().collect();
/// assert_eq!([noon, one, two].map(|time| log.counts_at(time)), [4, 1, 0]);
/// assert_eq!(log.time_until_more_counts_than(0), Some(two));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: VecDeque<Entry>,
    /// The sum of all charges before the first entry.
    forgotten: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    until: Timestamp,
    /// The sum of all charges up to this one. It may wrap around, since only differences are used.
    total: u64,
}

impl Log {
    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns `true` if there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the entries: until when each counts, and how much.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, u64)> {
        let before = std::iter::once(self.forgotten).chain(self.entries.iter().map(|entry| entry.total));
        self.entries.iter().zip(before).map(|(entry, before)| (entry.until, entry.total.wrapping_sub(before)))
    }

    /// Returns the sum of what counts at a time.
    #[must_use]
    pub fn counts_at(&self, time: Timestamp) -> u64 {
        self.total().wrapping_sub(self.total_before(self.first_at(time)))
    }

    /// Returns the time until which more than `most` counts, or `None` if it never does.
    #[must_use]
    pub fn time_until_more_counts_than(&self, most: u64) -> Option<Timestamp> {
        let is_more = self.total().wrapping_sub(self.forgotten) > most;
        self.entries.get(self.last_of(most)).filter(|_| is_more).map(|entry| entry.until)
    }

    /// Returns the time until which anything counts.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        self.entries.back().map(|entry| entry.until)
    }

    /// Adds a charge. It is fast if the charge counts for longer than all others. The sum stays at 2^64 - 1 at most.
    pub fn add(&mut self, until: Timestamp, cost: u64) {
        let cost = cost.min(u64::MAX - self.total().wrapping_sub(self.forgotten));
        let place = match self.ends() {
            Some(last) if last > until => self.entries.partition_point(|entry| entry.until < until),
            Some(last) if last == until => self.entries.len() - 1,
            _ => self.entries.len(),
        };
        if self.entries.get(place).is_none_or(|entry| entry.until != until) {
            let total = self.total_before(place);
            self.entries.insert(place, Entry { until, total });
        }
        self.entries.range_mut(place..).for_each(|entry| entry.total = entry.total.wrapping_add(cost));
    }

    /// Returns how much counts until exactly this time.
    #[must_use]
    pub fn charged_until(&self, until: Timestamp) -> u64 {
        self.place_of(until).map_or(0, |place| self.charged_at(place))
    }

    /// Takes back up to `cost` of what counts until exactly this time.
    pub fn take_back(&mut self, until: Timestamp, cost: u64) {
        let Some(place) = self.place_of(until) else { return };
        let charged = self.charged_at(place);
        let cost = cost.min(charged);
        self.entries.range_mut(place..).for_each(|entry| entry.total = entry.total.wrapping_sub(cost));
        if cost == charged {
            self.entries.remove(place);
        }
    }

    /// Removes what does not count any more at a time.
    pub fn forget(&mut self, time: Timestamp) {
        let first = self.first_at(time);
        self.forgotten = self.total_before(first);
        self.entries.drain(..first);
        // Frees the memory of a burst.
        if self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    /// Lets every charge end earlier.
    pub fn move_back(&mut self, by: Duration) {
        let by = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        for Entry { until, .. } in &mut self.entries {
            *until = Timestamp::from_micros(until.as_micros().saturating_sub(by));
        }
        // All charges that end at the epoch become one entry, which has the sum of the last.
        let at_epoch = self.first_at(Timestamp::UNIX_EPOCH);
        self.entries.drain(..at_epoch.saturating_sub(1));
    }

    /// Reserves memory for one more entry: doubles the capacity, up to `most` entries.
    pub(super) fn reserve_one(&mut self, most: usize) {
        let len = self.entries.len();
        if len == self.entries.capacity() {
            self.entries.reserve_exact(len.max(2).min(most.saturating_sub(len)).max(1));
        }
    }

    /// Returns the entries that say what counts at `time`, until when anything does, and until when more than each of `mosts`
    /// does.
    pub(super) fn summary<const N: usize>(&self, time: Timestamp, mosts: [u64; N]) -> Self {
        let first = self.first_at(time);
        let mut places: SmallVec<[usize; 4]> = mosts.iter().map(|&most| self.last_of(most)).collect();
        places.push(self.entries.len().saturating_sub(1));
        places.sort_unstable();
        places.dedup();
        let kept = places.into_iter().filter(|&place| place >= first);
        Self {
            entries: kept.filter_map(|place| self.entries.get(place)).copied().collect(),
            forgotten: self.total_before(first),
        }
    }

    /// Returns the place of what counts until exactly this time.
    fn place_of(&self, until: Timestamp) -> Option<usize> {
        self.entries.binary_search_by_key(&until, |entry| entry.until).ok()
    }

    /// Returns how much was charged at a place.
    fn charged_at(&self, place: usize) -> u64 {
        self.total_before(place + 1).wrapping_sub(self.total_before(place))
    }

    /// Returns the place of the last charge that has to end before no more than `most` counts.
    fn last_of(&self, most: u64) -> usize {
        let total = self.total();
        self.entries.partition_point(|entry| total.wrapping_sub(entry.total) > most)
    }

    /// Returns the place of the first entry that counts at a time.
    fn first_at(&self, time: Timestamp) -> usize {
        self.entries.partition_point(|entry| entry.until <= time)
    }

    fn total(&self) -> u64 {
        self.total_before(self.entries.len())
    }

    fn total_before(&self, place: usize) -> u64 {
        place.checked_sub(1).and_then(|before| self.entries.get(before)).map_or(self.forgotten, |entry| entry.total)
    }
}

/// Logs are equal if their entries are.
impl PartialEq for Log {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Log {}

/// Collects charges, each with the time until which it counts.
impl FromIterator<(Timestamp, u64)> for Log {
    fn from_iter<I: IntoIterator<Item = (Timestamp, u64)>>(charges: I) -> Self {
        let mut log = Self::default();
        charges.into_iter().for_each(|(until, cost)| log.add(until, cost));
        log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn log() -> Log {
        [(at(10), 3), (at(20), 1), (at(40), 2), (at(20), 4)].into_iter().collect()
    }

    fn charges(log: &Log) -> Vec<(Timestamp, u64)> {
        log.iter().collect()
    }

    #[test]
    fn charges_that_count_until_one_time_are_one_entry_in_its_place() {
        assert_eq!(charges(&log()), [(at(10), 3), (at(20), 5), (at(40), 2)]);
    }

    #[test]
    fn charge_counts_until_its_end_and_not_at_it() {
        assert_eq!([0, 9, 10, 19, 20, 39, 40, 99].map(|time| log().counts_at(at(time))), [10, 10, 7, 7, 2, 2, 0, 0]);
        assert_eq!(Log::default().counts_at(at(0)), 0);
    }

    #[test]
    fn time_until_more_counts_is_the_end_of_the_last_entry_above() {
        let times = [10, 9, 7, 6, 2, 1, 0].map(|most| log().time_until_more_counts_than(most));
        assert_eq!(times, [None, Some(at(10)), Some(at(10)), Some(at(20)), Some(at(20)), Some(at(40)), Some(at(40))]);
        assert_eq!(Log::default().time_until_more_counts_than(0), None);
    }

    #[test]
    fn forgetting_ended_entries_changes_no_later_count() {
        let mut shorter = log();
        shorter.forget(at(20));
        assert_eq!((shorter.len(), shorter.counts_at(at(20)), shorter.counts_at(at(0))), (1, 2, 2));
        assert_eq!([1, 2].map(|most| shorter.time_until_more_counts_than(most)), [Some(at(40)), None]);
        shorter.forget(at(40));
        assert!(shorter.is_empty() && shorter.time_until_more_counts_than(0).is_none());
    }

    #[test]
    fn take_back_removes_at_most_what_was_charged() {
        let without = |until, cost| {
            let mut log = log();
            log.take_back(at(until), cost);
            charges(&log)
        };
        assert_eq!(without(20, 2), [(at(10), 3), (at(20), 3), (at(40), 2)]);
        assert_eq!(without(10, 9), [(at(20), 5), (at(40), 2)]);
        assert_eq!(without(40, 2), [(at(10), 3), (at(20), 5)]);
        assert_eq!(without(30, 2), charges(&log()));
    }

    #[test]
    fn charge_until_a_time_is_the_cost_of_its_entry() {
        assert_eq!([9, 10, 20, 30, 40].map(|until| log().charged_until(at(until))), [0, 3, 5, 0, 2]);
    }

    #[test]
    fn summary_gives_the_same_answers() {
        let log: Log = (1..50).map(|i| (at(i * 10), i % 7 + 1)).collect();
        for (time, most) in (0..500).zip((0..220).cycle()) {
            let summary = log.summary(at(time), [most]);
            assert!(summary.len() <= 2);
            assert_eq!(summary.counts_at(at(time)), log.counts_at(at(time)));
            let is_more = log.counts_at(at(time)) > most;
            assert!(!is_more || summary.time_until_more_counts_than(most) == log.time_until_more_counts_than(most));
        }
    }

    #[test]
    fn sum_of_costs_saturates() {
        let log: Log = [(at(1), u64::MAX - 3), (at(2), 5)].into_iter().collect();
        assert_eq!((log.counts_at(at(0)), log.counts_at(at(1))), (u64::MAX, 3));
    }

    #[test]
    fn logs_in_which_the_same_counts_are_the_same() {
        let (mut longer, shorter): (Log, Log) = (log(), [(at(40), 2)].into_iter().collect());
        assert_ne!(longer, shorter);
        longer.forget(at(20));
        assert_eq!(longer, shorter);
    }

    #[test]
    fn entries_moved_back_to_the_epoch_become_one() {
        let mut log = log();
        log.move_back(Duration::from_micros(5));
        assert_eq!(charges(&log), [(at(5), 3), (at(15), 5), (at(35), 2)]);
        log.move_back(Duration::from_micros(20));
        assert_eq!(charges(&log), [(at(0), 8), (at(15), 2)]);
        log.move_back(Duration::from_secs(1));
        assert_eq!(charges(&log), [(at(0), 10)]);
    }

    #[test]
    fn sums_may_wrap_around() {
        let mut log: Log = [(at(1), u64::MAX)].into_iter().collect();
        log.forget(at(1));
        [(at(2), 5), (at(3), 6)].into_iter().for_each(|(until, cost)| log.add(until, cost));
        assert_eq!(charges(&log), [(at(2), 5), (at(3), 6)]);
        assert_eq!((log.counts_at(at(1)), log.time_until_more_counts_than(6)), (11, Some(at(2))));
    }

    #[test]
    fn room_is_made_for_twice_as_many_and_no_more_than_there_may_be() {
        let mut log = Log::default();
        for i in 0..100 {
            log.reserve_one(100);
            log.add(at(i), 1);
            assert!(log.entries.capacity() <= 100, "{} for {i}", log.entries.capacity());
        }
    }
}
