use std::{fmt, num::NonZeroU32, time::Duration};

use super::{RateError, RateErrorKind, text::Text, units::UNITS};

/// A limit over a period: the number of requests that a client may make in a span of time.
///
/// `5/10s` means five requests in ten seconds. The [strategy](crate::strategy) decides how they may spread over the period.
///
/// ```
/// use std::time::Duration;
/// use traffik::Rate;
///
/// // A literal is checked at compile time.
/// const RATE: Rate = Rate::literal("100/5m30s");
/// assert_eq!(RATE.limit(), 100);
/// assert_eq!(RATE.period(), Duration::from_secs(330));
///
/// // Text from configuration is parsed at run time.
/// let rate: Rate = "20 per 2 mins".parse()?;
/// assert_eq!(rate, Rate::new(20, Duration::from_secs(120))?);
/// assert_eq!(rate.to_string(), "20/2m");
/// # Ok::<(), traffik::RateError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    limit: u64,
    period_micros: u64,
}

impl Rate {
    /// No limit, written `0/0`. A check at this rate does not call the backend.
    ///
    /// ```
    /// use traffik::Rate;
    ///
    /// assert_eq!("0/0".parse(), Ok(Rate::UNLIMITED));
    /// assert!(Rate::UNLIMITED.is_unlimited());
    /// ```
    pub const UNLIMITED: Self = Self { limit: 0, period_micros: 0 };

    /// The highest limit: 10^14.
    ///
    /// Sums of up to 90 limits stay below 2^53, so they are exact in languages whose numbers are floats, such as Lua.
    pub const MAX_LIMIT: u64 = 100_000_000_000_000;

    /// The longest period: 50 days.
    pub const MAX_PERIOD: Duration = Duration::from_secs(50 * 86_400);

    const MAX_PERIOD_MICROS: u64 = Self::MAX_PERIOD.as_secs() * 1_000_000;

    /// Creates a rate of `limit` requests in each `period`.
    ///
    /// If both are zero, the rate is [`UNLIMITED`](Self::UNLIMITED).
    ///
    /// ```
    /// use std::time::Duration;
    /// use traffik::Rate;
    ///
    /// let rate = Rate::new(5, Duration::from_secs(10))?;
    /// assert_eq!(rate.to_string(), "5/10s");
    /// # Ok::<(), traffik::RateError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the limit is above [`MAX_LIMIT`](Self::MAX_LIMIT), if the period is longer than
    /// [`MAX_PERIOD`](Self::MAX_PERIOD) or not a whole number of microseconds, or if only one of them is zero.
    pub const fn new(limit: u64, period: Duration) -> Result<Self, RateError> {
        // Checked first: its microseconds may not fit.
        if period.as_secs() > Self::MAX_PERIOD.as_secs() {
            return Err(RateError::new(RateErrorKind::PeriodTooLong));
        }
        if period.subsec_nanos() % 1000 != 0 {
            return Err(RateError::new(RateErrorKind::PeriodTooFine));
        }
        Self::of_micros(limit, period.as_secs() * 1_000_000 + period.subsec_micros() as u64)
    }

    pub(super) const fn of_micros(limit: u64, period_micros: u64) -> Result<Self, RateError> {
        Err(RateError::new(match (limit, period_micros) {
            (0, 0) => return Ok(Self::UNLIMITED),
            (0, _) => RateErrorKind::ZeroLimit,
            (_, 0) => RateErrorKind::ZeroPeriod,
            _ if limit > Self::MAX_LIMIT => RateErrorKind::LimitTooHigh,
            _ if period_micros > Self::MAX_PERIOD_MICROS => RateErrorKind::PeriodTooLong,
            _ => return Ok(Self { limit, period_micros }),
        }))
    }

    /// Creates a rate of `limit` requests in each second.
    ///
    /// It cannot fail, since the type of `limit` excludes zero and what is too high.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use traffik::Rate;
    ///
    /// const RATE: Rate = Rate::per_second(NonZeroU32::new(5).unwrap());
    /// assert_eq!(RATE, Rate::literal("5/s"));
    /// ```
    #[must_use]
    pub const fn per_second(limit: NonZeroU32) -> Self {
        Self::per_seconds(limit, 1)
    }

    /// Creates a rate of `limit` requests in each minute.
    #[must_use]
    pub const fn per_minute(limit: NonZeroU32) -> Self {
        Self::per_seconds(limit, 60)
    }

    /// Creates a rate of `limit` requests in each hour.
    #[must_use]
    pub const fn per_hour(limit: NonZeroU32) -> Self {
        Self::per_seconds(limit, 3600)
    }

