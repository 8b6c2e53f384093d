use std::{fmt, time::Duration};

use traffik_core::rate::Rate;

use crate::fields::whole_seconds;

/// The text of a limit for clients: `5 requests per minute`, `10 at once`.
pub(in crate::web) struct InWords {
    rate: Rate,
    is_concurrency: bool,
}

impl InWords {
    pub(in crate::web) fn new(rate: Rate, is_concurrency: bool) -> Self {
        Self { rate, is_concurrency }
    }
}

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, is_concurrency } = *self;
        if is_concurrency {
            return write!(f, "{} at once", rate.limit());
        }
        let plural = if rate.limit() == 1 { "" } else { "s" };
        write!(f, "{} request{plural} per ", rate.limit())?;
        match rate.period_micros() {
            1_000_000 => f.write_str("second"),
            60_000_000 => f.write_str("minute"),
            3_600_000_000 => f.write_str("hour"),
            86_400_000_000 => f.write_str("day"),
            604_800_000_000 => f.write_str("week"),
            _ => humantime::format_duration(rate.period()).fmt(f),
        }
    }
}

/// Returns the text of a wait, at least one second: `12s`, `1h 30m`.
pub(in crate::web) fn in_seconds(wait: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(whole_seconds(wait).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_in_words() {
        let in_words = |rate: &str, is_concurrency| InWords::new(rate.parse().unwrap(), is_concurrency).to_string();
        let words = |rate: &str| in_words(rate, false);
        assert_eq!(in_words("10/30s", true), "10 at once");
        assert_eq!(words("5/min"), "5 requests per minute");
        assert_eq!(words("1/week"), "1 request per week");
        assert_eq!(words("100/5m30s"), "100 requests per 5m 30s");
        assert_eq!(words("1000/500ms"), "1000 requests per 500ms");
    }

    #[test]
    fn waits_are_rounded_up() {
        let micros = Duration::from_micros;
        assert_eq!(in_seconds(micros(1)).to_string(), "1s");
        assert_eq!(in_seconds(Duration::ZERO).to_string(), "1s");
    }
}
