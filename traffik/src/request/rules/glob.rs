//! Patterns of paths: `*` within a segment, `**` for any number of segments.

use std::{collections::HashSet, fmt};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::forms::{decoded, is_dots};

/// The characters that clients encode in a path, in addition to those that are not ASCII.
const NOT_IN_PATHS: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'^').add(b'`');

/// A pattern.
#[derive(Clone)]
pub(super) struct Glob {
    text: String,
    segments: Vec<Token<Spellings>>,
    /// Whether it ends with a slash, which counts only for a path with all its slashes.
    is_folder: bool,
}

/// The bytes of a segment and its wildcards.
type Segment = Vec<Token<u8>>;

/// A segment decoded, and encoded as clients send it.
type Spellings = [Segment; 2];

impl Glob {
    /// Parses a pattern. The error says what is wrong, and what to write.
    pub(super) fn new(pattern: &str) -> Result<Self, &'static str> {
        let names = names(pattern)?;
        if names.iter().any(|name| *name != "**" && name.contains("**")) {
            return Err("`**` stands for whole segments: write `/**/`, or `*` within a segment");
        }
        Ok(Self::of(pattern, &names, pattern.len() > 1 && pattern.ends_with('/')))
    }

    /// Creates the pattern for `prefix` and everything below it.
    pub(super) fn below(prefix: &str) -> Result<Self, &'static str> {
        if prefix.contains('*') {
            return Err("a prefix has no wildcards: use `path` with `/**` at the end");
        }
        let mut names = names(prefix)?;
        names.push("**");
        Ok(Self::of(prefix, &names, false))
    }

    fn of(text: &str, names: &[&str], is_folder: bool) -> Self {
        let segments = names.iter().map(|name| if *name == "**" { Token::Any } else { Token::One(spellings(name)) });
        Self { text: text.to_owned(), segments: segments.collect(), is_folder }
    }

    /// Checks whether a path matches, with all its slashes.
    pub(super) fn matches_exactly(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let path = if self.is_folder { path.strip_suffix('/') } else { Some(path) };
        path.is_some_and(|path| self.matches_segments(path, path.is_empty()))
    }

    /// Checks whether a path matches, with any number of slashes.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.matches_segments(path, true)
    }

    fn matches_segments(&self, path: &str, skips_empty: bool) -> bool {
        let segments = path.as_bytes().split(|byte| *byte == b'/').filter(|name| !(skips_empty && name.is_empty()));
        let is = |spellings: &Spellings, name: &[u8]| {
            let is_spelt = |one: &Segment| matches(one, name.iter(), |byte, other| byte == other);
            !name.is_empty() && spellings.iter().any(is_spelt)
        };
        matches(&self.segments, segments, is)
    }

    /// Checks whether no path can match both.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        let same_segment = |[one, _]: &Spellings, [other, _]: &Spellings| meet(one, other, |byte, other| byte == other);
        !meet(&self.segments, &other.segments, same_segment)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// Returns the segments of a pattern.
fn names(pattern: &str) -> Result<Vec<&str>, &'static str> {
    let Some(path) = pattern.strip_prefix('/') else { return Err("a path begins with `/`") };
    let path = path.strip_suffix('/').unwrap_or(path);
    let names: Vec<_> = path.split('/').filter(|_| !path.is_empty()).collect();
    if pattern.contains(['?', '#']) {
        Err("a path contains no `?` and no `#`; use `when` to match a query")
    } else if pattern.contains(['{', '}']) || names.iter().any(|name| name.starts_with(':')) {
        Err("a pattern has no parameters: write `*` for one segment, and `**` for any number of segments")
    } else if names.contains(&"") || pattern == "//" {
        Err("doubled slashes never match, because paths are compared without them: write one slash")
    } else if names.iter().any(|name| is_dots(&decoded(name))) {
        Err("`.` and `..` never match, because paths are compared with them resolved: write the resolved path")
    } else {
        Ok(names)
    }
}

