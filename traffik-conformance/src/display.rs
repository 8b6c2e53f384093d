//! The text of hits and outcomes in failures.

use std::fmt;

use traffik_core::decision::Hit;

use super::observed::{Numbers, Observed};

/// Hits, one on each line.
pub(super) struct Hits<'a>(pub(super) &'a [Hit<'a>]);

impl fmt::Display for Hits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("no hits"),
            hits => hits.iter().try_for_each(|hit| {
                let Hit { limit, key, rate, cost, at_least, enforced, .. } = hit;
                write!(f, "\n  {cost} of {:?} for {key:?}, {rate} by {:?}", limit.uid(), limit.strategy())?;
                if at_least < cost {
                    write!(f, ", {at_least} at least")?;
                }
                if *enforced { Ok(()) } else { f.write_str(", not enforced") }
            }),
        }
    }
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {}", if self.admitted { "admitted" } else { "refused" }, self.granted)?;
        match &self.numbers {
            Some(numbers) => write!(f, ", {numbers}"),
            None => f.write_str(", without a limit"),
        }
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cost, at, remaining, retry_after, delay, is_never_possible, more_after, reset_after } = self;
        write!(f, "cost {cost}, at {} us, remaining {remaining}, retry after {retry_after:?}, ", at.as_micros())?;
        write!(f, "never possible {is_never_possible}, more after {more_after:?}, reset after {reset_after:?}, ")?;
        write!(f, "delay {delay:?}")
    }
}
