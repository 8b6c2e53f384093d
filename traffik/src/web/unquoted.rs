//! Splits the value of a field at separators that are not within quotes.

/// Returns the texts between separators that are not within quotes (RFC 9110, section 5.6).
pub(super) fn split_unquoted(line: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    line.split(move |&byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            byte if byte == separator => return !is_quoted,
            _ => {}
        }
        false
    })
}
