//! A path with wildcards: `*` within a segment, `**` for any number of segments.
//!
//! Once a later wildcard of its kind is reached an earlier one stays as it is, so what it takes to match grows with the
//! length of the path times that of the pattern at most, whatever they are.

use super::forms::{decoded, is_dots};

/// A pattern of segments.
#[derive(Clone, Debug)]
pub(super) struct Glob {
    segments: Vec<Segment>,
    /// Whether it ends with a slash, which only counts where a path is taken as it came.
    is_folder: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `**`.
    AnyNumber,
    /// `*`.
    Any,
    /// A name, with what is between its wildcards. It is known decoded, and as it is sent if that differs.
    One { decoded: Pieces, sent: Option<Pieces> },
}

/// What has to occur in this order, the first at the start and the last at the end, with anything in between.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pieces {
    first: String,
    /// Nothing, where there is no wildcard.
    rest: Option<(Vec<String>, String)>,
}

impl Glob {
    /// Reads a pattern. An error says what is wrong with it, and what to write instead.
    pub(super) fn new(pattern: &str) -> Result<Self, &'static str> {
        let (names, is_folder) = names(pattern)?;
        let segment = |name: &str| match name {
            "**" => Ok(Segment::AnyNumber),
            "*" => Ok(Segment::Any),
            _ if name.contains("**") => Err("`**` stands for whole segments: write `/**/`, or `*` within a segment"),
            _ => Ok(Segment::new(name.split('*'))),
        };
        Ok(Self { segments: names.map(segment).collect::<Result<_, _>>()?, is_folder })
    }

    /// Everything below `prefix`, and itself.
    pub(super) fn below(prefix: &str) -> Result<Self, &'static str> {
        if prefix.contains('*') {
            return Err("a prefix has no wildcards: write it as a `path`, with `/**` at its end");
        }
        let (names, _) = names(prefix)?;
        let names = names.map(|name| Segment::new(std::iter::once(name)));
        Ok(Self { segments: names.chain([Segment::AnyNumber]).collect(), is_folder: false })
    }

    /// Whether a path matches, with all its slashes.
    pub(super) fn matches_exactly(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let path = if self.is_folder { path.strip_suffix('/') } else { Some(path) };
        path.is_some_and(|path| matches(&self.segments, Segments::all(path)))
    }

    /// Whether a path matches, whatever its slashes.
    pub(super) fn matches(&self, path: &str) -> bool {
        matches(&self.segments, Segments::named(path))
    }

    /// Whether no path can match both.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        !meets(&self.segments, &other.segments)
    }
}

/// The segments of a pattern, and whether a slash follows them.
fn names(pattern: &str) -> Result<(impl Iterator<Item = &str>, bool), &'static str> {
    let Some(path) = pattern.strip_prefix('/') else { return Err("a path begins with `/`") };
    let (path, is_folder) = path.strip_suffix('/').map_or((path, false), |path| (path, true));
    let names = path.split('/').take(if path.is_empty() { 0 } else { usize::MAX });
    if pattern.contains(['?', '#']) {
        Err("it is compared with a path, which has no `?` and no `#`; a query is seen by `when`")
    } else if pattern.contains(['{', '}']) || names.clone().any(|name| name.starts_with(':')) {
        Err("it has no parameters: write `*` for one segment, and `**` for any number of them")
    } else if names.clone().any(str::is_empty) || pattern == "//" {
        Err("two slashes follow each other, which are taken for one in the paths that it is compared with")
    } else if names.clone().any(is_dots) {
        Err("`.` and `..` are followed in the paths that it is compared with: write where they lead")
    } else {
        Ok((names, is_folder))
    }
}

impl Segment {
    fn new<'a>(pieces: impl Iterator<Item = &'a str> + Clone) -> Self {
        let (decoded, sent) = (Pieces::new(pieces.clone().map(decoded)), Pieces::new(pieces.map(sent)));
        Self::One { sent: (sent != decoded).then_some(sent), decoded }
    }

    fn matches(&self, segment: &str) -> bool {
        match self {
            Self::AnyNumber => true,
            Self::Any => !segment.is_empty(),
            Self::One { decoded, sent } => {
                decoded.matches(segment) || sent.as_ref().is_some_and(|sent| sent.matches(segment))
            }
        }
    }
}