fn spellings(name: &str) -> Spellings {
    let sent = |piece: &str| utf8_percent_encode(piece, NOT_IN_PATHS).to_string();
    [segment(name, decoded), segment(name, sent)]
}

fn segment(name: &str, spelling: impl Fn(&str) -> String) -> Segment {
    let literal = |piece: &str| spelling(piece).bytes().map(Token::One).collect::<Vec<_>>();
    name.split('*').map(literal).collect::<Vec<_>>().join(&Token::Any)
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<T> {
    One(T),
    /// Any number of items.
    Any,
}

/// Checks whether all `items` match a pattern.
///
/// Only the latest wildcard is tried again, so the time grows at most with the number of items times that of tokens.
fn matches<T, I: Iterator<Item: Copy> + Clone>(
    mut pattern: &[Token<T>],
    mut items: I,
    is: impl Fn(&T, I::Item) -> bool,
) -> bool {
    let mut retry = None;
    loop {
        while let [Token::Any, tail @ ..] = pattern {
            if tail.is_empty() {
                return true;
            }
            pattern = tail;
            retry = Some((tail, items.clone()));
        }
        match (pattern, items.next()) {
            ([], None) => return true,
            ([Token::One(first), tail @ ..], Some(item)) if is(first, item) => {
                pattern = tail;
                continue;
            }
            _ => {}
        }
        let Some((tail, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        (pattern, items) = (tail, from.clone());
    }
}

/// Checks whether a sequence can match both patterns.
fn meet<T>(one: &[Token<T>], other: &[Token<T>], is_same: impl Fn(&T, &T) -> bool) -> bool {
    let (mut open, mut seen) = (vec![(one, other)], HashSet::new());
    while let Some((one, other)) = open.pop() {
        if !seen.insert((one.len(), other.len())) {
            continue;
        }
        match (one, other) {
            ([], []) => return true,
            ([Token::Any, tail @ ..], _) => {
                open.push((tail, other));
                open.extend(other.split_first().map(|(_, rest)| (one, rest)));
            }
            (_, [Token::Any, rest @ ..]) => {
                open.push((one, rest));
                open.extend(one.split_first().map(|(_, tail)| (tail, other)));
            }
            ([Token::One(first), tail @ ..], [Token::One(same), rest @ ..]) if is_same(first, same) => {
                open.push((tail, rest));
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(pattern: &str) -> Glob {
        Glob::new(pattern).unwrap()
    }

    #[test]
    fn pattern_without_wildcards_matches_itself() {
        assert!(glob("/a/b").matches("/a/b"));
        for other in ["/a", "/a/b/c", "/a/B", "/", "/a/bc", "/xa/b"] {
            assert!(!glob("/a/b").matches(other), "{other}");
        }
        assert!(glob("/").matches("/") && !glob("/").matches("/a"));
    }

    #[test]
    fn one_asterisk_matches_within_a_segment() {
        let all = ["/a", "/a/b", "/a/b/c", "/a/bc"].map(|path| glob("/a/*").matches(path));
        assert_eq!(all, [false, true, false, true]);
        let all = ["/v1.json", "/v.json", "/v1.jsonp", "/v1/x.json", "/w.json"].map(|p| glob("/v*.json").matches(p));
        assert_eq!(all, [true, true, false, false, false]);
        let all = ["/abc", "/a1b2c", "/acb", "/ab", "/abbc"].map(|path| glob("/a*b*c").matches(path));
        assert_eq!(all, [true, true, false, false, true]);
        assert!(!glob("/aa*aa").matches("/aaa"));
    }

    #[test]
    fn two_asterisks_match_any_number_of_segments() {
        let all = ["/a", "/a/b", "/a/b/c", "/ab"].map(|path| glob("/a/**").matches(path));
        assert_eq!(all, [true, true, true, false]);
        let all = ["/a/z", "/a/b/z", "/a/b/c/z", "/a/z/b", "/z"].map(|path| glob("/a/**/z").matches(path));
        assert_eq!(all, [true, true, true, false, false]);
        let all = ["/x/a/y/b/z", "/a/b", "/b/a", "/a/x/b/b"].map(|path| glob("/**/a/**/b/**").matches(path));
        assert_eq!(all, [true, true, false, true]);
        assert!(glob("/**").matches("/") && glob("/**").matches(""));
        assert!(glob("/**/**/a").matches("/a"));
    }

    #[test]
    fn prefix_ends_at_the_end_of_a_segment() {
        let prefix = Glob::below("/api/").unwrap();
        assert!(prefix.matches("/api") && prefix.matches("/api/x/y") && !prefix.matches("/apis"));
        assert!(Glob::below("/").unwrap().matches("/x"));
    }

    #[test]
    fn exact_match_counts_all_slashes() {
        let all = ["/a", "/a/", "//a", "a", "/a//"].map(|path| glob("/a").matches_exactly(path));
        assert_eq!(all, [true, false, false, false, false]);
        let all = ["/a", "/a/", "/a//"].map(|path| glob("/a/").matches_exactly(path));
        assert_eq!(all, [false, true, false]);
        assert!(glob("/").matches_exactly("/") && !glob("/").matches_exactly("//"));
        assert!(!glob("/*").matches_exactly("/"));
    }

    #[test]
    fn each_segment_matches_in_either_spelling() {
        for (pattern, path) in
            [("/größe/a b", "/größe/a%20b"), ("/a%3Ab/c%20d", "/a:b/c%20d"), ("/b%20%2e", "/b%20%2e")]
        {
            assert!(glob(pattern).matches(path), "{pattern} {path}");
        }
    }

    #[test]
    fn names_match_decoded_and_as_sent() {
        for pattern in ["/größe und so", "/gr%C3%B6%c3%9fe%20und%20so"] {
            assert!(glob(pattern).matches("/größe und so"), "{pattern}");
        }
        assert!(glob("/größe und so").matches_exactly("/gr%C3%B6%C3%9Fe%20und%20so"));
        assert!(glob("/a%2fb").matches("/a%2Fb") && !glob("/a%2fb").matches("/a/b"));
    }

    #[test]
    fn error_says_what_is_wrong_with_a_pattern() {
        for (pattern, says) in [
            ("", "begins with `/`"),
            ("api", "begins with `/`"),
            ("/a?b", "no `?`"),
            ("/users/{id}", "write `*`"),
            ("/users/:id", "write `*`"),
            ("/a**", "whole segments"),
            ("/a//b", "one slash"),
            ("//", "one slash"),
            ("/a/../b", "resolved"),
            ("/a/%2e/b", "resolved"),
        ] {
            let error = Glob::new(pattern).unwrap_err();
            assert!(error.contains(says), "{pattern}: {error}");
        }
        assert!(Glob::below("/a/*").is_err());
    }

    #[test]
    fn patterns_without_a_common_path_exclude_each_other() {
        for (one, other, exclude) in [
            ("/a", "/b", true),
            ("/a", "/a", false),
            ("/a", "/a/b", true),
            ("/a/**", "/b/**", true),
            ("/a/**", "/**/b", false),
            ("/a/**/c", "/a/*", false),
            ("/a/*/c", "/a/*", true),
            ("/**", "/", false),
            ("/*", "/", true),
            ("/v*", "/w*", true),
            ("/v*", "/*w", false),
            ("/v1", "/v*", false),
            ("/**/a", "/**/b", true),
            ("/**/**", "/a", false),
            ("/a/**/b/**", "/**/c", false),
        ] {
            assert_eq!(glob(one).excludes(&glob(other)), exclude, "{one} {other}");
            assert_eq!(glob(other).excludes(&glob(one)), exclude, "{other} {one}");
        }
    }
}
