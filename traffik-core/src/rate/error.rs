use thiserror::Error;

use super::text::Text;

/// The error for a text or for numbers that are no valid [`Rate`](super::Rate).
///
/// The message says what is wrong, where it is in the text, and what is allowed.
///
/// ```
/// use traffik::{Rate, rate::RateErrorKind};
///
/// let error = Rate::parse("100/fortnight").unwrap_err();
/// assert_eq!(error.kind(), RateErrorKind::UnknownUnit);
/// assert_eq!(error.position(), Some(4));
/// assert!(error.to_string().starts_with("there is no such unit (\"fortnight\" at byte 4): the units are "));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", self.message().as_str())]
pub struct RateError {
    kind: RateErrorKind,
    position: Option<usize>,
    excerpt: Text<22>,
}

impl RateError {
    /// Creates an error that has no place in a text.
    pub(super) const fn new(kind: RateErrorKind) -> Self {
        Self { kind, position: None, excerpt: Text::EMPTY }
    }

    /// Creates an error about a piece of text that begins at the byte `position`.
    pub(super) const fn at(kind: RateErrorKind, position: usize, piece: &[u8]) -> Self {
        Self { kind, position: Some(position), excerpt: Text::quote(piece) }
    }

    /// Returns what is wrong.
    #[must_use]
    pub const fn kind(&self) -> RateErrorKind {
        self.kind
    }

    /// Returns the offset in bytes of the error in the text. Returns `None` if the rate was not made from a text.
    #[must_use]
    pub const fn position(&self) -> Option<usize> {
        self.position
    }

    /// Returns the text of `Display`. It is const, so the compiler shows the same text.
    pub(super) const fn message(&self) -> Text<320> {
        let (problem, remedy) = self.kind.problem_and_remedy();
        let excerpt = self.excerpt.as_str();
        let mut message = Text::EMPTY;
        message.push_str(problem);
        if let Some(position) = self.position {
            message.push_str(" (");
            message.push_str(excerpt);
            message.push_str(if excerpt.is_empty() { "at byte " } else { " at byte " });
            message.push_number(position as u64);
            message.push_str(")");
        }
        message.push_str(": ");
        message.push_str(remedy);
        message
    }
}

/// Declares the kinds of errors, each with what is wrong and what is allowed.
macro_rules! kinds {
    ($(#[doc = $doc:literal] $kind:ident => $problem:literal, $remedy:literal;)+) => {
        /// The reason why a rate is not valid.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum RateErrorKind {
            $(#[doc = $doc] $kind,)+
        }

        impl RateErrorKind {
            /// Returns what is wrong and what is allowed, as one text.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$kind => concat!($problem, ": ", $remedy),)+
                }
            }

            const fn problem_and_remedy(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$kind => ($problem, $remedy),)+
                }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$kind),+];
        }
    };
}

kinds! {
    /// The text is empty.
    Empty => "the rate is empty", "write a limit and a period, such as \"100/min\"";
    /// The text does not begin with a number.
    MissingLimit => "the rate does not begin with a limit", "write a whole number first, such as \"100/min\"";
    /// A number has a sign.
    Signed => "a number has a sign", "the limit and the period are plain whole numbers above zero, such as \"100/min\"";
    /// A number has a fraction.
    Decimal => "a number has decimals",
        "take a longer period or a smaller unit, such as \"3/2s\" for 1.5 a second, or \"5/1500ms\" for 5 in 1.5 seconds";
    /// The digits of a number are separated by something other than single underscores.
    Grouping => "a number is grouped in a way that is not allowed",
        "numbers are whole, and only single underscores may stand between their digits, such as \"10_000/min\"";
    /// A character is not ASCII.
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
    /// A unit of several has no number.
    MissingNumber => "a unit has no number", "only a unit that is the whole period may stand alone, \
        such as \"100/min\"; of several each has a number, such as \"100/1h30m\"";
    /// A unit is unknown.
    UnknownUnit => "there is no such unit", "the units are us, ms, s, m (or min), h, d and w, and their names in full";
    /// The unit has no fixed length.
    UnfixedUnit => "months and years have no fixed length",
        "take days or weeks, such as \"1000/30d\"; the longest period is 50 days";
    /// A unit is used twice.
    UnitTwice => "the period has a unit twice", "each may be there once, in any order, such as \"100/1h30m\"";
    /// A character is no part of a rate.
    Unexpected => "there is something that is no part of a rate",
        "a rate is a limit, \"/\" or \"per\", and a period, such as \"100/5m30s\"";
    /// The limit is zero, but there is a period.
    ZeroLimit => "a limit of zero admits nothing", "the lowest is 1, and \"0/0\" means unlimited";
    /// The period is zero, but there is a limit.
    ZeroPeriod => "the period is zero", "the shortest is one microsecond, and \"0/0\" means unlimited";
    /// The limit is above [`Rate::MAX_LIMIT`](super::Rate::MAX_LIMIT).
    LimitTooHigh => "the limit is too high to count exactly", "the highest is 100000000000000 (10^14)";
    /// The period is longer than [`Rate::MAX_PERIOD`](super::Rate::MAX_PERIOD).
    PeriodTooLong => "the period is too long to measure exactly", "the longest is 50 days";
    /// The period is not a whole number of microseconds.
    PeriodTooFine => "the period is no whole number of microseconds", "round it to microseconds";
}

#[cfg(test)]
mod tests {
    use super::{super::units::UNITS, *};
    use crate::Rate;

    #[test]
    fn messages_are_unique() {
        for (i, kind) in RateErrorKind::ALL.iter().enumerate() {
            assert!(RateErrorKind::ALL.iter().skip(i + 1).all(|other| other.message() != kind.message()));
        }
    }

    #[test]
    fn error_says_what_is_wrong_where_and_what_is_allowed() {
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
    fn error_without_text_has_no_position() {
        let error = RateError::new(RateErrorKind::PeriodTooLong);
        assert_eq!((error.to_string(), error.position()), (error.kind().message().to_owned(), None));
    }

    #[test]
    fn longest_message_is_whole() {
        for &kind in RateErrorKind::ALL {
            let message = RateError::at(kind, usize::MAX, &[b'x'; 100]).to_string();
            assert!(
                message.contains("x..\" at byte 18446744073709551615): ")
                    && message.ends_with(kind.problem_and_remedy().1)
            );
        }
    }

    #[test]
    fn messages_name_the_units_and_the_bounds() {
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
    fn examples_in_messages_are_rates() {
        for kind in RateErrorKind::ALL {
            for example in kind.problem_and_remedy().1.split('"').skip(1).step_by(2).filter(|text| text.len() > 1) {
                let is_rate = Rate::parse(example).is_ok();
                assert!(is_rate || ["us", "per"].contains(&example), "{example}");
            }
        }
    }

    #[test]
    fn error_has_at_most_48_bytes() {
        assert!(size_of::<RateError>() <= 48);
    }
}
