//! The parser. It also runs at compile time, so it uses only what a `const fn` may use.

use std::str::FromStr;

use super::{
    Rate, RateError, RateErrorKind,
    tokens::{Token, TokenKind, Tokens},
};

impl Rate {
    /// Parses a rate. The [module](crate::rate) describes the grammar.
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
    /// Returns an error if the text is not a rate. The error says what is wrong, where, and what is allowed.
    pub const fn parse(text: &str) -> Result<Self, RateError> {
        rate(text)
    }

    /// Parses a rate at compile time. An invalid constant does not compile.
    ///
    /// Use it for constants only. Text that is known only at run time goes to [`parse`](Self::parse) or to [`FromStr`],
    /// which do not panic.
    ///
    /// ```
    /// use traffik::Rate;
    ///
    /// const RATE: Rate = Rate::literal("100/week");
    /// # assert_eq!(RATE.limit(), 100);
    /// ```
    ///
    /// The compiler refuses the next one: `there is no such unit ("fortnight" at byte 4): the units are us, ms, ..`
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
    /// Panics if the text is not a rate. In a `const` this is an error of the compiler.
    #[must_use]
    #[track_caller]
    #[expect(clippy::panic, reason = "in a const it ends the build, and that is what it is for")]
    pub const fn literal(text: &'static str) -> Self {
        match rate(text) {
            Ok(rate) => rate,
            Err(error) => panic!("{}", error.message().as_str()),
        }
    }
}

/// See [`Rate::parse`].
impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        Self::parse(text)
    }
}

/// See [`Rate::parse`].
impl TryFrom<&str> for Rate {
    type Error = RateError;

    fn try_from(text: &str) -> Result<Self, RateError> {
        Self::parse(text)
    }
}

/// `rate = number ( "/" | "per" ) period`
const fn rate(text: &str) -> Result<Rate, RateError> {
    let mut tokens = Tokens::of(text);
    let number = tokens.next();
    let limit = match number.kind {
        TokenKind::Number(limit) => limit,
        TokenKind::End => return Err(number.error(RateErrorKind::Empty)),
        _ => return Err(number.error(RateErrorKind::MissingLimit)),
    };
    let separator = tokens.next();
    match separator.kind {
        TokenKind::Separator => {}
        TokenKind::End => return Err(separator.error(RateErrorKind::MissingPeriod)),
        _ => return Err(separator.error(RateErrorKind::MissingSeparator)),
    }
    let first = tokens.next();
    let micros = match period(first, &mut tokens) {
        Ok(micros) => micros,
        Err(error) => return Err(error),
    };
    let error = match Rate::of_micros(limit, micros) {
        Ok(rate) => return Ok(rate),
        Err(error) => error,
    };
    match error.kind() {
        kind @ (RateErrorKind::ZeroPeriod | RateErrorKind::PeriodTooLong) => {
            let (_, period) = text.as_bytes().trim_ascii_end().split_at(first.at);
            Err(RateError::at(kind, first.at, period))
        }
        kind => Err(number.error(kind)),
    }
}

/// `period = unit | ( number unit )+ | "0"`, in microseconds.
const fn period<'a>(mut token: Token<'a>, tokens: &mut Tokens<'a>) -> Result<u64, RateError> {
    let mut sum: u64 = 0;
    // Has a bit for each unit.
    let mut seen: u64 = 0;
    loop {
        let (number, word) = match token.kind {
            TokenKind::Number(number) => (number, tokens.next()),
            TokenKind::Word(_) if seen == 0 => (1, token),
            TokenKind::End if seen == 0 => return Err(token.error(RateErrorKind::MissingPeriod)),
            TokenKind::End => return Ok(sum),
            _ => return Err(misplaced(token)),
        };
        let unit = match word.kind {
            TokenKind::Word(Ok(unit)) => unit,
            TokenKind::End if number == 0 && seen == 0 => return Ok(0),
            TokenKind::End | TokenKind::Number(_) => return Err(token.error(RateErrorKind::MissingUnit)),
            _ => return Err(misplaced(word)),
        };
        let bit = 1 << unit.micros.ilog2();
        if seen & bit != 0 {
            return Err(word.error(RateErrorKind::UnitTwice));
        }
        seen |= bit;
        // A sum that stays at `u64::MAX` is longer than the longest period, which is an error.
        sum = sum.saturating_add(number.saturating_mul(unit.micros));
        let next = tokens.next();
        if let (TokenKind::Word(_), TokenKind::Number(_)) = (token.kind, next.kind) {
            return Err(token.error(RateErrorKind::MissingNumber));
        }
        token = next;
    }
}

