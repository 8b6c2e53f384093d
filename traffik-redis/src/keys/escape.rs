//! Escapes text in keys.

use std::fmt::Write;

/// Appends `text`, and writes every byte as `%XX` that is not an ASCII letter, a digit or one of `-_.:@/`.
///
/// The result contains no delimiter of the parts of a key (`{`, `}`, `|`, `,`, `=`) and no special character of the
/// patterns of `SCAN`. Different texts have different results.
pub(super) fn push_escaped(key: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.:@/".contains(&byte) {
            key.push(byte.into());
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(key, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut key = String::new();
        push_escaped(&mut key, text);
        key
    }

    #[test]
    fn usual_names_stay_readable() {
        for name in ["myapp:prod", "uploads:burst", "alice@example.com", "a-b_c.d/e", ""] {
            assert_eq!(escaped(name), name);
        }
    }

    #[test]
    fn characters_with_a_meaning_in_keys_or_patterns_are_escaped() {
        assert_eq!(escaped("a}|{b"), "a%7D%7C%7Bb");
        assert_eq!(escaped("*?[a]\\^"), "%2A%3F%5Ba%5D%5C%5E");
        assert_eq!(escaped("a,text=b"), "a%2Ctext%3Db");
        assert_eq!(escaped("\0\r\n ü"), "%00%0D%0A%20%C3%BC");
    }

    #[test]
    fn text_that_looks_escaped_is_escaped_again() {
        assert_eq!(escaped("%7D"), "%257D");
    }
}
