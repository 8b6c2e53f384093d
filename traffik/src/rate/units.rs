//! The units of time, the longest first: the one table that parsing and displaying share.

pub(super) struct Unit {
    /// How it is displayed after a number.
    pub(super) short: &'static str,
    /// How it is displayed alone.
    pub(super) alone: &'static str,
    pub(super) micros: u64,
    /// In lower case.
    pub(super) spellings: &'static [&'static str],
}

pub(super) const UNITS: &[Unit] = &[
    Unit { short: "w", alone: "week", micros: 7 * 86_400 * SECOND, spellings: &["w", "wk", "wks", "week", "weeks"] },
    Unit { short: "d", alone: "day", micros: 86_400 * SECOND, spellings: &["d", "day", "days"] },
    Unit { short: "h", alone: "hour", micros: 3600 * SECOND, spellings: &["h", "hr", "hrs", "hour", "hours"] },
    Unit { short: "m", alone: "min", micros: 60 * SECOND, spellings: &["m", "min", "mins", "minute", "minutes"] },
    Unit { short: "s", alone: "s", micros: SECOND, spellings: &["s", "sec", "secs", "second", "seconds"] },
    Unit {
        short: "ms",
        alone: "ms",
        micros: 1000,
        spellings: &["ms", "msec", "msecs", "millis", "millisecond", "milliseconds"],
    },
    Unit {
        short: "us",
        alone: "us",
        micros: 1,
        spellings: &["us", "usec", "usecs", "micros", "microsecond", "microseconds"],
    },
];

const SECOND: u64 = 1_000_000;

/// What people call a period although it has no fixed length.
pub(super) const WITHOUT_LENGTH: &[&str] = &["mo", "mon", "month", "months", "y", "yr", "yrs", "year", "years"];