/// A piece of a path as it is sent by those who send only what a path may hold.
fn sent(piece: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const NOT_IN_PATHS: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'^').add(b'`');
    utf8_percent_encode(piece, NOT_IN_PATHS).to_string()
}

impl Pieces {
    fn new(mut pieces: impl Iterator<Item = String>) -> Self {
        let first = pieces.next().unwrap_or_default();
        let mut rest: Vec<_> = pieces.collect();
        let last = rest.pop();
        Self { first, rest: last.map(|last| (rest, last)) }
    }

    /// Whether it matches a segment. A segment that is empty has no name, and matches no wildcard.
    fn matches(&self, segment: &str) -> bool {
        let Some((between, last)) = &self.rest else { return segment == self.first };
        let inner = segment.strip_prefix(self.first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()));
        let Some(mut rest) = inner else { return false };
        let all_occur = between.iter().all(|piece| match rest.split_once(piece.as_str()) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        });
        all_occur && !segment.is_empty()
    }

    /// Whether a name may match both. With a wildcard in each, only their ends tell.
    fn meets(&self, other: &Self) -> bool {
        match (&self.rest, &other.rest) {
            (None, _) => other.matches(&self.first),
            (_, None) => self.matches(&other.first),
            (Some((_, last)), Some((_, other_last))) => {
                let (first, other_first) = (self.first.as_str(), other.first.as_str());
                let starts = first.starts_with(other_first) || other_first.starts_with(first);
                starts && (last.ends_with(other_last.as_str()) || other_last.ends_with(last.as_str()))
            }
        }
    }
}

/// The segments of a path.
#[derive(Clone)]
struct Segments<'p> {
    rest: Option<&'p str>,
    /// Whether only those are told that have a name.
    named: bool,
}

impl<'p> Segments<'p> {
    /// All between the slashes of a path whose first slash was taken away.
    fn all(path: &'p str) -> Self {
        Self { rest: (!path.is_empty()).then_some(path), named: false }
    }

    /// Those that have a name.
    fn named(path: &'p str) -> Self {
        Self { rest: Some(path), named: true }
    }
}

impl<'p> Iterator for Segments<'p> {
    type Item = &'p str;

    fn next(&mut self) -> Option<&'p str> {
        loop {
            let rest = self.rest?;
            // Segments are short: nothing is gained by looking for a slash in many bytes at once.
            let end = rest.bytes().position(|byte| byte == b'/');
            let segment = rest.get(..end.unwrap_or(rest.len()))?;
            self.rest = end.and_then(|end| rest.get(end + 1..));
            if !(self.named && segment.is_empty()) {
                return Some(segment);
            }
        }
    }
}

