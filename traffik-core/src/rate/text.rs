//! Text that is built without allocating: a `const fn` has no `String` and no `format!`.

use std::fmt;

/// Up to `N` bytes of ASCII. What does not fit is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Text<const N: usize> {
    bytes: [u8; N],
    /// Not `usize`, to keep the errors that carry one small.
    length: u16,
}

impl<const N: usize> Text<N> {
    pub(super) const EMPTY: Self = Self { bytes: [0; N], length: 0 };

    pub(super) const fn as_str(&self) -> &str {
        let (written, _) = self.bytes.split_at(self.length as usize);
        match std::str::from_utf8(written) {
            Ok(text) => text,
            Err(_) => "",
        }
    }

    const fn push(&mut self, byte: u8) {
        let (_, free) = self.bytes.split_at_mut(self.length as usize);
        if let [next, ..] = free {
            *next = byte;
            self.length += 1;
        }
    }

    pub(super) const fn push_str(&mut self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    const fn push_bytes(&mut self, mut bytes: &[u8]) {
        while let [byte, rest @ ..] = bytes {
            self.push(*byte);
            bytes = rest;
        }
    }

    pub(super) const fn push_number(&mut self, number: u64) {
        self.push_digits(number, 10, 1);
    }

    /// Pushes a number of `width` digits or more.
    #[expect(clippy::cast_possible_truncation, reason = "a digit is below 16")]
    const fn push_digits(&mut self, number: u64, radix: u64, width: u32) {
        if number >= radix || width > 1 {
            self.push_digits(number / radix, radix, width.saturating_sub(1));
        }
        let digit = (number % radix) as u8;
        self.push(if digit < 10 { b'0' + digit } else { b'A' - 10 + digit });
    }

    /// Quotes the beginning of `piece`, or shows its first character as `U+FF15` if that is not visible ASCII.
    pub(super) const fn quote(piece: &[u8]) -> Self {
        let mut quote = Self::EMPTY;
        match (visible_length(piece), piece) {
            (_, []) => {}
            (0, [first, rest @ ..]) => {
                quote.push_str("U+");
                quote.push_digits(code_point(*first, rest), 16, 4);
            }
            (visible, _) => {
                let is_whole = visible + "\"\"".len() <= N;
                let (shown, end) = if is_whole { (visible, "\"") } else { (N - "\"..\"".len(), "..\"") };
                quote.push(b'"');
                quote.push_bytes(piece.split_at(shown).0);
                quote.push_str(end);
            }
        }
        quote
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Returns the number of bytes before the first that is not visible ASCII.
const fn visible_length(piece: &[u8]) -> usize {
    let mut rest = piece;
    while let [b' '..=b'~', tail @ ..] = rest {
        rest = tail;
    }
    piece.len() - rest.len()
}

/// Decodes a character of UTF-8; the standard decoding is not const. The leading ones of `first` are no part of its code.
const fn code_point(first: u8, mut rest: &[u8]) -> u64 {
    let mut code = first as u64 & (0x7F >> first.leading_ones());
    while let [byte @ 0x80..=0xBF, tail @ ..] = rest {
        code = code << 6 | (*byte & 0x3F) as u64;
        rest = tail;
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote<const N: usize>(piece: &str) -> String {
        Text::<N>::quote(piece.as_bytes()).as_str().to_owned()
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 907, u64::MAX] {
            let mut text = Text::<20>::EMPTY;
            text.push_number(number);
            assert_eq!(text.as_str(), number.to_string());
        }
    }

    #[test]
    fn text_beyond_the_capacity_is_left_out() {
        let mut text = Text::<3>::EMPTY;
        text.push_str("abcd");
        text.push_number(5);
        assert_eq!(text.as_str(), "abc");
    }

    #[test]
    fn quote_is_whole_or_ends_with_dots() {
        assert_eq!(quote::<10>(""), "");
        assert_eq!(quote::<10>("fortnig"), "\"fortnig\"");
        assert_eq!(quote::<10>("fortnigh"), "\"fortnigh\"");
        assert_eq!(quote::<10>("fortnight"), "\"fortni..\"");
        assert_eq!(quote::<10>("5 d\n"), "\"5 d\"");
    }

    #[test]
    fn invisible_character_is_shown_as_its_code_point() {
        assert_eq!(quote::<22>("\0"), "U+0000");
        assert_eq!(quote::<22>("\u{b}min"), "U+000B");
        for c in
            ['\u{80}', '\u{a0}', 'µ', '\u{456}', '\u{7ff}', '\u{800}', '５', '\u{ffff}', '\u{10000}', '😀', char::MAX]
        {
            assert_eq!(quote::<22>(&format!("{c}/min")), format!("U+{:04X}", u32::from(c)));
        }
    }
}
