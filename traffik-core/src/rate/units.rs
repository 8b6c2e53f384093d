//! The units of time, the longest first: the one table that parsing and displaying share.

use super::tokens::is_word;

pub(super) struct Unit {
    /// How it is displayed after a number.
    pub(super) short: &'static str,
    /// How it is displayed alone.
    pub(super) alone: &'static str,
    pub(super) micros: u64,
    /// In lower case.
    pub(super) spellings: &'static [&'static str],
}

pub(super) const UNITS: &[Unit] = &[
    Unit { short: "w", alone: "week", micros: 7 * 86_400 * SECOND, spellings: &["w", "wk", "wks", "week", "weeks"] },
    Unit { short: "d", alone: "day", micros: 86_400 * SECOND, spellings: &["d", "day", "days"] },
    Unit { short: "h", alone: "hour", micros: 3600 * SECOND, spellings: &["h", "hr", "hrs", "hour", "hours"] },
    Unit { short: "m", alone: "min", micros: 60 * SECOND, spellings: &["m", "min", "mins", "minute", "minutes"] },
    Unit { short: "s", alone: "s", micros: SECOND, spellings: &["s", "sec", "secs", "second", "seconds"] },
    Unit {
        short: "ms",
        alone: "ms",
        micros: 1000,
        spellings: &["ms", "msec", "msecs", "millis", "millisecond", "milliseconds"],
    },
    Unit {
        short: "us",
        alone: "us",
        micros: 1,
        spellings: &["us", "usec", "usecs", "micros", "microsecond", "microseconds"],
    },
];

const SECOND: u64 = 1_000_000;

/// What people call a period although it has no fixed length.
const WITHOUT_LENGTH: &[&str] = &["mo", "mon", "month", "months", "y", "yr", "yrs", "year", "years"];

/// The unit of this name, in any case.
pub(super) const fn find(word: &[u8]) -> Option<&'static Unit> {
    let mut units = UNITS;
    while let [unit, rest @ ..] = units {
        if is_one_of(word, unit.spellings) {
            return Some(unit);
        }
        units = rest;
    }
    None
}

pub(super) const fn has_no_fixed_length(word: &[u8]) -> bool {
    is_one_of(word, WITHOUT_LENGTH)
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

/// The units that a period has named so far: a bit for each.
pub(super) struct Set(u8);

impl Set {
    pub(super) const EMPTY: Self = Self(0);

    pub(super) const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Adds a unit; `false` where it was there.
    pub(super) const fn insert(&mut self, unit: &Unit) -> bool {
        let mut bit = 1;
        let mut units = UNITS;
        while let [other, rest @ ..] = units {
            if other.micros == unit.micros {
                break;
            }
            bit <<= 1;
            units = rest;
        }
        let is_new = self.0 & bit == 0;
        self.0 |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_comes_first_and_each_divides_the_one_before() {
        for pair in UNITS.windows(2) {
            assert!(pair[0].micros > pair[1].micros && pair[0].micros % pair[1].micros == 0);
        }
    }

    #[test]
    fn what_is_displayed_is_a_spelling() {
        for unit in UNITS {
            assert!(unit.spellings.contains(&unit.short) && unit.spellings.contains(&unit.alone));
        }
    }

    #[test]
    fn a_name_means_one_thing() {
        let names: Vec<_> = UNITS.iter().flat_map(|unit| unit.spellings).chain(WITHOUT_LENGTH).collect();
        for (i, name) in names.iter().enumerate() {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{name}");
            assert!(!names[..i].contains(name), "{name}");
        }
    }

    #[test]
    fn the_documentation_has_every_spelling() {
        for unit in UNITS {
            let row: Vec<_> = unit.spellings.iter().map(|spelling| format!("`{spelling}`")).collect();
            let row = format!(" | {} |\n", row.join(" "));
            assert!(include_str!("mod.rs").contains(&row), "{row}");
        }
    }

    #[test]
    fn a_set_takes_each_unit_once() {
        let mut set = Set::EMPTY;
        assert!(set.is_empty());
        assert!(UNITS.iter().all(|unit| set.insert(unit)));
        assert!(!UNITS.iter().any(|unit| set.insert(unit)));
    }
}
