//! Packs states as bytes, in one of three stored forms. The first byte names the form. Later releases read it too.
//!
//! 1. The form of most strategies with a Lua form, as `state.lua` packs it: two words of 7 bytes, 34 bytes in all.
//! 2. The form of strategies without a Lua form: two words of 8 bytes, and the charges of a log, 16 bytes each.
//! 3. The form of `SlidingWindowLog`, as `sliding_window_log.lua` stores it: a header of 35 bytes, and 8 bytes per charge.

use std::time::Duration;

use thiserror::Error;
use traffik_core::{
    Rate,
    clock::Timestamp,
    strategy::{AnyStrategy, Log, State, StoredState},
};

use crate::scripts::LuaStrategy;

const NARROW: u8 = 1;
const WIDE: u8 = 2;
const LOG: u8 = 3;

/// The error of reading a stored state, or of packing one.
#[derive(Debug, Error)]
pub(crate) enum Unpackable {
    #[error("a state of version {0}, which this version of traffik-redis cannot read: upgrade it, or reset the limit")]
    Version(u8),
    #[error("a state of the wrong length: reset the limit")]
    WrongLength,
    #[error("a state without a rate: reset the limit")]
    NoRate,
    #[error("a state whose numbers are too large to store")]
    TooLarge,
}

/// Packs a state in the form that all scripts and processes read for this strategy.
pub(crate) fn pack(strategy: &AnyStrategy, past: &StoredState) -> Result<Vec<u8>, Unpackable> {
    let mut bytes = Writer(Vec::new());
    match LuaStrategy::of(strategy) {
        None => {
            bytes.put(WIDE.into(), 1)?;
            bytes.put_state(past, 8)?;
            for (until, cost) in past.state.log().into_iter().flat_map(Log::iter) {
                bytes.put(until.as_micros(), 8)?;
                bytes.put(cost, 8)?;
            }
        }
        Some(LuaStrategy::SlidingWindowLog) => {
            bytes.put(LOG.into(), 1)?;
            put_sliding_window_log(&mut bytes, past)?;
        }
        Some(_) => {
            bytes.put(NARROW.into(), 1)?;
            bytes.put_state(past, 7)?;
        }
    }
    Ok(bytes.0)
}

/// Unpacks a stored or reported state. Returns `None` for no bytes.
pub(crate) fn unpack(packed: &[u8]) -> Result<Option<StoredState>, Unpackable> {
    let Some((version, rest)) = packed.split_first() else { return Ok(None) };
    let mut bytes = Reader(rest);
    let past = match *version {
        NARROW => bytes.take_state(7)?,
        WIDE => {
            let StoredState { state, rate } = bytes.take_state(8)?;
            StoredState { state: bytes.take_log(state)?, rate }
        }
        LOG => take_sliding_window_log(&mut bytes)?,
        other => return Err(Unpackable::Version(other)),
    };
    Ok(Some(past))
}

struct Writer(Vec<u8>);

impl Writer {
    /// Appends a number in `width` bytes, the lowest first.
    fn put(&mut self, number: u64, width: usize) -> Result<(), Unpackable> {
        let bytes = number.to_le_bytes();
        let (low, high) = bytes.split_at_checked(width).ok_or(Unpackable::TooLarge)?;
        if high.iter().any(|&byte| byte > 0) {
            return Err(Unpackable::TooLarge);
        }
        self.0.extend_from_slice(low);
        Ok(())
    }

