//! The forms in which a path can be read: as it came, and as whoever serves it may understand it.
//!
//! Who reads a path may or may not decode it, take a decoded slash for one, drop doubled slashes, and follow `.` and
//! `..`. Rules do not know who will, so they look at all of these readings.

use std::fmt::Write;

/// A path in every form that it can be read in.
#[derive(Debug)]
pub(super) struct Forms<'a> {
    /// As it came.
    raw: &'a str,
    /// What else it may be read as. Nothing, where there is no other way to read it, as with most.
    others: Readings,
}

#[derive(Debug, Default)]
struct Readings {
    /// With all slashes that are not followed up by dots.
    with_slashes: Vec<String>,
    /// Without doubled slashes and one at the end.
    merged: Vec<String>,
}

/// What a decoded slash is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slash {
    /// A part of a name, which stays encoded.
    IsData,
    /// The end of a segment.
    Separates,
}

impl<'a> Forms<'a> {
    pub(super) fn new(raw: &'a str) -> Self {
        let others = if is_plain(raw) { Readings::default() } else { Readings::of(raw) };
        Self { raw, others }
    }

    /// Each form that has all slashes: first as it came.
    pub(super) fn with_slashes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.raw).chain(self.others.with_slashes.iter().map(String::as_str))
    }

    /// Each form without doubled slashes and one at the end, if it is none of the others.
    pub(super) fn merged(&self) -> impl Iterator<Item = &str> {
        self.others.merged.iter().map(String::as_str)
    }
}

/// Whether everybody reads it as it is.
fn is_plain(path: &str) -> bool {
    let [b'/', rest @ ..] = path.as_bytes() else { return false };
    let (mut last, mut has_dots) = (b'/', false);
    for byte in rest {
        match byte {
            b'%' => return false,
            b'/' if last == b'/' => return false,
            b'.' if last == b'/' => has_dots = true,
            _ => {}
        }
        last = *byte;
    }
    // Most that begins with a dot is a name all the same.
    (last != b'/' || rest.is_empty()) && !(has_dots && path.split('/').any(|segment| dots(segment).is_some()))
}

impl Readings {
    #[cold]
    fn of(raw: &str) -> Self {
        let mut readings = Self::default();
        readings.read(raw, plain_dots);
        if raw.contains('%') {
            readings.read(raw, dots);
            readings.read(&decode(raw, Slash::IsData), plain_dots);
            readings.read(&decode(raw, Slash::Separates), plain_dots);
        }
        readings
    }

    fn read(&mut self, path: &str, dots: fn(&str) -> Option<Dots>) {
        let (merged, followed) = (without_empty_segments(path), without_dots(path, dots));
        // Whoever follows dots first takes an empty segment for one that `..` leaves.
        for reading in [without_empty_segments(&followed), without_dots(&merged, dots), merged] {
            add(&mut self.merged, reading);
        }
        add(&mut self.with_slashes, followed);
        add(&mut self.with_slashes, path.to_owned());
    }
}

fn add(readings: &mut Vec<String>, reading: String) {
    if !readings.contains(&reading) {
        readings.push(reading);
    }
}

/// Decodes a text once. What is decoded is text that can be shown: control characters, and what is no UTF-8, stay encoded.
fn decode(path: &str, slash: Slash) -> String {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let (b'%', [high, low, tail @ ..]) = (byte, tail) else {
            decoded.push(*byte);
            continue;
        };
        match hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low) {
            Some(byte) if byte.is_ascii_control() || (byte == b'/' && slash == Slash::IsData) => {
                decoded.extend([b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]);
                rest = tail;
            }
            Some(byte) => {
                decoded.push(byte);
                rest = tail;
            }
            None => decoded.push(*byte),
        }
    }
    let mut text = String::with_capacity(decoded.len());
    for chunk in decoded.utf8_chunks() {
        text.push_str(chunk.valid());
        // Writing to a string does not fail.
        chunk.invalid().iter().for_each(|byte| write!(text, "%{byte:02X}").unwrap_or_default());
    }
    text
}

/// A piece of a pattern, decoded as the paths are that are compared with it.
pub(super) fn decoded(piece: &str) -> String {
    decode(piece, Slash::IsData)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn without_empty_segments(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 1);
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        out.extend(["/", segment]);
    }
    rooted(out)
}

