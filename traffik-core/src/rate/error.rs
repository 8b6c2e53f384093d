use std::fmt;

use super::text::Text;

/// Why something is no [`Rate`](super::Rate).
///
/// It reads as what is wrong, where that is in the text, and what is allowed.
///
/// ```
/// use traffik::{Rate, rate::RateErrorKind};
///
/// let error = Rate::parse("100/fortnight").unwrap_err();
/// assert_eq!(error.kind(), RateErrorKind::UnknownUnit);
/// assert_eq!(error.position(), Some(4));
/// assert!(error.to_string().starts_with("there is no such unit (\"fortnight\" at byte 4): the units are "));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateError {
    kind: RateErrorKind,
    position: Option<usize>,
    excerpt: Text<22>,
}

impl RateError {
    /// An error that was found in no text.
    pub(super) const fn new(kind: RateErrorKind) -> Self {
        Self { kind, position: None, excerpt: Text::EMPTY }
    }

    /// An error about a piece of text that begins at a byte.
    pub(super) const fn at(kind: RateErrorKind, position: usize, piece: &[u8]) -> Self {
        Self { kind, position: Some(position), excerpt: Text::quote(piece) }
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

    /// What `Display` shows: const, so that it is the same while compiling.
    pub(super) const fn message(&self) -> Text<320> {
        let mut message = Text::EMPTY;
        message.push_str(self.kind.problem());
        if let Some(position) = self.position {
            message.push_str(" (");
            if !self.excerpt.is_empty() {
                message.push_str(self.excerpt.as_str());
                message.push_str(" ");
            }
            message.push_str("at byte ");
            message.push_number(position as u64);
            message.push_str(")");
        }
        message.push_str(": ");
        message.push_str(self.kind.remedy());
        message
    }
}

impl fmt::Display for RateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.message().as_str())
    }
}

impl std::error::Error for RateError {}

/// The kinds of errors, each with what is wrong, and with what is allowed.
macro_rules! kinds {
    ($(#[doc = $doc:literal] $kind:ident => $problem:literal, $remedy:literal;)+) => {
        /// What is wrong with a rate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RateErrorKind {
            $(#[doc = $doc] $kind,)+
        }

        impl RateErrorKind {
            /// What is wrong, and what is allowed.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$kind => concat!($problem, ": ", $remedy),)+
                }
            }

            const fn problem(self) -> &'static str {
                match self {
                    $(Self::$kind => $problem,)+
                }
            }

            const fn remedy(self) -> &'static str {
                match self {
                    $(Self::$kind => $remedy,)+
                }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$kind),+];
        }
    };
}

kinds! {
    /// There is nothing.
    Empty => "the rate is empty", "write a limit and a period, such as \"100/min\"";
    /// It does not begin with a number.
    MissingLimit => "the rate does not begin with a limit", "write a whole number first, such as \"100/min\"";
    /// A number has a sign.
    Signed => "a number has a sign", "the limit and the period are plain whole numbers above zero, such as \"100/min\"";
    /// A number has a fraction.
    Decimal => "a number has decimals",
        "take a longer period or a smaller unit, such as \"3/2s\" for 1.5 a second, or \"5/1500ms\" for 5 in 1.5 seconds";
    /// The digits of a number are grouped by something else than single underscores.
    Grouping => "a number is grouped in a way that is not allowed",
        "numbers are whole, and only single underscores may stand between their digits, such as \"10_000/min\"";
    /// There is a character that is not ASCII.
    NotAscii => "there is a character that is not ASCII",
        "write the digits 0 to 9, plain letters and plain spaces, and \"us\" for microseconds, such as \"100/500us\"";
    /// What follows the limit is neither `/` nor `per`.
    MissingSeparator => "after the limit comes neither \"/\" nor \"per\"",
        "write one of them and then the period, such as \"100/min\" or \"100 per minute\"";
    /// There is more than one `/` or `per`.
    SeveralSeparators => "there is a second \"/\" or \"per\"", "a rate is one limit over one period, such as \"100/min\"";
    /// Nothing follows the limit.
    MissingPeriod => "the rate has no period", "write one after the limit, such as \"100/min\" or \"100/10s\"";
    /// A number of the period has no unit.
    MissingUnit => "a number of the period has no unit", "add one of us, ms, s, m, h, d or w, such as \"5/10s\"";
    /// A unit stands without a number beside others.
    MissingNumber => "a unit has no number", "only a unit that is the whole period may stand alone, \
        such as \"100/min\"; of several each has a number, such as \"100/1h30m\"";
    /// There is no such unit.
    UnknownUnit => "there is no such unit", "the units are us, ms, s, m (or min), h, d and w, and their names in full";
    /// The unit has no fixed length.
    UnfixedUnit => "months and years have no fixed length",
        "take days or weeks, such as \"1000/30d\"; the longest period is 50 days";
    /// A unit is there twice.
    UnitTwice => "the period has a unit twice", "each may be there once, in any order, such as \"100/1h30m\"";
    /// There is something that is no part of a rate.
    Unexpected => "there is something that is no part of a rate",
        "a rate is a limit, \"/\" or \"per\", and a period, such as \"100/5m30s\"";
    /// The limit is zero, but there is a period.
    ZeroLimit => "a limit of zero admits nothing", "the lowest is 1, and \"0/0\" means unlimited";
    /// The period is zero, but there is a limit.
    ZeroPeriod => "the period is zero", "the shortest is one microsecond, and \"0/0\" means unlimited";
    /// The limit is above the highest.
    LimitTooHigh => "the limit is too high to count exactly", "the highest is 100000000000000 (10^14)";
    /// The period is longer than the longest.
    PeriodTooLong => "the period is too long to measure exactly", "the longest is 50 days";
    /// The period has nanoseconds.
    PeriodTooFine => "the period is no whole number of microseconds", "round it to microseconds";
}

