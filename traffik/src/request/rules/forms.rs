//! The forms of a path: as it was sent, and as servers may read it.
//!
//! A server may decode a path, treat a decoded slash as a separator, drop doubled slashes, and follow `.` and `..`.
//! Rules do not know which server reads the path, so they compare all of these forms.

use std::borrow::Cow;

use percent_encoding::{percent_decode_str, percent_encode_byte};

/// A path in every form in which it can be read.
#[derive(Debug)]
pub(super) struct PathForms<'a> {
    /// The path as it was sent.
    raw: &'a str,
    /// The other forms, and whether each has all slashes that dots do not remove. Otherwise it has no doubled slashes
    /// and none at the end.
    others: Vec<(String, bool)>,
}

impl<'a> PathForms<'a> {
    pub(super) fn new(raw: &'a str) -> Self {
        let mut forms = Self { raw, others: Vec::new() };
        if !is_plain(raw) {
            forms.read_all();
        }
        forms
    }

    /// Checks whether `matches` is true for a form. Its second argument is whether the form has all slashes.
    pub(super) fn any(&self, matches: impl Fn(&str, bool) -> bool) -> bool {
        matches(self.raw, true) || self.others.iter().any(|(form, has_slashes)| matches(form, *has_slashes))
    }

    #[cold]
    fn read_all(&mut self) {
        self.read(self.raw.to_owned());
        if self.raw.contains('%') {
            // URLs are resolved like this: encoded dots are followed, though nothing else is decoded.
            self.read(with_decoded_dots(self.raw));
            self.read(decoded(self.raw));
            self.read(decoded(&self.raw.replace("%2f", "/").replace("%2F", "/")));
        }
    }

    fn read(&mut self, path: String) {
        let (merged, followed) = (without_empty_segments(&path), without_dots(&path));
        // A server that follows dots first treats an empty segment as one that `..` leaves.
        let without_slashes =
            [without_empty_segments(&followed), without_dots(&merged), merged].map(|form| (form, false));
        for form in without_slashes.into_iter().chain([(followed, true), (path, true)]) {
            if !self.others.contains(&form) {
                self.others.push(form);
            }
        }
    }
}

/// Checks whether all servers read a path alike.
fn is_plain(path: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && !is_dots(name) && !name.contains('%');
    path == "/" || (path.starts_with('/') && path.split('/').skip(1).all(is_name))
}

/// Decodes a path, or a piece of a pattern, once. Slashes, control characters and bytes that are not UTF-8 stay encoded.
pub(super) fn decoded(path: &str) -> String {
    let stays_encoded = |byte: u8| byte.is_ascii_control() || byte == b'/';
    let mut text = String::with_capacity(path.len());
    for (at, name) in path.split('/').enumerate() {
        text.push_str(if at == 0 { "" } else { "/" });
        for chunk in Cow::from(percent_decode_str(name)).utf8_chunks() {
            for c in chunk.valid().chars() {
                match u8::try_from(c) {
                    Ok(byte) if stays_encoded(byte) => text.push_str(percent_encode_byte(byte)),
                    _ => text.push(c),
                }
            }
            text.extend(chunk.invalid().iter().copied().map(percent_encode_byte));
        }
    }
    text
}

/// Decodes segments that are dots, and no others.
fn with_decoded_dots(path: &str) -> String {
    let segment = |segment: &str| Some(segment.to_ascii_lowercase().replace("%2e", ".")).filter(|one| is_dots(one));
    let segments = path.split('/').map(|name| segment(name).map_or(Cow::from(name), Cow::from));
    segments.collect::<Vec<_>>().join("/")
}

fn without_empty_segments(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 1);
    path.split('/').filter(|segment| !segment.is_empty()).for_each(|segment| out.extend(["/", segment]));
    rooted(out)
}

fn without_dots(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 1);
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        match segment {
            "." => {}
            ".." => out.truncate(out.rfind('/').unwrap_or_default()),
            _ => out.extend(["/", segment]),
        }
    }
    rooted(out)
}

fn rooted(path: String) -> String {
    if path.is_empty() { "/".into() } else { path }
}

/// Checks whether a segment is not a name, but a way to another segment.
pub(super) fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(path: &str, with_slashes: bool) -> Vec<String> {
        let forms = PathForms::new(path).others.into_iter();
        forms.filter(|(_, has_slashes)| *has_slashes == with_slashes).map(|(form, _)| form).collect()
    }

    fn read(path: &str) -> Vec<String> {
        forms(path, false)
    }

    #[test]
    fn plain_path_has_one_form_without_a_copy() {
        for path in ["/", "/a", "/a/b", "/a.b/..c/.d/e..", "/a/größe", "/~a;b=c,d:e@f!$&'()*+"] {
            assert_eq!(read(path), [""; 0], "{path}");
        }
    }

    #[test]
    fn one_form_keeps_all_slashes() {
        let kept = |path| forms(path, true);
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
    fn forms_follow_dots_or_keep_them() {
        assert_eq!(read("/a/./b"), ["/a/b", "/a/./b"]);
        assert_eq!(read("/a/../b"), ["/b", "/a/../b"]);
        assert_eq!(read("/../../b/c/.."), ["/b", "/../../b/c/.."]);
        assert_eq!(read("/a/%2E%2e/b"), ["/a/%2E%2e/b", "/b", "/a/../b"]);
        assert_eq!(read("/a//../b"), ["/a/b", "/b", "/a/../b"]);
        assert_eq!(read("/a/.%2e"), ["/a/.%2e", "/", "/a/.."]);
    }

    #[test]
    fn path_is_decoded_once() {
        assert_eq!(read("/%61%2fb"), ["/%61%2fb", "/a%2Fb", "/a/b"]);
        assert_eq!(read("/%2561"), ["/%2561", "/%61"]);
        assert_eq!(read("/%C3%A4%ff"), ["/%C3%A4%ff", "/ä%FF"]);
        assert_eq!(read("/a%0d%0Ab%00"), ["/a%0d%0Ab%00", "/a%0D%0Ab%00"]);
    }

    #[test]
    fn percent_sign_without_two_digits_stands_for_itself() {
        for path in ["/%", "/%a", "/a%zz", "/%+1", "/100%/b"] {
            assert_eq!(read(path), [path]);
        }
    }

    #[test]
    fn target_that_is_no_path_is_read_as_one() {
        assert_eq!(read(""), ["/"]);
        assert_eq!(read("*"), ["/*"]);
        assert_eq!(read("a"), ["/a"]);
    }
}
