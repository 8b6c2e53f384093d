//! The units of time, longest first. Parsing and displaying share this table.

use super::RateErrorKind;

pub(super) struct Unit {
    /// The name after a number.
    pub(super) short: &'static str,
    /// The name without a number.
    pub(super) alone: &'static str,
    pub(super) micros: u64,
    /// All names, in lower case.
    pub(super) names: &'static [&'static str],
}

pub(super) const UNITS: &[Unit] = &[
    Unit { short: "w", alone: "week", micros: 7 * 86_400 * SECOND, names: &["w", "wk", "wks", "week", "weeks"] },
    Unit { short: "d", alone: "day", micros: 86_400 * SECOND, names: &["d", "day", "days"] },
    Unit { short: "h", alone: "hour", micros: 3600 * SECOND, names: &["h", "hr", "hrs", "hour", "hours"] },
    Unit { short: "m", alone: "min", micros: 60 * SECOND, names: &["m", "min", "mins", "minute", "minutes"] },
    Unit { short: "s", alone: "s", micros: SECOND, names: &["s", "sec", "secs", "second", "seconds"] },
    Unit { short: "ms", alone: "ms", micros: 1000, names: MILLIS },
    Unit { short: "us", alone: "us", micros: 1, names: MICROS },
];

const SECOND: u64 = 1_000_000;
const MILLIS: &[&str] = &["ms", "msec", "msecs", "millis", "millisecond", "milliseconds"];
const MICROS: &[&str] = &["us", "usec", "usecs", "micros", "microsecond", "microseconds"];

/// Names of periods that have no fixed length.
const UNFIXED: &[&str] = &["mo", "mon", "month", "months", "y", "yr", "yrs", "year", "years"];

/// Finds the unit with this name, in any case.
pub(super) const fn find(word: &[u8]) -> Result<&'static Unit, RateErrorKind> {
    let mut units = UNITS;
    while let [unit, rest @ ..] = units {
        if is_one_of(word, unit.names) {
            return Ok(unit);
        }
        units = rest;
    }
    Err(if is_one_of(word, UNFIXED) { RateErrorKind::UnfixedUnit } else { RateErrorKind::UnknownUnit })
}

const fn is_one_of(word: &[u8], mut names: &[&str]) -> bool {
    while let [name, rest @ ..] = names {
        if is_word(word, name) {
            return true;
        }
        names = rest;
    }
    false
}

/// Checks whether these letters are `word`, which is in lower case. The standard comparison is not const.
pub(super) const fn is_word(letters: &[u8], word: &str) -> bool {
    let (mut letters, mut word) = (letters, word.as_bytes());
    while let ([letter, more_letters @ ..], [expected, more_word @ ..]) = (letters, word) {
        if letter.to_ascii_lowercase() != *expected {
            return false;
        }
        (letters, word) = (more_letters, more_word);
    }
    letters.is_empty() && word.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each unit then has a bit of its own in the parser's set.
    #[test]
    fn units_are_sorted_and_each_is_a_multiple_of_the_next() {
        for pair in UNITS.windows(2) {
            assert!(pair[0].micros > pair[1].micros && pair[0].micros % pair[1].micros == 0);
        }
    }

    #[test]
    fn displayed_names_can_be_parsed() {
        for unit in UNITS {
            assert!(unit.names.contains(&unit.short) && unit.names.contains(&unit.alone));
        }
    }

    #[test]
    fn names_are_lower_case_and_unique() {
        let names: Vec<_> = UNITS.iter().flat_map(|unit| unit.names).chain(UNFIXED).collect();
        for (i, name) in names.iter().enumerate() {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{name}");
            assert!(!names[..i].contains(name), "{name}");
        }
    }

    #[test]
    fn documentation_lists_every_name() {
        for unit in UNITS {
            let row: Vec<_> = unit.names.iter().map(|name| format!("`{name}`")).collect();
            let row = format!(" | {} |\n", row.join(" "));
            assert!(include_str!("mod.rs").contains(&row), "{row}");
        }
    }

    #[test]
    fn words_are_compared_whole_and_in_any_case() {
        assert!(is_word(b"PeR", "per"));
        assert!(!is_word(b"pe", "per"));
        assert!(!is_word(b"pers", "per"));
        assert!(!is_word(b"", "per"));
    }
}
