use std::fmt;

use thiserror::Error;

/// Why something is no [`Rate`](super::Rate).
///
/// ```
/// use traffik::{Rate, rate::RateErrorKind};
///
/// let error = Rate::parse("100/fortnight").unwrap_err();
/// assert_eq!(error.kind(), RateErrorKind::UnknownUnit);
/// assert_eq!(error.position(), Some(4));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub struct RateError {
    kind: RateErrorKind,
    position: Option<usize>,
}

impl RateError {
    pub(super) const fn new(kind: RateErrorKind) -> Self {
        Self { kind, position: None }
    }

    pub(super) const fn at(kind: RateErrorKind, position: usize) -> Self {
        Self { kind, position: Some(position) }
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> RateErrorKind {
        self.kind
    }

    /// The byte of the text at which it was found, if it was found in a text.
    #[must_use]
    pub const fn position(&self) -> Option<usize> {
        self.position
    }
}

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.message())?;
        match self.position {
            Some(position) => write!(f, " (at byte {position})"),
            None => Ok(()),
        }
    }
}

/// The kinds of errors, each with what is wrong and what is allowed.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident => $message:literal,)+) => {
        /// What is wrong with a rate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RateErrorKind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl RateErrorKind {
            /// What is wrong, and what is allowed.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$kind => $message,)+
                }
            }

            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$kind),+];
        }
    };
}

kinds! {
    /// There is nothing.
    Empty => "the rate is empty: write a limit and a period, such as \"100/min\"",
    /// It does not begin with a number.
    MissingLimit => "the rate has no limit: begin with a whole number, such as \"100/min\"",
    /// A number has a sign.
    Signed => "a rate has no signs: its limit and its period are plain whole numbers above zero, such as \"100/min\"",
    /// A number has a fraction.
    Decimal => "a rate has no decimals: use a longer period or a smaller unit, such as \"3/2s\" for \"1.5/s\", or \"5/1500ms\"",
    /// There is a character that is not ASCII.
    NotAscii => "a rate is written in ASCII: the digits 0 to 9, and the unit in plain letters, such as \"100/min\"",
    /// What follows the limit is neither `/` nor `per`.
    MissingSeparator => "after the limit comes \"/\" or \"per\", and then the period, such as \"100/min\" or \"100 per minute\"",
    /// There is more than one `/` or `per`.
    SeveralSeparators => "a rate has one \"/\" or \"per\": a limit, and a period, such as \"100/min\"",
    /// Nothing follows the `/`.
    MissingPeriod => "the rate has no period: write one after the limit, such as \"100/min\" or \"100/10s\"",
    /// A number of the period has no unit.
    MissingUnit => "the period has a number without a unit: add one of us, ms, s, m, h, d or w, such as \"5/10s\"",
    /// A unit stands without a number beside others.
    MissingNumber => "where the period has several units each needs a number, such as \"100/1h30m\"",
    /// There is no such unit.
    UnknownUnit => "unknown unit: the units are us, ms, s, m (or min), h, d and w, and their names in full",
    /// The unit has no fixed length.
    UnfixedUnit => "months and years have no fixed length: use days or weeks, such as \"1000/30d\"; the longest period is 50 days",
    /// A unit is there twice.
    UnitTwice => "the period has a unit twice: each may stand in it once, such as \"100/1h30m\"",
    /// Something follows that is no part of a rate.
    Unexpected => "unexpected character: a rate is a limit, \"/\" or \"per\", and a period, such as \"100/5m30s\"",
    /// The limit is zero, but there is a period.
    ZeroLimit => "a limit of zero admits nothing: the limit is at least 1, and \"0/0\" means unlimited",
    /// The period is zero, but there is a limit.
    ZeroPeriod => "the period is zero: it is at least one microsecond, and \"0/0\" means unlimited",
    /// The limit is above the highest.
    LimitTooHigh => "the limit is too high to count exactly: the highest is 100000000000000 (10^14)",
    /// The period is longer than the longest.
    PeriodTooLong => "the period is too long to measure exactly: the longest is 50 days",
    /// The period has nanoseconds.
    PeriodTooFine => "the period is no whole number of microseconds",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_its_own() {
        for (i, kind) in RateErrorKind::ALL.iter().enumerate() {
            assert!(RateErrorKind::ALL.iter().skip(i + 1).all(|other| other.message() != kind.message()));
        }
    }

    #[test]
    fn an_error_says_where() {
        let error = RateError::at(RateErrorKind::UnknownUnit, 4);
        assert!(error.to_string().ends_with("(at byte 4)"), "{error}");
    }
}
