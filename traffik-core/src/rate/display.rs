//! To and from text at run time.

use std::{fmt, str::FromStr};

use super::{Rate, RateError, text::Text, units::UNITS};

impl Rate {
    /// As `Display` shows it. The longest has 38 bytes: `100000000000000/49d23h59m59s999ms999us`.
    fn text(self) -> Text<38> {
        let mut text = Text::EMPTY;
        text.push_number(self.limit());
        text.push_str("/");
        if self.is_unlimited() {
            text.push_str("0");
        } else if let Some(unit) = UNITS.iter().find(|unit| unit.micros == self.period_micros()) {
            text.push_str(unit.alone);
        } else {
            self.push_period(&mut text);
        }
        text
    }

    fn push_period(self, text: &mut Text<38>) {
        let mut left = self.period_micros();
        for unit in UNITS {
            // Ten days are `10d`, and not `1w3d`: weeks are told only where there is nothing else.
            let in_weeks = unit.short == "w" && left % unit.micros != 0;
            if left >= unit.micros && !in_weeks {
                text.push_number(left / unit.micros);
                text.push_str(unit.short);
                left %= unit.micros;
            }
        }
    }
}

/// The usual short form, which parses back to the same rate: `100/min`, `5/10s`, `100/5m30s`, `0/0`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text().as_str())
    }
}

/// `Rate("100/5m30s")`
impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rate").field(&self.text().as_str()).finish()
    }
}

/// See [`Rate::parse`].
impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        Self::parse(text)
    }
}

/// See [`Rate::parse`].
impl TryFrom<&str> for Rate {
    type Error = RateError;

    fn try_from(text: &str) -> Result<Self, RateError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::random::Random, *};

    #[test]
    fn the_usual_short_form() {
        for (written, shown) in [
            ("100 per minute", "100/min"),
            ("5/10seconds", "5/10s"),
            ("1000/500ms", "1000/500ms"),
            ("20 per 2 mins", "20/2m"),
            ("100/330s", "100/5m30s"),
            ("1/1s", "1/s"),
            ("1/60m", "1/hour"),
            ("1/24h", "1/day"),
            ("1/7d", "1/week"),
            ("1/14d", "1/2w"),
            ("1/10d", "1/10d"),
            ("1/1500us", "1/1ms500us"),
            ("1/ms", "1/ms"),
            ("1/us", "1/us"),
            ("0 per 0", "0/0"),
            ("10_000/min", "10000/min"),
        ] {
            assert_eq!(Rate::parse(written).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn the_longest_is_whole() {
        let longest = "100000000000000/49d23h59m59s999ms999us";
        assert_eq!(longest.len(), 38);
        assert_eq!(Rate::parse(longest).unwrap().to_string(), longest);
    }

    #[test]
    fn formats_are_kept_to() {
        let rate = Rate::literal("5/s");
        assert_eq!(format!("{rate:>6}|{rate:-<5}"), "   5/s|5/s--");
        assert_eq!(format!("{rate:?}"), "Rate(\"5/s\")");
    }

    #[test]
    fn every_rate_reads_back_as_itself() {
        let same = |rate: Rate| assert_eq!(rate.to_string().parse(), Ok(rate));
        let mut random = Random::new(3);
        for _ in 0..100_000 {
            // Of every magnitude, not only near the bounds.
            let limit = random.of_any_size(Rate::MAX_LIMIT);
            let micros = random.of_any_size(Rate::literal("1/50d").period_micros());
            same(Rate::of_micros(limit, micros).unwrap());
            let unit = &UNITS[random.index(UNITS.len())];
            if let Ok(round) = Rate::of_micros(limit, unit.micros * (1 + random.upto(60))) {
                same(round);
            }
        }
        same(Rate::UNLIMITED);
        same(Rate::of_micros(Rate::MAX_LIMIT, 1).unwrap());
        same(Rate::new(1, Rate::MAX_PERIOD).unwrap());
    }

    #[test]
    fn all_ways_from_text_are_one() {
        for text in ["5/s", "5/fortnight"] {
            assert_eq!(text.parse(), Rate::parse(text));
            assert_eq!(Rate::try_from(text), Rate::parse(text));
        }
    }
}