fn matches(mut pattern: &[Segment], mut path: Segments<'_>) -> bool {
    // Where to go on if what is tried fails: the latest `**` takes one segment more.
    let mut retry = None;
    loop {
        while let [Segment::AnyNumber, tail @ ..] = pattern {
            if tail.is_empty() {
                return true;
            }
            pattern = tail;
            retry = Some((tail, path.clone()));
        }
        match (pattern, path.next()) {
            ([], None) => return true,
            ([first, tail @ ..], Some(segment)) if first.matches(segment) => {
                pattern = tail;
                continue;
            }
            _ => {}
        }
        let Some((tail, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        pattern = tail;
        path = from.clone();
    }
}

/// Whether a path may match both. Patterns are short, and are compared when they are defined.
fn meets(one: &[Segment], other: &[Segment]) -> bool {
    // What remains of `one` meets what remains of `other`: for each rest of `other`, from none to all.
    let mut row: Vec<bool> = Vec::new();
    for head in std::iter::once(None).chain(one.iter().rev().map(Some)) {
        let mut next: Vec<bool> = Vec::with_capacity(other.len() + 1);
        for other_head in std::iter::once(None).chain(other.iter().rev().map(Some)) {
            let there = |row: &[bool], back: usize| {
                let at = next.len().checked_sub(back).and_then(|at| row.get(at));
                at.copied().unwrap_or_default()
            };
            let (below, before, before_below) = (there(&row, 0), there(&next, 1), there(&row, 1));
            next.push(match (head, other_head) {
                (None, None) => true,
                (Some(Segment::AnyNumber), None) => below,
                (None, Some(Segment::AnyNumber)) => before,
                (Some(Segment::AnyNumber), _) | (_, Some(Segment::AnyNumber)) => below || before,
                (Some(Segment::Any), Some(_)) | (Some(_), Some(Segment::Any)) => before_below,
                (Some(Segment::One { decoded, .. }), Some(Segment::One { decoded: other, .. })) => {
                    before_below && decoded.meets(other)
                }
                (Some(_), None) | (None, Some(_)) => false,
            });
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(pattern: &str) -> Glob {
        Glob::new(pattern).unwrap()
    }

    #[test]
    fn a_path_without_wildcards_matches_itself() {
        assert!(glob("/a/b").matches("/a/b"));
        for other in ["/a", "/a/b/c", "/a/B", "/", "/a/bc", "/xa/b"] {
            assert!(!glob("/a/b").matches(other), "{other}");
        }
        assert!(glob("/").matches("/") && !glob("/").matches("/a"));
    }

    #[test]
    fn one_asterisk_is_within_a_segment() {
        let all = ["/a", "/a/b", "/a/b/c", "/a/bc"].map(|path| glob("/a/*").matches(path));
        assert_eq!(all, [false, true, false, true]);
        let all = ["/v1.json", "/v.json", "/v1.jsonp", "/v1/x.json", "/w.json"].map(|p| glob("/v*.json").matches(p));
        assert_eq!(all, [true, true, false, false, false]);
        let all = ["/abc", "/a1b2c", "/acb", "/ab", "/abbc"].map(|path| glob("/a*b*c").matches(path));
        assert_eq!(all, [true, true, false, false, true]);
        assert!(!glob("/aa*aa").matches("/aaa"));
    }

    #[test]
    fn two_asterisks_are_any_number_of_segments() {
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
    fn a_prefix_ends_where_a_segment_does() {
        let prefix = Glob::below("/api/").unwrap();
        assert!(prefix.matches("/api") && prefix.matches("/api/x/y") && !prefix.matches("/apis"));
        assert!(Glob::below("/").unwrap().matches("/x"));
    }

    #[test]
    fn exactly_is_with_all_slashes() {
        let all = ["/a", "/a/", "//a", "a", "/a//"].map(|path| glob("/a").matches_exactly(path));
        assert_eq!(all, [true, false, false, false, false]);
        let all = ["/a", "/a/", "/a//"].map(|path| glob("/a/").matches_exactly(path));
        assert_eq!(all, [false, true, false]);
        assert!(glob("/").matches_exactly("/") && !glob("/").matches_exactly("//"));
        assert!(!glob("/*").matches_exactly("/"));
    }

    #[test]
    fn names_are_compared_decoded_and_as_they_are_sent() {
        for pattern in ["/größe und so", "/gr%C3%B6%c3%9fe%20und%20so"] {
            assert!(glob(pattern).matches("/größe und so"), "{pattern}");
        }
        assert!(glob("/größe und so").matches_exactly("/gr%C3%B6%C3%9Fe%20und%20so"));
        assert!(glob("/a%2fb").matches("/a%2Fb") && !glob("/a%2fb").matches("/a/b"));
    }

    #[test]
    fn what_is_wrong_with_a_pattern_is_said() {
        for (pattern, says) in [
            ("", "begins with `/`"),
            ("api", "begins with `/`"),
            ("/a?b", "no `?`"),
            ("/users/{id}", "write `*`"),
            ("/users/:id", "write `*`"),
            ("/a**", "whole segments"),
            ("/a//b", "two slashes"),
            ("//", "two slashes"),
            ("/a/../b", "where they lead"),
            ("/a/%2e/b", "where they lead"),
        ] {
            let error = Glob::new(pattern).unwrap_err();
            assert!(error.contains(says), "{pattern}: {error}");
        }
        assert!(Glob::below("/a/*").is_err());
    }

    #[test]
    fn whether_two_patterns_exclude_each_other() {
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
