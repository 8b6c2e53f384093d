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
    ///
    /// ```
    /// use traffik::Rate;
    ///
    /// assert_eq!("0/0".parse(), Ok(Rate::UNLIMITED));
    /// assert!(Rate::UNLIMITED.is_unlimited());
    /// ```
    pub const UNLIMITED: Self = Self { limit: 0, period_micros: 0 };

    /// The highest limit: 10^14. Sums of several stay below 2^53, where every language's numbers are exact.
    pub const MAX_LIMIT: u64 = 100_000_000_000_000;

    /// The longest period: 50 days.
    pub const MAX_PERIOD: Duration = Duration::from_secs(50 * 86_400);

    const MAX_PERIOD_MICROS: u64 = Self::MAX_PERIOD.as_secs() * 1_000_000;

    /// `limit` requests in each `period`, and not one request every `period`.
    ///
    /// Zero in zero time is [`UNLIMITED`](Self::UNLIMITED).
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
    /// When the limit is above [`MAX_LIMIT`](Self::MAX_LIMIT), when the period is longer than
    /// [`MAX_PERIOD`](Self::MAX_PERIOD) or no whole number of microseconds, and when only one of both is zero.
    pub const fn new(limit: u64, period: Duration) -> Result<Self, RateError> {
        match Self::checked(limit, period) {
            Ok(rate) => Ok(rate),
            Err(kind) => Err(RateError::new(kind)),
        }
    }

    const fn checked(limit: u64, period: Duration) -> Result<Self, RateErrorKind> {
        // First, so that the microseconds fit.
        if period.as_secs() > Self::MAX_PERIOD.as_secs() {
            return Err(RateErrorKind::PeriodTooLong);
        }
        if period.subsec_nanos() % 1000 != 0 {
            return Err(RateErrorKind::PeriodTooFine);
        }
        Self::of_micros(limit, period.as_secs() * 1_000_000 + period.subsec_micros() as u64)
    }

    pub(super) const fn of_micros(limit: u64, period_micros: u64) -> Result<Self, RateErrorKind> {
        match (limit, period_micros) {
            (0, 0) => Ok(Self::UNLIMITED),
            (0, _) => Err(RateErrorKind::ZeroLimit),
            (_, 0) => Err(RateErrorKind::ZeroPeriod),
            _ if limit > Self::MAX_LIMIT => Err(RateErrorKind::LimitTooHigh),
            _ if period_micros > Self::MAX_PERIOD_MICROS => Err(RateErrorKind::PeriodTooLong),
            _ => Ok(Self { limit, period_micros }),
        }
    }

    /// `limit` requests in each second, and not one every `limit` seconds.
    ///
    /// The type rules out a limit of zero, so nothing is left that could fail.
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
    /// ```
    /// use traffik::{Rate, RateError};
    ///
    /// const PARSED: Result<Rate, RateError> = Rate::parse("100 per 1h 30m");
    /// assert_eq!(PARSED, Ok(Rate::literal("100/90m")));
    /// ```
    ///
    /// # Errors
    ///
    /// When it is none; the error says what is wrong, where, and what is allowed.
    pub const fn parse(text: &str) -> Result<Self, RateError> {
        grammar::rate(text)
    }

    /// Reads a rate while compiling: a constant that is none does not compile.
    ///
    /// It is for constants only. Text that is known only at run time goes to [`parse`](Self::parse) or to
    /// [`FromStr`](std::str::FromStr), which do not panic.
    ///
    /// ```
    /// use traffik::Rate;
    ///
    /// const RATE: Rate = Rate::literal("100/week");
    /// # assert_eq!(RATE.limit(), 100);
    /// ```
    ///
    /// The compiler says of the next one: `there is no such unit ("fortnight" at byte 4): the units are us, ms, ..`
    ///
    /// ```compile_fail,E0080
    /// use traffik::Rate;
    ///
    /// const RATE: Rate = Rate::literal("100/fortnight");
    /// # assert_eq!(RATE.limit(), 100);
    /// ```
    ///
    /// # Panics
    ///
    /// When the text is no rate: while compiling, in a `const`.
    #[must_use]
    #[track_caller]
    #[expect(clippy::panic, reason = "in a const it ends the build, and that is what it is for")]
    pub const fn literal(text: &'static str) -> Self {
        match grammar::rate(text) {
            Ok(rate) => rate,
            Err(error) => panic!("{}", error.message().as_str()),
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
    fn the_bounds_leave_room_for_exact_sums() {
        const { assert!(Rate::MAX_LIMIT * 90 < 1 << 53) };
        const { assert!(Rate::MAX_PERIOD_MICROS < 1 << 42) };
    }

    /// All of this is worked out by the compiler.
    #[test]
    fn all_of_it_is_const() {
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
    fn a_bad_literal_says_what_the_error_says() {
        let panic = std::panic::catch_unwind(|| Rate::literal("100/fortnight")).unwrap_err();
        let message = panic.downcast::<String>().unwrap();
        assert_eq!(*message, Rate::parse("100/fortnight").unwrap_err().to_string());
    }

    #[test]
    fn unlimited_is_known() {
        assert!(Rate::UNLIMITED.is_unlimited());
        assert!(!Rate::literal("1/s").is_unlimited());
    }
}
