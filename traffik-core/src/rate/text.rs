//! Text that is put together without allocating: a `const fn` has no `String` and no `format!`.

/// Up to `N` bytes of ASCII. What does not fit is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Text<const N: usize> {
    bytes: [u8; N],
    /// Not `usize`, to keep the errors that carry one small.
    length: u16,
}

impl<const N: usize> Text<N> {
    pub(super) const EMPTY: Self = Self { bytes: [0; N], length: 0 };

    pub(super) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) const fn as_str(&self) -> &str {
        let (written, _) = self.bytes.split_at(self.length as usize);
        match std::str::from_utf8(written) {
            Ok(text) => text,
            Err(_) => "",
        }
    }

    #[expect(clippy::indexing_slicing, reason = "the index was compared, and `get_mut` is not const")]
    const fn push(&mut self, byte: u8) {
        let end = self.length as usize;
        if end < N && byte.is_ascii() {
            self.bytes[end] = byte;
            self.length += 1;
        }
    }

    pub(super) const fn push_str(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while let [byte, tail @ ..] = rest {
            self.push(*byte);
            rest = tail;
        }
    }

    pub(super) const fn push_number(&mut self, number: u64) {
        self.push_digits(number, 10);
    }

    #[expect(clippy::cast_possible_truncation, reason = "a digit is below 16")]
    const fn push_digits(&mut self, number: u64, radix: u64) {
        if number >= radix {
            self.push_digits(number / radix, radix);
        }
        let digit = (number % radix) as u8;
        self.push(if digit < 10 { b'0' + digit } else { b'A' - 10 + digit });
    }

    /// The beginning of `piece` in quotes, or its first character as `U+FF15` where that does not show as what it is.
    pub(super) const fn quote(piece: &[u8]) -> Self {
        let mut quote = Self::EMPTY;
        match piece {
            [] => {}
            [b' '..=b'~', ..] => quote.push_quoted(piece),
            _ => quote.push_code_point(first_char(piece)),
        }
        quote
    }

    const fn push_quoted(&mut self, piece: &[u8]) {
        let visible = visible_length(piece);
        let is_whole = visible + "\"\"".len() <= N;
        let mut left = if is_whole { visible } else { N - "\"..\"".len() };
        let mut rest = piece;
        self.push(b'"');
        while let ([byte, tail @ ..], 1..) = (rest, left) {
            self.push(*byte);
            rest = tail;
            left -= 1;
        }
        self.push_str(if is_whole { "\"" } else { "..\"" });
    }

    const fn push_code_point(&mut self, code: u32) {
        self.push_str("U+");
        let mut wider = 0x1000;
        while wider > 1 && code < wider {
            self.push(b'0');
            wider /= 16;
        }
        self.push_digits(code as u64, 16);
    }
}

impl<const N: usize> std::fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many bytes show as what they are, up to the first that does not.
const fn visible_length(piece: &[u8]) -> usize {
    let mut rest = piece;
    while let [b' '..=b'~', tail @ ..] = rest {
        rest = tail;
    }
    piece.len() - rest.len()
}

/// The first character of UTF-8; `char`'s own decoding is not const.
const fn first_char(utf8: &[u8]) -> u32 {
    const fn low_bits(byte: u8) -> u32 {
        (byte & 0b0011_1111) as u32
    }
    match *utf8 {
        [a @ ..0x80, ..] => a as u32,
        [a @ 0xC0..0xE0, b, ..] => ((a & 0x1F) as u32) << 6 | low_bits(b),
        [a @ 0xE0..0xF0, b, c, ..] => ((a & 0x0F) as u32) << 12 | low_bits(b) << 6 | low_bits(c),
        [a @ 0xF0..=0xFF, b, c, d, ..] => {
            ((a & 0x07) as u32) << 18 | low_bits(b) << 12 | low_bits(c) << 6 | low_bits(d)
        }
        _ => char::REPLACEMENT_CHARACTER as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote<const N: usize>(piece: &str) -> String {
        Text::<N>::quote(piece.as_bytes()).as_str().to_owned()
    }

    #[test]
    fn numbers_are_written_out() {
        for number in [0, 7, 10, 907, u64::MAX] {
            let mut text = Text::<20>::EMPTY;
            text.push_number(number);
            assert_eq!(text.as_str(), number.to_string());
        }
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut text = Text::<3>::EMPTY;
        text.push_str("abcd");
        text.push_number(5);
        assert_eq!(text.as_str(), "abc");
    }

    #[test]
    fn a_quote_is_whole_or_shows_that_it_is_not() {
        assert_eq!(quote::<10>(""), "");
        assert_eq!(quote::<10>("fortnig"), "\"fortnig\"");
        assert_eq!(quote::<10>("fortnigh"), "\"fortnigh\"");
        assert_eq!(quote::<10>("fortnight"), "\"fortni..\"");
        assert_eq!(quote::<10>("5 d\n"), "\"5 d\"");
    }

    #[test]
    fn what_cannot_be_seen_is_told_by_its_code_point() {
        assert_eq!(quote::<22>("\0"), "U+0000");
        assert_eq!(quote::<22>("\u{b}min"), "U+000B");
        for c in
            ['\u{80}', '\u{a0}', 'µ', '\u{456}', '\u{7ff}', '\u{800}', '５', '\u{ffff}', '\u{10000}', '😀', char::MAX]
        {
            assert_eq!(quote::<22>(&format!("{c}/min")), format!("U+{:04X}", u32::from(c)));
        }
    }
}
