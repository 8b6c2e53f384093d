//! The parser. It runs while compiling, so it is written with what a `const fn` may do.

use super::{
    Rate, RateError, RateErrorKind,
    units::{UNITS, WITHOUT_LENGTH},
};

/// `rate = limit ("/" | "per") period`
pub(super) const fn rate(text: &str) -> Result<Rate, RateError> {
    let mut rest = Cursor { bytes: text.as_bytes(), at: 0 };
    rest.skip_spaces();
    if rest.is_at_end() {
        return Err(RateError::at(RateErrorKind::Empty, rest.at));
    }
    let limit = match rest.number(RateErrorKind::LimitTooHigh) {
        Ok(Some(limit)) => limit,
        Ok(None) => return Err(rest.error(RateErrorKind::MissingLimit)),
        Err(error) => return Err(error),
    };
    rest.skip_spaces();
    if rest.is_at_end() {
        return Err(rest.error(RateErrorKind::MissingPeriod));
    }
    if !rest.take_separator() {
        return Err(rest.error(RateErrorKind::MissingSeparator));
    }
    match period_micros(&mut rest) {
        Ok(period_micros) => Rate::of_micros(limit, period_micros),
        Err(error) => Err(error),
    }
}

/// `period = unit | (number unit)+ | "0"`
const fn period_micros(rest: &mut Cursor<'_>) -> Result<u64, RateError> {
    rest.skip_spaces();
    if rest.is_at_end() {
        return Err(rest.error(RateErrorKind::MissingPeriod));
    }
    let mut sum: u64 = 0;
    // A bit for each unit that was there.
    let mut seen: u32 = 0;
    let mut bare = false;
    while !rest.is_at_end() {
        let start = rest.at;
        let number = match rest.number(RateErrorKind::PeriodTooLong) {
            Ok(number) => number,
            Err(error) => return Err(error),
        };
        rest.skip_spaces();
        if matches!((number, rest.is_at_end(), seen), (Some(0), true, 0)) {
            return Ok(0);
        }
        let (unit, micros) = match rest.unit() {
            Ok(Some(unit)) => unit,
            Ok(None) => {
                return Err(match number {
                    Some(_) => rest.error(RateErrorKind::MissingUnit),
                    None => rest.error(RateErrorKind::Unexpected),
                });
            }
            Err(error) => return Err(error),
        };
        if bare || (number.is_none() && seen != 0) {
            return Err(RateError::at(RateErrorKind::MissingNumber, start));
        }
        if seen & (1 << unit) != 0 {
            return Err(RateError::at(RateErrorKind::UnitTwice, start));
        }
        seen |= 1 << unit;
        bare = number.is_none();
        let part = match number {
            Some(number) => number.checked_mul(micros),
            None => Some(micros),
        };
        sum = match part {
            Some(part) => sum.saturating_add(part),
            None => return Err(RateError::at(RateErrorKind::PeriodTooLong, start)),
        };
        rest.skip_spaces();
    }
    Ok(sum)
}

/// What is left of the text.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    const fn peek(&self) -> Option<u8> {
        match self.bytes {
            [first, ..] => Some(*first),
            [] => None,
        }
    }

    const fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    const fn advance(&mut self) {
        if let [_, rest @ ..] = self.bytes {
            self.bytes = rest;
            self.at += 1;
        }
    }

    const fn skip_spaces(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.advance();
        }
    }

    /// `number = digit+`, if one is here. Where it is too large, that is the error of the given kind.
    const fn number(&mut self, too_large: RateErrorKind) -> Result<Option<u64>, RateError> {
        let start = self.at;
        let mut number: u64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            let next = match number.checked_mul(10) {
                Some(tens) => tens.checked_add((digit - b'0') as u64),
                None => None,
            };
            number = match next {
                Some(next) => next,
                None => return Err(RateError::at(too_large, start)),
            };
            self.advance();
        }
        match (self.at > start, self.peek()) {
            (true, Some(b'.' | b',')) => Err(self.error(RateErrorKind::Decimal)),
            (true, _) => Ok(Some(number)),
            (false, _) => Ok(None),
        }
    }

    /// `"/" | "per"`, if one is here.
    const fn take_separator(&mut self) -> bool {
        if matches!(self.peek(), Some(b'/')) {
            self.advance();
            return true;
        }
        let is_per = is_word(self.bytes, self.word_length(), "per");
        if is_per {
            self.skip_word();
        }
        is_per
    }

    /// The next unit, if a word is here: which it is, and how long.
    const fn unit(&mut self) -> Result<Option<(usize, u64)>, RateError> {
        let length = self.word_length();
        if length == 0 {
            return Ok(None);
        }
        let mut i = 0;
        let mut units = UNITS;
        while let [unit, rest @ ..] = units {
            if is_one_of(self.bytes, length, unit.spellings) {
                self.skip_word();
                return Ok(Some((i, unit.micros)));
            }
            units = rest;
            i += 1;
        }
        Err(if is_word(self.bytes, length, "per") {
            self.error(RateErrorKind::SeveralSeparators)
        } else if is_one_of(self.bytes, length, WITHOUT_LENGTH) {
            self.error(RateErrorKind::UnfixedUnit)
        } else {
            self.error(RateErrorKind::UnknownUnit)
        })
    }

    const fn skip_word(&mut self) {
        let mut length = self.word_length();
        while length > 0 {
            self.advance();
            length -= 1;
        }
    }

    /// How many letters come next.
    const fn word_length(&self) -> usize {
        let mut rest = self.bytes;
        let mut length = 0;
        while let [first, tail @ ..] = rest {
            if !first.is_ascii_alphabetic() {
                break;
            }
            rest = tail;
            length += 1;
        }
        length
    }

    /// An error here: of the given kind, unless what stands here tells more.
    const fn error(&self, kind: RateErrorKind) -> RateError {
        let kind = match self.peek() {
            Some(128..) => RateErrorKind::NotAscii,
            Some(b'-' | b'+') => RateErrorKind::Signed,
            Some(b'.' | b',') if !matches!(kind, RateErrorKind::MissingLimit) => RateErrorKind::Decimal,
            Some(b'/') if !matches!(kind, RateErrorKind::MissingLimit) => RateErrorKind::SeveralSeparators,
            _ => kind,
        };
        RateError::at(kind, self.at)
    }
}

/// Whether the first `length` bytes are one of `words`.
const fn is_one_of(bytes: &[u8], length: usize, mut words: &[&str]) -> bool {
    while let [word, rest @ ..] = words {
        if is_word(bytes, length, word) {
            return true;
        }
        words = rest;
    }
    false
}

/// Whether the first `length` bytes are `word`, which is in lower case.
const fn is_word(mut bytes: &[u8], length: usize, word: &str) -> bool {
    let mut word = word.as_bytes();
    if word.len() != length {
        return false;
    }
    while let ([byte, more_bytes @ ..], [expected, more_word @ ..]) = (bytes, word) {
        if byte.to_ascii_lowercase() != *expected {
            return false;
        }
        (bytes, word) = (more_bytes, more_word);
    }
    true
}
