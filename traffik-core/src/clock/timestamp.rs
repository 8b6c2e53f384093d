use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// A point in time: whole microseconds since the Unix epoch.
///
/// ```
/// use std::time::Duration;
/// use traffik::clock::Timestamp;
///
/// let noon = Timestamp::from_micros(43_200_000_000);
/// assert_eq!(noon.saturating_add(Duration::from_secs(1)).as_micros(), 43_201_000_000);
/// assert_eq!(noon.to_string(), "1970-01-01T12:00:00.000000Z");
/// assert_eq!(noon.saturating_since(Timestamp::UNIX_EPOCH), Duration::from_secs(43_200));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch, 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(0);

    /// Creates the time `micros` microseconds after the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the time `duration` later. Drops what is less than a microsecond.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_micros(duration)))
    }

    /// Returns the time since `earlier`, or zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Shows the date and the time in UTC (RFC 3339), or the microseconds beyond the year 9999.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const YEAR_10_000: Timestamp = Timestamp(253_402_300_800_000_000);
        match SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(self.0)) {
            Some(time) if *self < YEAR_10_000 => humantime::format_rfc3339_micros(time).fmt(f),
            _ => write!(f, "{}us after 1970-01-01T00:00:00Z", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({}us)", self.0)
    }
}

/// Returns the whole microseconds in `duration`, or `u64::MAX` beyond half a million years.
fn whole_micros(duration: Duration) -> u64 {
    duration.as_micros().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_stops_at_the_end_of_time() {
        assert_eq!(Timestamp(5).saturating_add(Duration::MAX), Timestamp(u64::MAX));
        assert_eq!(Timestamp(5).saturating_add(Duration::from_nanos(1999)), Timestamp(6));
    }

    #[test]
    fn any_timestamp_can_be_shown() {
        assert_eq!(Timestamp(253_402_300_799_999_999).to_string(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp(253_402_300_800_000_000).to_string(), "253402300800000000us after 1970-01-01T00:00:00Z");
        assert!(Timestamp(u64::MAX).to_string().starts_with("18446744073709551615us"));
    }

    #[test]
    fn time_since_a_later_timestamp_is_zero() {
        assert_eq!(Timestamp(5).saturating_since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(9).saturating_since(Timestamp(5)), Duration::from_micros(4));
    }
}
