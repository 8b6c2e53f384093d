//! The words of the grammar: numbers, separators and units, without the white space between them.

use super::{
    RateError, RateErrorKind,
    units::{self, Unit},
};

/// The text that is still to be read.
pub(super) struct Tokens<'a> {
    rest: &'a [u8],
    /// The length of the whole text without white space at its end.
    length: usize,
}

#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    pub(super) at: usize,
    text: &'a [u8],
}

#[derive(Clone, Copy)]
pub(super) enum TokenKind {
    /// A number above `u64::MAX` stays there, which is beyond every bound of a rate.
    Number(u64),
    /// `/` or `per`.
    Separator,
    /// Letters: a unit, or the reason why they are none.
    Word(Result<&'static Unit, RateErrorKind>),
    End,
    /// Text that is no part of any rate.
    Malformed(RateErrorKind),
}

impl Token<'_> {
    /// Creates an error at this token. A malformed token has its own kind of error.
    pub(super) const fn error(&self, kind: RateErrorKind) -> RateError {
        let kind = if let TokenKind::Malformed(own) = self.kind { own } else { kind };
        RateError::at(kind, self.at, self.text)
    }
}

impl<'a> Tokens<'a> {
    pub(super) const fn of(text: &'a str) -> Self {
        let rest = text.as_bytes().trim_ascii_end();
        Self { rest, length: rest.len() }
    }

    pub(super) const fn next(&mut self) -> Token<'a> {
        self.rest = self.rest.trim_ascii_start();
        let start = self.rest;
        let kind = match start {
            [] => TokenKind::End,
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => self.number(),
            [b'a'..=b'z' | b'A'..=b'Z', ..] => self.word(),
            [first, ..] => {
                self.advance();
                match (first, self.rest) {
                    (b'/', _) => TokenKind::Separator,
                    (b'_', _) => TokenKind::Malformed(RateErrorKind::Grouping),
                    (b'+' | b'-', [b'0'..=b'9', ..]) => {
                        self.number();
                        TokenKind::Malformed(RateErrorKind::Signed)
                    }
                    (0x80.., _) => TokenKind::Malformed(RateErrorKind::NotAscii),
                    _ => TokenKind::Malformed(RateErrorKind::Unexpected),
                }
            }
        };
        Token { kind, at: self.length - start.len(), text: self.read_since(start) }
    }

    /// `digit ( "_"? digit )*`, and what else is written in numbers, which is malformed as a whole.
    const fn number(&mut self) -> TokenKind {
        let mut number: u64 = 0;
        let mut fault = None;
        loop {
            match self.rest {
                [digit @ b'0'..=b'9', ..] => {
                    number = number.saturating_mul(10).saturating_add((*digit - b'0') as u64);
                }
                [b'_', b'0'..=b'9', ..] => {}
                [b'.', b'0'..=b'9', ..] => fault = Some(RateErrorKind::Decimal),
                [b',', b'0'..=b'9', ..] | [b'_', ..] => fault = Some(RateErrorKind::Grouping),
                _ => break,
            }
            self.advance();
        }
        match fault {
            Some(fault) => TokenKind::Malformed(fault),
            None => TokenKind::Number(number),
        }
    }

    const fn word(&mut self) -> TokenKind {
        let start = self.rest;
        while let [b'a'..=b'z' | b'A'..=b'Z', ..] = self.rest {
            self.advance();
        }
        let word = self.read_since(start);
        if units::is_word(word, "per") { TokenKind::Separator } else { TokenKind::Word(units::find(word)) }
    }

    /// Reads one character, with all its bytes.
    const fn advance(&mut self) {
        if let [_, rest @ ..] = self.rest {
            self.rest = rest;
        }
        while let [0x80..=0xBF, rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    const fn read_since(&self, start: &'a [u8]) -> &'a [u8] {
        start.split_at(start.len() - self.rest.len()).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns each token as its position and its text.
    fn split(text: &str) -> Vec<(usize, &str)> {
        let mut tokens = Tokens::of(text);
        std::iter::from_fn(|| Some(tokens.next()))
            .take_while(|token| !matches!(token.kind, TokenKind::End))
            .map(|token| (token.at, std::str::from_utf8(token.text).unwrap()))
            .collect()
    }

    #[test]
    fn white_space_separates_tokens() {
        assert_eq!(split("100/5m30s"), [(0, "100"), (3, "/"), (4, "5"), (5, "m"), (6, "30"), (8, "s")]);
        assert_eq!(split("\t1\r\n per\x0Cmin  "), [(1, "1"), (5, "per"), (9, "min")]);
        assert_eq!(split("1 0/m s"), [(0, "1"), (2, "0"), (3, "/"), (4, "m"), (6, "s")]);
        assert_eq!(split(" \t\n"), []);
    }

    #[test]
    fn malformed_number_is_one_token() {
        assert_eq!(split("1,000.5/-3s"), [(0, "1,000.5"), (7, "/"), (8, "-3"), (10, "s")]);
        assert_eq!(split("1__0 .5 ５%"), [(0, "1__0"), (5, ".5"), (8, "５"), (11, "%")]);
    }

    #[test]
    fn end_stays_the_end() {
        let mut tokens = Tokens::of("x  ");
        tokens.next();
        for _ in 0..3 {
            let end = tokens.next();
            assert!(matches!(end.kind, TokenKind::End));
            assert_eq!((end.at, end.text), (1, &b""[..]));
        }
    }
}