    fn put_state(&mut self, StoredState { state, rate }: &StoredState, width: usize) -> Result<(), Unpackable> {
        let [first, second] = state.words();
        for word in [state.expires().as_micros(), first, second] {
            self.put(word, width)?;
        }
        self.put(rate.limit(), 6)?;
        self.put(rate.period_micros(), 6)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, width: usize) -> Result<u64, Unpackable> {
        let (number, rest) = self.0.split_at_checked(width).ok_or(Unpackable::WrongLength)?;
        self.0 = rest;
        Ok(number.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    fn take_state(&mut self, width: usize) -> Result<StoredState, Unpackable> {
        let [expires, first, second] = [self.take(width)?, self.take(width)?, self.take(width)?];
        let rate = self.take_rate()?;
        Ok(StoredState { state: State::new(Timestamp::from_micros(expires), [first, second]), rate })
    }

    /// Nothing is stored at an unlimited rate.
    fn take_rate(&mut self) -> Result<Rate, Unpackable> {
        let [limit, period] = [self.take(6)?, self.take(6)?];
        let rate = Rate::new(limit, Duration::from_micros(period)).map_err(|_| Unpackable::NoRate)?;
        if rate.is_unlimited() { Err(Unpackable::NoRate) } else { Ok(rate) }
    }

    /// Returns the state with the charges that follow, if there are any.
    fn take_log(&mut self, state: State) -> Result<State, Unpackable> {
        if self.0.is_empty() {
            return Ok(state);
        }
        let mut charges = Vec::with_capacity(self.0.len() / 16);
        while !self.0.is_empty() {
            charges.push((Timestamp::from_micros(self.take(8)?), self.take(8)?));
        }
        Ok(state.with_log(charges.into_iter().collect()))
    }
}

const TIMES: u64 = 1 << 48;
const SUMS: u64 = 1 << 16;

/// Writes the third form.
///
/// The last charge ends when the state expires. All charges that count end within 2^48 microseconds, and their sum is
/// at most 65 536. So the low bits of times and sums determine the rest.
fn put_sliding_window_log(bytes: &mut Writer, StoredState { state, rate }: &StoredState) -> Result<(), Unpackable> {
    let (log, [written, _]) = (state.log(), state.words());
    let count = log.map_or(0, Log::len);
    bytes.put(state.expires().as_micros(), 7)?;
    bytes.put(written, 7)?;
    bytes.put(rate.limit(), 6)?;
    bytes.put(rate.period_micros(), 6)?;
    // The position of the first entry that counts, the number of entries, and the sum before the first.
    bytes.put(0, 3)?;
    bytes.put(u64::try_from(count).unwrap_or(u64::MAX), 3)?;
    bytes.put(0, 2)?;
    let mut sum = 0;
    for (until, cost) in log.into_iter().flat_map(Log::iter) {
        sum = (sum + cost % SUMS) % SUMS;
        bytes.put(until.as_micros() % TIMES, 6)?;
        bytes.put(sum, 2)?;
    }
    Ok(())
}

/// Reads the third form.
fn take_sliding_window_log(bytes: &mut Reader<'_>) -> Result<StoredState, Unpackable> {
    let [expires, written] = [bytes.take(7)?, bytes.take(7)?];
    let rate = bytes.take_rate()?;
    let [first, count, mut before] = [bytes.take(3)?, bytes.take(3)?, bytes.take(2)?];
    for _ in 0..first {
        bytes.take(8)?;
    }
    let entries =
        (first..count).map(|_| Ok((bytes.take(6)?, bytes.take(2)?))).collect::<Result<Vec<_>, Unpackable>>()?;
    let last = entries.last().map_or(0, |&(time, _)| time);
    let charge = |(time, sum): (u64, u64)| {
        let until = expires.saturating_sub(last.wrapping_sub(time) % TIMES);
        let cost = sum.wrapping_sub(before) % SUMS;
        before = sum;
        // No charge has a cost of 0.
        (Timestamp::from_micros(until), if cost == 0 { SUMS } else { cost })
    };
    let log = entries.into_iter().map(charge).collect();
    Ok(StoredState { state: State::new(Timestamp::from_micros(expires), [written, 0]).with_log(log), rate })
}

#[cfg(test)]
mod tests {
    use traffik_core::strategy::{SlidingWindowLog, Strategy};

    use super::*;

    const RATE: Rate = Rate::literal("100/min");

    fn past(expires: u64, words: [u64; 2], log: Option<Log>) -> StoredState {
        let state = State::new(Timestamp::from_micros(expires), words);
        StoredState { state: if let Some(log) = log { state.with_log(log) } else { state }, rate: RATE }
    }

    /// A strategy without a Lua form.
    fn own() -> AnyStrategy {
        AnyStrategy::custom(AnyStrategy::default())
    }

    #[test]
    fn state_of_a_lua_strategy_is_packed_as_lua_packs_it() {
        let mut packed = vec![1];
        for (number, bytes) in [(1_760_000_000_000_001_u64, 7), (3, 7), (1 << 50, 7), (100, 6), (60_000_000, 6)] {
            packed.extend(number.to_le_bytes().into_iter().take(bytes));
        }
        assert_eq!(packed.len(), 34);
        let past = past(1_760_000_000_000_001, [3, 1 << 50], None);
        assert_eq!(unpack(&packed).unwrap().as_ref(), Some(&past));
        assert_eq!(pack(&AnyStrategy::default(), &past).unwrap(), packed);
        assert_eq!(unpack(b"").unwrap(), None);
    }

    #[test]
    fn state_of_a_custom_strategy_keeps_every_digit_and_its_log() {
        let at = Timestamp::from_micros;
        let log: Log = [(at(5), 3), (at(7), u64::MAX - 3)].into_iter().collect();
        for log in [None, Some(log)] {
            let past = past(u64::MAX, [u64::MAX, u64::MAX - 1], log);
            assert_eq!(unpack(&pack(&own(), &past).unwrap()).unwrap(), Some(past));
        }
    }

    #[test]
    fn log_of_a_lua_strategy_keeps_the_low_bits_of_times_and_sums() {
        let start = 1_760_000_000_000_000;
        let charges = [(start + 1, 3), (start + 4_320_000_000_000, 65_533)];
        for count in 1..=charges.len() {
            let log = charges[..count].iter().map(|&(until, cost)| (Timestamp::from_micros(until), cost)).collect();
            let past = past(charges[count - 1].0, [start, 0], Some(log));
            let packed = pack(&SlidingWindowLog.into(), &past).unwrap();
            assert_eq!(packed.len(), 35 + 8 * count);
            assert_eq!(unpack(&packed).unwrap(), Some(past));
        }
        let all_of_one = past(start, [1, 0], Some([(Timestamp::from_micros(start), 65_536)].into_iter().collect()));
        assert_eq!(unpack(&pack(&SlidingWindowLog.into(), &all_of_one).unwrap()).unwrap(), Some(all_of_one));
    }

    #[test]
    fn unpacked_log_omits_ended_entries_and_those_after_its_count() {
        let mut bytes = Writer(vec![LOG]);
        let (start, period) = (1_760_000_000_000_000, 60_000_000);
        let header = [(start + 9, 7), (start, 7), (100, 6), (period, 6), (1, 3), (3, 3), (65_535, 2)];
        // The last entry ends with the state, whatever its own bits say: a clock went back, and only the header was
        // moved.
        let entries = [(70, 6), (65_535, 2), (99, 6), (4, 2), (105, 6), (6, 2), (1, 6), (9, 2)];
        for (number, width) in header.into_iter().chain(entries) {
            bytes.put(number, width).unwrap();
        }
        let log = [(start + 3, 5), (start + 9, 2)].map(|(until, cost)| (Timestamp::from_micros(until), cost));
        let found = unpack(&bytes.0).unwrap().unwrap();
        assert_eq!(found, past(start + 9, [start, 0], Some(log.into_iter().collect())));
    }

    #[test]
    fn unpacking_any_bytes_does_not_panic() {
        for version in 0..=4 {
            for (length, fill) in (0..200).flat_map(|length| [0, 1, 0x7f, 0xff].map(|fill| (length, fill))) {
                let mut packed = vec![version];
                packed.extend((0..length).map(|at: u8| fill ^ (at % 3)));
                let _ = unpack(&packed);
            }
        }
    }

    #[test]
    fn state_at_an_unlimited_rate_is_an_error() {
        for (version, length) in [(NARROW, 34), (WIDE, 37), (LOG, 35)] {
            let mut packed = vec![0; length];
            packed[0] = version;
            assert!(matches!(unpack(&packed), Err(Unpackable::NoRate)), "{version}");
        }
    }

    #[test]
    fn bytes_that_are_not_a_state_are_an_error() {
        for packed in [&[127; 34][..], &[1; 33], &[1], &[2; 36], &[2; 40], &[3; 30], &[3; 60]] {
            assert!(unpack(packed).is_err(), "{packed:?}");
        }
        assert!(own().check(RATE).is_ok());
        assert!(pack(&AnyStrategy::default(), &past(1, [1 << 56, 0], None)).is_err());
    }
}
