use std::{num::NonZeroU32, time::Duration};

use super::{RateError, RateErrorKind, grammar};

/// A limit over a period: so many requests in so much time.
///
/// `5/10s` means five in ten seconds. It does not mean that one comes back every two: what happens within the period is
/// the [strategy](crate::strategy)'s matter.
///
/// ```
/// use std::time::Duration;
/// use traffik::Rate;
///
/// // A literal is checked while compiling.
/// const RATE: Rate = Rate::literal("100/5m30s");
/// assert_eq!(RATE.limit(), 100);
/// assert_eq!(RATE.period(), Duration::from_secs(330));
///
/// // What comes from outside is parsed.
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
    /// No limit at all, written `0/0`. No backend is ever asked about it.
    pub const UNLIMITED: Self = Self { limit: 0, period_micros: 0 };

    /// The highest limit: 10^14. Sums of several stay below 2^53, where every language's numbers are exact.
    pub const MAX_LIMIT: u64 = 100_000_000_000_000;

    /// The longest period: 50 days.
    pub const MAX_PERIOD: Duration = Duration::from_secs(50 * 86_400);

    /// `limit` requests in each `period`.
    ///
    /// # Errors
    ///
    /// When the limit is above [`MAX_LIMIT`](Self::MAX_LIMIT), when the period is longer than
    /// [`MAX_PERIOD`](Self::MAX_PERIOD) or no whole number of microseconds, and when only one of both is zero.
    pub const fn new(limit: u64, period: Duration) -> Result<Self, RateError> {
        if period.as_secs() > Self::MAX_PERIOD.as_secs() {
            return Err(RateError::new(RateErrorKind::PeriodTooLong));
        }
        if period.subsec_nanos() % 1000 != 0 {
            return Err(RateError::new(RateErrorKind::PeriodTooFine));
        }
        Self::of_micros(limit, period.as_secs() * 1_000_000 + period.subsec_micros() as u64)
    }

    pub(super) const fn of_micros(limit: u64, period_micros: u64) -> Result<Self, RateError> {
        let kind = match (limit, period_micros) {
            (0, 0) => return Ok(Self::UNLIMITED),
            (0, _) => RateErrorKind::ZeroLimit,
            (_, 0) => RateErrorKind::ZeroPeriod,
            _ if limit > Self::MAX_LIMIT => RateErrorKind::LimitTooHigh,
            _ if period_micros > Self::MAX_PERIOD.as_secs() * 1_000_000 => RateErrorKind::PeriodTooLong,
            _ => return Ok(Self { limit, period_micros }),
        };
        Err(RateError::new(kind))
    }

    /// `limit` requests in each second.
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

    /// `limit` requests in each minute.
    #[must_use]
    pub const fn per_minute(limit: NonZeroU32) -> Self {
        Self::per_seconds(limit, 60)
    }

    /// `limit` requests in each hour.
    #[must_use]
    pub const fn per_hour(limit: NonZeroU32) -> Self {
        Self::per_seconds(limit, 3600)
    }

    /// `limit` requests in each day.
    #[must_use]
    pub const fn per_day(limit: NonZeroU32) -> Self {
        Self::per_seconds(limit, 86_400)
    }

    const fn per_seconds(limit: NonZeroU32, seconds: u64) -> Self {
        Self { limit: limit.get() as u64, period_micros: seconds * 1_000_000 }
    }

    /// Reads a rate as it is [written](crate::rate).
    ///
    /// # Errors
    ///
    /// When it is none; the error says what is wrong, where, and what is allowed.
    pub const fn parse(text: &str) -> Result<Self, RateError> {
        grammar::rate(text)
    }

    /// Reads a rate while compiling: a constant that is none does not compile.
    ///
    /// For text that is known only at run time use [`parse`](Self::parse) or [`FromStr`](std::str::FromStr).
    ///
    /// ```compile_fail
    /// use traffik::Rate;
    ///
    /// const RATE: Rate = Rate::literal("100/fortnight");
    /// ```
    ///
    /// # Panics
    ///
    /// When the text is no rate: while compiling, in a `const`.
    #[must_use]
    #[expect(clippy::panic, reason = "in a const it ends the build, and that is what it is for")]
    pub const fn literal(text: &'static str) -> Self {
        match grammar::rate(text) {
            Ok(rate) => rate,
            Err(error) => panic!("{}", error.kind().message()),
        }
    }

    /// How many requests; 0 where it is unlimited.
    #[must_use]
    pub const fn limit(self) -> u64 {
        self.limit
    }

    /// In how long; zero where it is unlimited.
    #[must_use]
    pub const fn period(self) -> Duration {
        Duration::from_micros(self.period_micros)
    }

    /// The period in microseconds.
    #[must_use]
    pub const fn period_micros(self) -> u64 {
        self.period_micros
    }

    /// Whether there is no limit.
    #[must_use]
    pub const fn is_unlimited(self) -> bool {
        self.limit == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(limit: u64, period: Duration) -> RateErrorKind {
        Rate::new(limit, period).unwrap_err().kind()
    }

    #[test]
    fn the_bounds_are_allowed_and_what_lies_beyond_is_not() {
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
    fn a_limit_is_per_period_and_not_a_duration() {
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
    fn unlimited_is_known() {
        assert!(Rate::UNLIMITED.is_unlimited());
        assert!(!Rate::literal("1/s").is_unlimited());
    }
}
