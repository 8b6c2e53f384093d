use std::{fmt, time::Duration};

use crate::rate::Rate;

/// A rate as a sentence says it: `5 requests per minute`.
pub(in crate::web) struct InWords(pub(in crate::web) Rate);

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.limit() == 1 { "" } else { "s" };
        write!(f, "{} request{plural} per ", self.0.limit())?;
        match self.0.period_micros() {
            1_000_000 => f.write_str("second"),
            60_000_000 => f.write_str("minute"),
            3_600_000_000 => f.write_str("hour"),
            86_400_000_000 => f.write_str("day"),
            604_800_000_000 => f.write_str("week"),
            _ => humantime::format_duration(self.0.period()).fmt(f),
        }
    }
}

/// A wait in whole seconds, rounded up: never too short.
pub(in crate::web) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add((wait.subsec_nanos() > 0).into())
}

/// A wait as a sentence says it, at least a second long: `12s`, `1h 30m`.
pub(in crate::web) fn in_seconds(wait: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(whole_seconds(wait).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_in_words() {
        let words = |rate: &str| InWords(rate.parse().unwrap()).to_string();
        assert_eq!(words("5/min"), "5 requests per minute");
        assert_eq!(words("1/week"), "1 request per week");
        assert_eq!(words("100/5m30s"), "100 requests per 5m 30s");
        assert_eq!(words("1000/500ms"), "1000 requests per 500ms");
    }

    #[test]
    fn waits_are_rounded_up() {
        let micros = Duration::from_micros;
        assert_eq!([0, 1, 999_999, 1_000_000, 1_000_001].map(|wait| whole_seconds(micros(wait))), [0, 1, 1, 1, 2]);
        assert_eq!(in_seconds(micros(1)).to_string(), "1s");
        assert_eq!(in_seconds(Duration::ZERO).to_string(), "1s");
    }
}
