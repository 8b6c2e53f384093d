//! The words of the grammar: numbers, separators and units, with white space between them left out.

use super::{RateError, RateErrorKind};

/// The text that is still to be read.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'a> {
    rest: &'a [u8],
    at: usize,
}

#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    pub(super) text: &'a [u8],
    /// The text from here to its end.
    pub(super) onward: &'a [u8],
    pub(super) at: usize,
}

#[derive(Clone, Copy)]
pub(super) enum TokenKind {
    /// A number above `u64::MAX` stays there, which is beyond every bound of a rate.
    Number(u64),
    /// `/` or `per`.
    Separator,
    /// Letters, and not `per`.
    Word,
    End,
    /// What can stand nowhere in a rate.
    Malformed(RateErrorKind),
}

impl Token<'_> {
    /// An error here: of the given kind, unless what stands here is wrong anywhere.
    pub(super) const fn error(&self, kind: RateErrorKind) -> RateError {
        match self.kind {
            TokenKind::Malformed(own) => RateError::at(own, self.at, self.text),
            _ => RateError::at(kind, self.at, self.text),
        }
    }
}

impl<'a> Tokens<'a> {
    pub(super) const fn of(text: &'a str) -> Self {
        Self { rest: text.as_bytes().trim_ascii_end(), at: 0 }
    }

    pub(super) const fn next(&mut self) -> Token<'a> {
        self.skip_white_space();
        let start = *self;
        let kind = match self.rest {
            [] => TokenKind::End,
            [b'/', ..] => {
                self.advance();
                TokenKind::Separator
            }
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => self.number(),
            [b'+' | b'-', b'0'..=b'9', ..] => {
                self.advance();
                self.number();
                TokenKind::Malformed(RateErrorKind::Signed)
            }
            [b'a'..=b'z' | b'A'..=b'Z', ..] => self.word(),
            [b'_', ..] => self.stray(RateErrorKind::Grouping),
            [0x80..=0xFF, ..] => self.stray(RateErrorKind::NotAscii),
            [_, ..] => self.stray(RateErrorKind::Unexpected),
        };
        let (text, _) = start.rest.split_at(self.at - start.at);
        Token { kind, text, onward: start.rest, at: start.at }
    }

    /// `digit ( "_"? digit )*`, and what people write in numbers beside that, to be refused as one.
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
        let start = *self;
        while let [b'a'..=b'z' | b'A'..=b'Z', ..] = self.rest {
            self.advance();
        }
        let (word, _) = start.rest.split_at(self.at - start.at);
        if is_word(word, "per") { TokenKind::Separator } else { TokenKind::Word }
    }

    /// One whole character.
    const fn stray(&mut self, kind: RateErrorKind) -> TokenKind {
        self.advance();
        while let [0x80..=0xBF, ..] = self.rest {
            self.advance();
        }
        TokenKind::Malformed(kind)
    }

    const fn skip_white_space(&mut self) {
        while let [byte, ..] = self.rest {
            if !byte.is_ascii_whitespace() {
                break;
            }
            self.advance();
        }
    }

    const fn advance(&mut self) {
        if let [_, rest @ ..] = self.rest {
            self.rest = rest;
            self.at += 1;
        }
    }
}

/// Whether these letters are `word`, which is in lower case; the comparison of slices is not const.
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

    /// Each token as its place and its text.
    fn split(text: &str) -> Vec<(usize, &str)> {
        let mut tokens = Tokens::of(text);
        std::iter::from_fn(|| Some(tokens.next()))
            .take_while(|token| !matches!(token.kind, TokenKind::End))
            .map(|token| (token.at, std::str::from_utf8(token.text).unwrap()))
            .collect()
    }

    #[test]
    fn white_space_is_between_tokens_only() {
        assert_eq!(split("100/5m30s"), [(0, "100"), (3, "/"), (4, "5"), (5, "m"), (6, "30"), (8, "s")]);
        assert_eq!(split("\t1\r\n per\x0Cmin  "), [(1, "1"), (5, "per"), (9, "min")]);
        assert_eq!(split("1 0/m s"), [(0, "1"), (2, "0"), (3, "/"), (4, "m"), (6, "s")]);
        assert_eq!(split(" \t\n"), []);
    }

    #[test]
    fn what_is_refused_as_one_is_quoted_as_one() {
        assert_eq!(split("1,000.5/-3s"), [(0, "1,000.5"), (7, "/"), (8, "-3"), (10, "s")]);
        assert_eq!(split("1__0 .5 ５%"), [(0, "1__0"), (5, ".5"), (8, "５"), (11, "%")]);
    }

    #[test]
    fn the_end_stays_the_end() {
        let mut tokens = Tokens::of("x  ");
        tokens.next();
        for _ in 0..3 {
            let end = tokens.next();
            assert!(matches!(end.kind, TokenKind::End));
            assert_eq!((end.at, end.text), (1, &b""[..]));
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