#[cfg(test)]
mod tests {
    use super::{super::units::UNITS, *};
    use crate::Rate;

    #[test]
    fn every_message_is_its_own() {
        for (i, kind) in RateErrorKind::ALL.iter().enumerate() {
            assert!(RateErrorKind::ALL.iter().skip(i + 1).all(|other| other.message() != kind.message()));
        }
    }

    #[test]
    fn an_error_says_what_where_and_what_else() {
        let shown = |text: &str| Rate::parse(text).unwrap_err().to_string();
        assert_eq!(
            shown("100/fortnight"),
            "there is no such unit (\"fortnight\" at byte 4): \
             the units are us, ms, s, m (or min), h, d and w, and their names in full"
        );
        assert!(shown("５/min").starts_with("there is a character that is not ASCII (U+FF15 at byte 0): write "));
        assert!(shown("100/").starts_with("the rate has no period (at byte 4): write "));
        assert!(shown("5/7w 2d").starts_with("the period is too long to measure exactly (\"7w 2d\" at byte 2): "));
    }

    #[test]
    fn an_error_without_a_text_has_no_place() {
        let error = RateError::new(RateErrorKind::PeriodTooLong);
        assert_eq!((error.to_string(), error.position()), (error.kind().message().to_owned(), None));
    }

    #[test]
    fn the_longest_message_is_whole() {
        for &kind in RateErrorKind::ALL {
            let message = RateError::at(kind, usize::MAX, &[b'x'; 100]).to_string();
            assert!(message.contains("x..\" at byte 18446744073709551615): ") && message.ends_with(kind.remedy()));
        }
    }

    #[test]
    fn the_messages_name_the_units_and_the_bounds() {
        for unit in UNITS {
            for kind in [RateErrorKind::UnknownUnit, RateErrorKind::MissingUnit] {
                let mut words = kind.message().split(|c: char| !c.is_ascii_alphabetic());
                assert!(words.any(|word| word == unit.short), "{}: {}", unit.short, kind.message());
            }
        }
        assert!(RateErrorKind::LimitTooHigh.message().contains(&Rate::MAX_LIMIT.to_string()));
        for kind in [RateErrorKind::PeriodTooLong, RateErrorKind::UnfixedUnit] {
            assert!(kind.message().contains(&format!("{} days", Rate::MAX_PERIOD.as_secs() / 86_400)));
        }
    }

    /// All but the words `per` and `us`, which are quoted too.
    #[test]
    fn the_examples_in_the_messages_are_rates() {
        for kind in RateErrorKind::ALL {
            for example in kind.remedy().split('"').skip(1).step_by(2).filter(|text| text.len() > 1) {
                let is_rate = Rate::parse(example).is_ok();
                assert!(is_rate || ["us", "per"].contains(&example), "{example}");
            }
        }
    }

    #[test]
    fn an_error_is_small() {
        assert!(size_of::<RateError>() <= 48);
    }
}