fn without_dots(path: &str, dots: fn(&str) -> Option<Dots>) -> String {
    let mut out = String::with_capacity(path.len() + 1);
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        match dots(segment) {
            Some(Dots::Here) => {}
            Some(Dots::Up) => out.truncate(out.rfind('/').unwrap_or_default()),
            None => out.extend(["/", segment]),
        }
    }
    rooted(out)
}

fn rooted(path: String) -> String {
    if path.is_empty() { "/".into() } else { path }
}

/// A segment that names no place but a way.
enum Dots {
    Here,
    Up,
}

fn plain_dots(segment: &str) -> Option<Dots> {
    match segment {
        "." => Some(Dots::Here),
        ".." => Some(Dots::Up),
        _ => None,
    }
}

/// The same where dots may be encoded, though nothing else is decoded: that is how URLs are resolved.
fn dots(segment: &str) -> Option<Dots> {
    // Most segments begin with neither.
    if !segment.starts_with(['.', '%']) {
        return None;
    }
    let dot = |text: &str| text == "." || text.eq_ignore_ascii_case("%2e");
    let halves = || (1..segment.len()).filter_map(|at| segment.split_at_checked(at));
    if dot(segment) {
        Some(Dots::Here)
    } else if segment.len() <= 6 && halves().any(|(one, other)| dot(one) && dot(other)) {
        Some(Dots::Up)
    } else {
        None
    }
}

/// Whether a segment of a pattern is a way.
pub(super) fn is_dots(segment: &str) -> bool {
    dots(segment).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Vec<String> {
        Forms::new(path).others.merged
    }

    #[test]
    fn a_plain_path_has_one_form_and_is_copied_nowhere() {
        for path in ["/", "/a", "/a/b", "/a.b/..c/.d/e..", "/a/größe", "/~a;b=c,d:e@f!$&'()*+"] {
            assert_eq!(read(path), [""; 0], "{path}");
        }
    }

    #[test]
    fn slashes_are_kept_as_well() {
        let kept = |path| Forms::new(path).others.with_slashes;
        assert_eq!(kept("//a/"), ["//a/"]);
        assert_eq!(kept("/.//a/%2e%2E"), ["//a/%2e%2E", "/.//a/%2e%2E", "/", "/.//a/.."]);
        assert_eq!(kept("/a%2F"), ["/a%2F", "/a/"]);
    }

    #[test]
    fn doubled_slashes_and_one_at_the_end_are_dropped() {
        assert_eq!(read("//a///b"), ["/a/b"]);
        assert_eq!(read("/a/"), ["/a"]);
        assert_eq!(read("//"), ["/"]);
    }

    #[test]
    fn dots_are_followed_and_are_not() {
        assert_eq!(read("/a/./b"), ["/a/b", "/a/./b"]);
        assert_eq!(read("/a/../b"), ["/b", "/a/../b"]);
        assert_eq!(read("/../../b/c/.."), ["/b", "/../../b/c/.."]);
        assert_eq!(read("/a/%2E%2e/b"), ["/a/%2E%2e/b", "/b", "/a/../b"]);
        assert_eq!(read("/a//../b"), ["/a/b", "/b", "/a/../b"]);
        assert_eq!(read("/a/.%2e"), ["/a/.%2e", "/", "/a/.."]);
    }

    #[test]
    fn it_is_decoded_once() {
        assert_eq!(read("/%61%2fb"), ["/%61%2fb", "/a%2Fb", "/a/b"]);
        assert_eq!(read("/%2561"), ["/%2561", "/%61"]);
        assert_eq!(read("/%C3%A4%ff"), ["/%C3%A4%ff", "/ä%FF"]);
        assert_eq!(read("/a%0d%0Ab%00"), ["/a%0d%0Ab%00", "/a%0D%0Ab%00"]);
    }

    #[test]
    fn a_percent_sign_without_two_digits_stands_for_itself() {
        for path in ["/%", "/%a", "/a%zz", "/%+1", "/100%/b"] {
            assert_eq!(read(path), [path]);
        }
    }

    #[test]
    fn what_is_no_path_reads_as_one() {
        assert_eq!(read(""), ["/"]);
        assert_eq!(read("*"), ["/*"]);
        assert_eq!(read("a"), ["/a"]);
    }
}
