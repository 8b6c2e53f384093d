//! The short form of a rate.

use std::fmt;

use super::{Rate, text::Text, units::UNITS};

impl Rate {
    /// Returns the text of `Display`. The longest has 38 bytes: `100000000000000/49d23h59m59s999ms999us`.
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
            // Ten days are `10d` and not `1w3d`: weeks are used only for whole weeks.
            let in_weeks = unit.short == "w" && left % unit.micros != 0;
            if left >= unit.micros && !in_weeks {
                text.push_number(left / unit.micros);
                text.push_str(unit.short);
                left %= unit.micros;
            }
        }
    }
}

/// Shows the shortest usual form, which parses back to the same rate: `100/min`, `5/10s`, `100/5m30s`, `0/0`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_shown_in_short_form() {
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
    fn longest_rate_is_whole() {
        let longest = "100000000000000/49d23h59m59s999ms999us";
        assert_eq!(longest.len(), 38);
        assert_eq!(Rate::parse(longest).unwrap().to_string(), longest);
    }

    #[test]
    fn width_and_alignment_of_the_format_are_applied() {
        let rate = Rate::literal("5/s");
        assert_eq!(format!("{rate:>6}|{rate:-<5}"), "   5/s|5/s--");
        assert_eq!(format!("{rate:?}"), "Rate(\"5/s\")");
    }
}
