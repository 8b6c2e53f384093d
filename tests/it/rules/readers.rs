//! A model of the readers of a path. A rule must match a path if it matches for one reader, and a bypass may match only
//! if it matches for all.

use proptest::prelude::*;
use traffik::{Bypass, Rule};

use super::probe::{bypass_skips, rule_lets_apply};
use crate::patience::times;

/// How a reader interprets a path.
#[derive(Clone, Copy, Debug)]
struct Reader {
    decodes: Decodes,
    merges_slashes: bool,
    follows_dots: bool,
    /// Which of the two steps comes first.
    merges_first: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decodes {
    Nothing,
    /// Each segment separately.
    Segments,
    /// A decoded slash separates segments, too.
    All,
}

fn readers() -> Vec<Reader> {
    let mut readers = Vec::new();
    for decodes in [Decodes::Nothing, Decodes::Segments, Decodes::All] {
        for bits in 0..8 {
            let (merges_slashes, follows_dots, merges_first) = (bits & 1 != 0, bits & 2 != 0, bits & 4 != 0);
            readers.push(Reader { decodes, merges_slashes, follows_dots, merges_first });
        }
    }
    readers
}

impl Reader {
    fn read(self, path: &str) -> Vec<String> {
        let mut segments: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
        if self.decodes != Decodes::Nothing {
            segments.iter_mut().for_each(|segment| *segment = decode(segment));
        }
        if self.decodes == Decodes::All {
            segments = segments.iter().flat_map(|segment| segment.split('/').map(str::to_owned)).collect();
        }
        if self.merges_slashes && self.merges_first {
            segments.retain(|segment| !segment.is_empty());
        }
        if self.follows_dots {
            let mut followed = Vec::new();
            for segment in segments {
                match segment.as_str() {
                    "." => {}
                    ".." => drop(followed.pop()),
                    _ => followed.push(segment),
                }
            }
            segments = followed;
        }
        if self.merges_slashes {
            segments.retain(|segment| !segment.is_empty());
        }
        segments
    }
}

/// Decodes the few encodings used here.
fn decode(segment: &str) -> String {
    [("%61", "a"), ("%2E", "."), ("%2e", "."), ("%2F", "/"), ("%25", "%")]
        .iter()
        .fold(segment.to_owned(), |segment, (encoded, decoded)| segment.replace(encoded, decoded))
}

/// Returns whether a pattern matches, slowly and obviously.
fn matches(pattern: &[&str], path: &[String]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], path) => (0..=path.len()).any(|skip| matches(rest, path.get(skip..).unwrap_or_default())),
        (["*", rest @ ..], [segment, path @ ..]) => !segment.is_empty() && matches(rest, path),
        ([name, rest @ ..], [segment, path @ ..]) => name == segment && matches(rest, path),
        _ => false,
    }
}

fn cases() -> u32 {
    u32::try_from(times(1666, 100000)).unwrap_or(u32::MAX)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rule_matches_if_one_reader_does_and_bypass_only_if_all_do(
        pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "**"]), 1..5),
        path in prop::collection::vec(
            prop::sample::select(vec!["a", "a", "b", "b", "", ".", "..", "%61", "%2E", ".%2e", "a%2Fb", "%2F", "%2561", "a%2F.."]),
            1..6,
        ),
    ) {
        let (text, path) = (format!("/{}", pattern.join("/")), format!("/{}", path.join("/")));
        let holds = |reader: &Reader| matches(&pattern, &reader.read(&path));
        let (one, all) = (readers().iter().any(holds), readers().iter().all(holds));
        if one {
            prop_assert!(rule_lets_apply(Rule::path(&text), &path), "{text} is dodged by {path}");
        }
        if bypass_skips(Bypass::path(&text), &path) {
            prop_assert!(all, "{text} lets {path} past");
        }
    }

    #[test]
    fn rule_matches_as_all_readers_do_if_they_agree(
        pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "**"]), 1..5),
        path in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "a.b", "..."]), 0..6),
    ) {
        let (text, segments) = (format!("/{}", pattern.join("/")), path);
        let path = format!("/{}", segments.join("/"));
        let segments: Vec<_> = segments.into_iter().map(str::to_owned).collect();
        let expected = matches(&pattern, &segments);
        prop_assert_eq!(rule_lets_apply(Rule::path(&text), &path), expected);
        prop_assert_eq!(bypass_skips(Bypass::path(&text), &path), expected);
    }
}
