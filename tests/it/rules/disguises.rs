//! A path in an unusual spelling does not bypass a limit.

use axum::http::Uri;
use proptest::prelude::*;
use traffik::{Bypass, Rule};

use super::probe::{bypass_skips, rule_lets_apply};
use crate::patience::times;

/// The segments of a path, and how a client may spell them.
#[derive(Clone, Debug)]
struct Written {
    segments: Vec<String>,
    /// The text before each segment.
    slashes: Vec<&'static str>,
    /// Which letters are encoded without need, in turn.
    encoded: Vec<bool>,
    end: &'static str,
}

fn written() -> impl Strategy<Value = Written> {
    let segment = "[a-c.%é ~+-]{1,4}".prop_filter("a way", |segment| segment != "." && segment != "..");
    let slash = prop::sample::select(vec!["/", "//", "///", "/./", "/x/../", "/%2E/", "/x%2f..%2f", "%2F", "/y/%2e."]);
    let end = prop::sample::select(vec!["", "/", "//", "/.", "/z/..", "%2f"]);
    let parts = (prop::collection::vec((segment, slash), 1..6), prop::collection::vec(any::<bool>(), 1..8), end);
    parts.prop_map(|(both, encoded, end)| {
        let (segments, slashes): (_, Vec<_>) = both.into_iter().unzip();
        // `/y/%2e.` is followed by a slash, like any other segment.
        let slashes = slashes.into_iter().map(|slash| if slash == "/y/%2e." { "/y/%2e./" } else { slash }).collect();
        Written { segments, slashes, encoded, end }
    })
}

impl Written {
    fn plainly(&self) -> String {
        self.segments.iter().flat_map(|segment| ["/".to_owned(), encode(segment, || false)]).collect()
    }

    fn disguised(&self) -> String {
        let mut encoded = self.encoded.iter().copied().cycle();
        let segments = self.segments.iter().zip(&self.slashes);
        // A path begins with a slash.
        let path: String = segments
            .flat_map(|(segment, slash)| [(*slash).to_owned(), encode(segment, || encoded.next().unwrap_or_default())])
            .collect();
        let root = if path.starts_with('/') { "" } else { "/" };
        format!("{root}{path}{}", self.end)
    }
}

/// Encodes the required letters and the requested ones.
fn encode(segment: &str, mut asked_for: impl FnMut() -> bool) -> String {
    let mut out = String::new();
    for letter in segment.chars() {
        if letter.is_ascii_alphanumeric() | ".~+-".contains(letter) && !asked_for() {
            out.push(letter);
        } else {
            let mut bytes = [0; 4];
            out.extend(letter.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02x}")));
        }
    }
    out
}

/// Returns a pattern that matches the path. Some of its segments are wildcards.
fn pattern(path: &Written, wild: &[u8]) -> String {
    let names = path.segments.iter().zip(wild.iter().cycle());
    let names = names.map(|(segment, wild)| match wild {
        0 => "*".to_owned(),
        1 => "**".to_owned(),
        2 => format!("{}*", encode(&segment.chars().take(1).collect::<String>(), || false)),
        _ => encode(segment, || false),
    });
    names.flat_map(|name| ["/".to_owned(), name]).collect()
}

fn cases() -> u32 {
    u32::try_from(times(1000, 60000)).unwrap_or(u32::MAX)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rule_matches_any_spelling_of_its_path(path in written(), wild in prop::collection::vec(0_u8..8, 1..4)) {
        let (pattern, plain, disguised) = (pattern(&path, &wild), path.plainly(), path.disguised());
        prop_assert!(rule_lets_apply(Rule::path(&pattern), &plain), "{pattern} {plain}");
        prop_assert!(rule_lets_apply(Rule::path(&pattern), &disguised), "{pattern} {plain} {disguised}");

        let prefix = plain.rsplit_once('/').map_or("/", |(prefix, _)| if prefix.is_empty() { "/" } else { prefix });
        prop_assert!(rule_lets_apply(Rule::prefix(prefix), &disguised), "below {prefix}: {disguised}");

        // A regex is compared with the decoded path.
        let regex = format!("^/{}$", path.segments.iter().map(|name| escape(name)).collect::<Vec<_>>().join("/"));
        prop_assert!(rule_lets_apply(Rule::regex(&regex), &disguised), "{regex} {disguised}");
    }

    #[test]
    fn bypass_matches_no_spelling_of_another_path(
        path in written(), other in written(), wild in prop::collection::vec(0_u8..8, 1..4),
    ) {
        let pattern = pattern(&path, &wild);
        let (plain, disguised) = (other.plainly(), other.disguised());
        if bypass_skips(Bypass::path(&pattern), &disguised) {
            prop_assert!(bypass_skips(Bypass::path(&pattern), &plain), "{pattern} {plain} {disguised}");
        }
    }

    #[test]
    fn random_path_and_pattern_do_not_panic(text in "\\PC{0,20}", path in "/[!-~]{0,30}") {
        for rule in [Rule::path(&text), Rule::prefix(&text), Rule::regex(&text), Rule::path(&path)] {
            let _ = format!("{rule:?}");
        }
        if path.parse::<Uri>().is_ok() {
            let path_only = path.split(['?', '#']).next().unwrap_or_default();
            prop_assert!(rule_lets_apply(Rule::path("/**"), &path));
            prop_assert!(bypass_skips(Bypass::path("/**"), &path));
            prop_assert!(rule_lets_apply(Rule::prefix("/"), path_only));
        }
    }
}

/// Returns the text as a regex.
fn escape(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_ascii_punctuation() { format!("\\{letter}") } else { letter.into() })
        .collect()
}