/// Returns the error for a token that cannot stand where the period goes on or ends.
const fn misplaced(token: Token<'_>) -> RateError {
    token.error(match token.kind {
        TokenKind::Word(Err(kind)) => kind,
        TokenKind::Word(Ok(_)) => RateErrorKind::MissingNumber,
        _ => RateErrorKind::SeveralSeparators,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rate::units::{UNITS, Unit};

    #[track_caller]
    fn reads(text: &str, limit: u64, period: Duration) {
        assert_eq!(rate(text), Ok(Rate::new(limit, period).unwrap()), "{text:?}");
    }

    #[track_caller]
    fn refuses(text: &str, kind: RateErrorKind, position: usize) {
        let error = rate(text).expect_err(text);
        assert_eq!((error.kind(), error.position()), (kind, Some(position)), "{text:?}: {error}");
    }

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn usual_forms_are_parsed() {
        reads("100/minute", 100, MINUTE);
        reads("100/min", 100, MINUTE);
        reads("5/10seconds", 5, 10 * SECOND);
        reads("1000/500ms", 1000, SECOND / 2);
        reads("20 per 2 mins", 20, 2 * MINUTE);
        reads("2 per second", 2, SECOND);
        reads("100/hour", 100, HOUR);
    }

    #[test]
    fn compound_periods_are_sums_in_any_order() {
        reads("100/5m30s", 100, 5 * MINUTE + 30 * SECOND);
        reads("100/30s5m", 100, 5 * MINUTE + 30 * SECOND);
        reads("100 per 1h 30m", 100, HOUR + 30 * MINUTE);
        reads("1/1h0m", 1, HOUR);
        reads("1/1w2d3h4m5s6ms7us", 1, Duration::from_micros(788_645_006_007));
        // A number may exceed the next unit.
        reads("1/1m90s", 1, MINUTE + 90 * SECOND);
    }

    #[test]
    fn case_and_white_space_are_ignored() {
        for text in ["5/10S", " 5 / 10 s ", "5per10s", "5PER 10SeCs", "\t5\nPer\r\n10\x0Csec ", "5/10s\n"] {
            reads(text, 5, 10 * SECOND);
        }
        reads("5 / 1 M 30 S", 5, 90 * SECOND);
    }

    #[test]
    fn zero_over_zero_is_unlimited() {
        for text in ["0/0", "0 / 0", "0 per 0", "00/00", "0/0s"] {
            assert_eq!(rate(text), Ok(Rate::UNLIMITED), "{text}");
        }
    }

    #[test]
    fn underscores_only_group_digits() {
        reads("10_000/min", 10_000, MINUTE);
        reads("1_0_0/1_0s", 100, 10 * SECOND);
        refuses("_1/min", RateErrorKind::Grouping, 0);
        refuses("1_/min", RateErrorKind::Grouping, 0);
        refuses("1__0/min", RateErrorKind::Grouping, 0);
        refuses("1/1_s", RateErrorKind::Grouping, 2);
        refuses("1,000/min", RateErrorKind::Grouping, 0);
        refuses("5/1m_30s", RateErrorKind::Grouping, 4);
    }

    #[test]
    fn leading_zeros_change_nothing() {
        reads("0100/010s", 100, 10 * SECOND);
        reads(&format!("{}1/s", "0".repeat(100)), 1, SECOND);
    }

    #[test]
    fn unit_is_parsed_in_any_letter_case() {
        for unit in UNITS {
            for spelling in unit.names {
                // Each bit of the mask says whether one letter is a capital.
                for mask in 0_u32..1 << spelling.len() {
                    let word: String = spelling
                        .chars()
                        .enumerate()
                        .map(|(i, c)| if mask >> i & 1 == 1 { c.to_ascii_uppercase() } else { c })
                        .collect();
                    reads(&format!("7/{word}"), 7, Duration::from_micros(unit.micros));
                    reads(&format!("7 per 3 {word}"), 7, Duration::from_micros(3 * unit.micros));
                }
            }
        }
    }

    #[test]
    fn missing_parts_are_errors() {
        refuses("", RateErrorKind::Empty, 0);
        refuses(" \t\n", RateErrorKind::Empty, 0);
        refuses("/min", RateErrorKind::MissingLimit, 0);
        refuses(" per minute", RateErrorKind::MissingLimit, 1);
        refuses("min", RateErrorKind::MissingLimit, 0);
        refuses("ten/min", RateErrorKind::MissingLimit, 0);
        refuses("100", RateErrorKind::MissingPeriod, 3);
        refuses("100/ ", RateErrorKind::MissingPeriod, 4);
        refuses("100 per", RateErrorKind::MissingPeriod, 7);
        refuses("100min", RateErrorKind::MissingSeparator, 3);
        refuses("100 perminute", RateErrorKind::MissingSeparator, 4);
        refuses("100 requests/min", RateErrorKind::MissingSeparator, 4);
        refuses("10 000/min", RateErrorKind::MissingSeparator, 3);
        refuses("1e3/min", RateErrorKind::MissingSeparator, 1);
        refuses("5/10", RateErrorKind::MissingUnit, 2);
        refuses("5/1m30", RateErrorKind::MissingUnit, 4);
        refuses("5/10 20s", RateErrorKind::MissingUnit, 2);
        refuses("5/1m 0", RateErrorKind::MissingUnit, 5);
        refuses("5/m30s", RateErrorKind::MissingNumber, 2);
        refuses("5/5m s", RateErrorKind::MissingNumber, 5);
        refuses("5/m s", RateErrorKind::MissingNumber, 4);
    }

    #[test]
    fn excess_parts_are_errors() {
        refuses("5/10/s", RateErrorKind::SeveralSeparators, 4);
        refuses("5//s", RateErrorKind::SeveralSeparators, 2);
        refuses("5 per per s", RateErrorKind::SeveralSeparators, 6);
        refuses("5/s/", RateErrorKind::SeveralSeparators, 3);
        refuses("5/1m per 1s", RateErrorKind::SeveralSeparators, 5);
        refuses("5/1m2m", RateErrorKind::UnitTwice, 5);
        refuses("5/1m 30s 2minutes", RateErrorKind::UnitTwice, 10);
        refuses("5/min!", RateErrorKind::Unexpected, 5);
        refuses("5/1h, 30m", RateErrorKind::Unexpected, 4);
        refuses("5/\0", RateErrorKind::Unexpected, 2);
        refuses("5/min.", RateErrorKind::Unexpected, 5);
        refuses("5%/min", RateErrorKind::Unexpected, 1);
        refuses("5/min or so", RateErrorKind::UnknownUnit, 6);
    }

    #[test]
    fn numbers_are_whole_unsigned_and_ascii() {
        refuses("-5/min", RateErrorKind::Signed, 0);
        refuses("+5/min", RateErrorKind::Signed, 0);
        refuses("5/-10s", RateErrorKind::Signed, 2);
        refuses("1.5/s", RateErrorKind::Decimal, 0);
        refuses(".5/s", RateErrorKind::Decimal, 0);
        refuses("5/1.5s", RateErrorKind::Decimal, 2);
        refuses("５/min", RateErrorKind::NotAscii, 0);
        refuses("٣/min", RateErrorKind::NotAscii, 0);
        refuses("1５/min", RateErrorKind::NotAscii, 1);
        refuses("5/10µs", RateErrorKind::NotAscii, 4);
        refuses("5/m\u{456}n", RateErrorKind::NotAscii, 3);
        refuses("5\u{a0}/min", RateErrorKind::NotAscii, 1);
    }

    #[test]
    fn unknown_and_unfixed_units_are_errors() {
        for text in ["5/fortnight", "5/3ns", "5/ss", "5/mi"] {
            assert_eq!(rate(text).unwrap_err().kind(), RateErrorKind::UnknownUnit, "{text}");
        }
        for text in ["5/month", "5/2 MONTHS", "5/mo", "5/y", "5/year", "5/1yr", "5/1h 2 years"] {
            assert_eq!(rate(text).unwrap_err().kind(), RateErrorKind::UnfixedUnit, "{text}");
        }
    }

    #[test]
    fn values_beyond_the_bounds_are_errors() {
        let huge = "9".repeat(1000);
        reads("100_000_000_000_000/50d", Rate::MAX_LIMIT, Rate::MAX_PERIOD);
        reads("1/us", 1, Duration::from_micros(1));
        refuses("0/min", RateErrorKind::ZeroLimit, 0);
        refuses(" 00 / min", RateErrorKind::ZeroLimit, 1);
        refuses("5/0", RateErrorKind::ZeroPeriod, 2);
        refuses("5/ 0s", RateErrorKind::ZeroPeriod, 3);
        refuses("100000000000001/s", RateErrorKind::LimitTooHigh, 0);
        refuses("18446744073709551615/s", RateErrorKind::LimitTooHigh, 0);
        refuses("18446744073709551616/s", RateErrorKind::LimitTooHigh, 0);
        refuses(&format!("{huge}/s"), RateErrorKind::LimitTooHigh, 0);
        refuses("5/51d", RateErrorKind::PeriodTooLong, 2);
        refuses("5/50d1us", RateErrorKind::PeriodTooLong, 2);
        refuses("5/49d24h1us", RateErrorKind::PeriodTooLong, 2);
        refuses("5/18446744073709551616us", RateErrorKind::PeriodTooLong, 2);
        refuses("5/18446744073709551615w18446744073709551615d1s", RateErrorKind::PeriodTooLong, 2);
        refuses(&format!("5/{huge}s"), RateErrorKind::PeriodTooLong, 2);
    }

    /// Random input: xorshift, the same in every run.
    struct Random(u64);

    impl Random {
        fn new(seed: u64) -> Self {
            Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
        }

        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
        }

        /// Returns a number from 0 to `most`.
        fn upto(&mut self, most: u64) -> u64 {
            self.next() % (most + 1)
        }

        /// Returns a number from 1 to `most`, with any number of digits.
        fn of_any_size(&mut self, most: u64) -> u64 {
            let size = self.upto(63);
            (self.next() >> size) % most + 1
        }

        fn index(&mut self, length: usize) -> usize {
            usize::try_from(self.upto(length as u64 - 1)).unwrap()
        }

        fn byte(&mut self) -> u8 {
            self.next().to_be_bytes()[0]
        }

        fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
            items[self.index(items.len())]
        }

        /// Returns white space, or nothing.
        fn space(&mut self) -> &'static str {
            self.pick(&["", "", " ", "\t ", "\n"])
        }
    }

    /// Writes texts by the grammar, and computes their sums separately.
    #[test]
    fn generated_rates_are_parsed() {
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let limit = random.upto(Rate::MAX_LIMIT - 1) + 1;
            let mut units: Vec<&Unit> = UNITS.iter().collect();
            let (mut period, mut micros) = (String::new(), 0);
            for _ in 0..=random.upto(6) {
                let unit = units.swap_remove(random.index(units.len()));
                let number = random.upto(4 * 86_400_000_000 / unit.micros) + 1;
                micros += number * unit.micros;
                let spelling = random.pick(unit.names);
                period += &format!("{}{number}{}{spelling}", random.space(), random.space());
            }
            let separator = random.pick(&["/", "per", "PER"]);
            let text = format!("{}{limit}{}{separator}{period}{}", random.space(), random.space(), random.space());
            reads(&text, limit, Duration::from_micros(micros));
        }
    }

    /// Checks that an error can be shown, or that the displayed rate parses back to itself.
    #[track_caller]
    fn survives(text: &str) {
        match rate(text) {
            Ok(read) => assert_eq!(rate(&read.to_string()), Ok(read), "{text:?}"),
            Err(error) => {
                let position = error.position().unwrap();
                assert!(text.is_char_boundary(position), "{text:?}: {error}");
                assert!(error.to_string().chars().all(|c| (' '..='~').contains(&c)), "{text:?}: {error}");
            }
        }
    }

    #[test]
    fn random_text_does_not_panic() {
        let mut random = Random::new(2);
        for _ in 0..100_000 {
            let bytes: Vec<u8> = (0..random.upto(24)).map(|_| random.byte()).collect();
            survives(&String::from_utf8_lossy(&bytes));
        }
        let pieces = [
            "0",
            "1",
            "60",
            "500",
            "9999999999",
            "18446744073709551616",
            "/",
            "per",
            " ",
            "\t",
            "s",
            "ms",
            "us",
            "min",
            "m",
            "H",
            "days",
            "weeks",
            "month",
            "_",
            ".",
            ",",
            "-",
            "+",
            "５",
            "µ",
            "\0",
            "%",
            "😀",
            "x",
        ];
        for _ in 0..100_000 {
            let text: String = (0..random.upto(8)).map(|_| random.pick(&pieces)).collect();
            survives(&text);
        }
    }

    /// Every text of up to five of these.
    #[test]
    fn short_text_does_not_panic() {
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            texts = texts
                .iter()
                .flat_map(|text| ["", "0", "5", "/", "s", "m", "-", "_", "."].map(|piece| format!("{text}{piece}")))
                .collect();
            texts.sort_unstable();
            texts.dedup();
        }
        for text in &texts {
            survives(text);
        }
    }

    #[test]
    fn displayed_rate_parses_back_to_itself() {
        let same = |rate: Rate| assert_eq!(rate.to_string().parse(), Ok(rate));
        let mut random = Random::new(3);
        for _ in 0..100_000 {
            // Of every magnitude, not only near the bounds.
            let limit = random.of_any_size(Rate::MAX_LIMIT);
            let micros = random.of_any_size(Rate::literal("1/50d").period_micros());
            same(Rate::of_micros(limit, micros).unwrap());
            let unit = &UNITS[random.index(UNITS.len())];
            if let Ok(round) = Rate::of_micros(limit, unit.micros * (1 + random.upto(60))) {
                same(round);
            }
        }
        same(Rate::UNLIMITED);
        same(Rate::of_micros(Rate::MAX_LIMIT, 1).unwrap());
        same(Rate::new(1, Rate::MAX_PERIOD).unwrap());
    }

    #[test]
    fn conversions_from_text_parse() {
        for text in ["5/s", "5/fortnight"] {
            assert_eq!(text.parse(), Rate::parse(text));
            assert_eq!(Rate::try_from(text), Rate::parse(text));
        }
    }
}
