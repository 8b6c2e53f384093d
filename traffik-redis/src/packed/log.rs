//! The third form: a `SlidingWindowLog` as `sliding_window_log.lua` stores it. It has a header of 35 bytes, and 8 bytes
//! per charge.
//!
//! The last charge ends when the state expires. All charges that count end within 2^48 microseconds, and their sum is
//! at most 65 536. So the low bits of times and sums determine the rest.

use traffik_core::{
    clock::Timestamp,
    strategy::{Log, State, StoredState},
};

use super::{Reader, Unpackable, Writer};

const TIMES: u64 = 1 << 48;
const SUMS: u64 = 1 << 16;

pub(super) fn put(bytes: &mut Writer, StoredState { state, rate }: &StoredState) -> Result<(), Unpackable> {
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

pub(super) fn take(bytes: &mut Reader<'_>) -> Result<StoredState, Unpackable> {
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
