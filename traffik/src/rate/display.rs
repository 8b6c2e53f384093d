use std::{fmt, str::FromStr};

use super::{Rate, RateError, units::UNITS};

/// The shortest form that parses back to the same rate: `100/min`, `5/10s`, `100/5m30s`, `0/0`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.limit())?;
        if self.is_unlimited() {
            return f.write_str("0");
        }
        if let Some(unit) = UNITS.iter().find(|unit| unit.micros == self.period_micros()) {
            return f.write_str(unit.alone);
        }
        let mut left = self.period_micros();
        for unit in UNITS {
            // Ten days are `10d`; weeks are told only where there is nothing else.
            let in_weeks = unit.short == "w" && left % unit.micros != 0;
            if left >= unit.micros && !in_weeks {
                write!(f, "{}{}", left / unit.micros, unit.short)?;
                left %= unit.micros;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rate({self})")
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for Rate {
    type Error = RateError;

    fn try_from(text: &str) -> Result<Self, RateError> {
        Self::parse(text)
    }
}