    /// Creates a rate of `limit` requests in each day.
    #[must_use]
    pub const fn per_day(limit: NonZeroU32) -> Self {
        Self::per_seconds(limit, 86_400)
    }

    const fn per_seconds(limit: NonZeroU32, seconds: u64) -> Self {
        Self { limit: limit.get() as u64, period_micros: seconds * 1_000_000 }
    }

    /// Returns the number of requests. It is 0 if the rate is unlimited.
    #[must_use]
    pub const fn limit(self) -> u64 {
        self.limit
    }

    /// Returns the period. It is zero if the rate is unlimited.
    #[must_use]
    pub const fn period(self) -> Duration {
        Duration::from_micros(self.period_micros)
    }

    /// Returns the period in microseconds. It is 0 if the rate is unlimited.
    #[must_use]
    pub const fn period_micros(self) -> u64 {
        self.period_micros
    }

    /// Returns `true` if there is no limit.
    #[must_use]
    pub const fn is_unlimited(self) -> bool {
        self.limit == 0
    }

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

    fn kind(limit: u64, period: Duration) -> RateErrorKind {
        Rate::new(limit, period).unwrap_err().kind()
    }

    #[test]
    fn bounds_are_allowed_and_values_beyond_them_are_errors() {
        let second = Duration::from_secs(1);
        assert!(Rate::new(Rate::MAX_LIMIT, Rate::MAX_PERIOD).is_ok());
        assert!(Rate::new(1, Duration::from_micros(1)).is_ok());
        assert_eq!(kind(Rate::MAX_LIMIT + 1, second), RateErrorKind::LimitTooHigh);
        assert_eq!(kind(1, Rate::MAX_PERIOD + Duration::from_micros(1)), RateErrorKind::PeriodTooLong);
        assert_eq!(kind(u64::MAX, Duration::MAX), RateErrorKind::PeriodTooLong);
        assert_eq!(kind(1, Duration::from_nanos(1500)), RateErrorKind::PeriodTooFine);
        assert_eq!(kind(1, Duration::from_nanos(1)), RateErrorKind::PeriodTooFine);
        assert_eq!(kind(0, second), RateErrorKind::ZeroLimit);
        assert_eq!(kind(1, Duration::ZERO), RateErrorKind::ZeroPeriod);
        assert_eq!(Rate::new(0, Duration::ZERO), Ok(Rate::UNLIMITED));
    }

    #[test]
    fn limit_is_per_period() {
        let five = NonZeroU32::new(5).unwrap();
        for (rate, seconds) in [
            (Rate::per_second(five), 1),
            (Rate::per_minute(five), 60),
            (Rate::per_hour(five), 3600),
            (Rate::per_day(five), 86_400),
        ] {
            assert_eq!((rate.limit(), rate.period()), (5, Duration::from_secs(seconds)));
        }
        let most = Rate::per_day(NonZeroU32::MAX);
        assert_eq!(Rate::new(most.limit(), most.period()), Ok(most));
    }

    #[test]
    fn bounds_leave_room_for_exact_sums() {
        const { assert!(Rate::MAX_LIMIT * 90 < 1 << 53) };
        const { assert!(Rate::MAX_PERIOD_MICROS < 1 << 42) };
    }

    #[test]
    fn rates_are_made_and_read_in_constants() {
        const RATE: Rate = Rate::literal(" 1_000 PER 1h 30m ");
        const LIMIT: u64 = RATE.limit();
        const PERIOD: Duration = RATE.period();
        const MICROS: u64 = RATE.period_micros();
        const OPEN: bool = Rate::literal("0/0").is_unlimited();
        const NEW: Result<Rate, RateError> = Rate::new(LIMIT, PERIOD);
        const WRONG: Result<Rate, RateError> = Rate::parse("5/fortnight");
        const KIND: Option<RateErrorKind> = match WRONG {
            Ok(_) => None,
            Err(error) => Some(error.kind()),
        };
        assert_eq!((LIMIT, PERIOD, MICROS, OPEN), (1000, Duration::from_secs(5400), 5_400_000_000, true));
        assert_eq!((NEW, KIND), (Ok(RATE), Some(RateErrorKind::UnknownUnit)));
    }

    #[test]
    fn invalid_literal_panics_with_the_text_of_the_error() {
        let panic = std::panic::catch_unwind(|| Rate::literal("100/fortnight")).unwrap_err();
        let message = panic.downcast::<String>().unwrap();
        assert_eq!(*message, Rate::parse("100/fortnight").unwrap_err().to_string());
    }

    #[test]
    fn only_the_rate_without_limit_is_unlimited() {
        assert!(Rate::UNLIMITED.is_unlimited());
        assert!(!Rate::literal("1/s").is_unlimited());
    }

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
