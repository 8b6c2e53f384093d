//! The RateLimit fields are lists of RFC 9651, with the uid and the numbers that were written.

#![no_main]

#[path = "../../traffik/src/fields.rs"]
mod fields;

use std::time::Duration;

use fields::{PolicyItem, Text, whole_seconds};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use sfv::{BareItem, List, ListEntry, Parser};
use traffik_core::Rate;

#[derive(Arbitrary, Debug)]
struct Input {
    limits: Vec<Item>,
}

#[derive(Arbitrary, Debug)]
struct Item {
    uid: Vec<u8>,
    limit: u64,
    period: u64,
    other: u64,
    has_window: bool,
    remaining: u64,
    more_after: Option<u64>,
}

/// The largest integer of a structured field.
const MOST: u64 = 999_999_999_999_999;

/// A uid, and the names and values of its parameters.
type Member = (String, Vec<(String, u64)>);

fn parsed(text: &[u8]) -> Vec<Member> {
    let text = String::from_utf8_lossy(text);
    let list = Parser::new(&text[..]).parse::<List>().unwrap_or_else(|error| panic!("{text}: {error}"));
    let member = |entry: &ListEntry| {
        let ListEntry::Item(item) = entry else { panic!("{text}: an inner list") };
        let BareItem::String(uid) = &item.bare_item else { panic!("{text}: not a string") };
        let parameter = |(name, value): (&sfv::Key, &BareItem)| {
            let BareItem::Integer(value) = value else { panic!("{text}: not an integer") };
            (name.to_string(), u64::try_from(i64::from(*value)).unwrap())
        };
        (uid.to_string(), item.params.iter().map(parameter).collect())
    };
    list.iter().map(member).collect()
}

fn expected(uid: &str, parameters: &[(&str, Option<u64>)]) -> Member {
    let parameters = parameters.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?.min(MOST))));
    (uid.to_owned(), parameters.collect())
}

fuzz_target!(|input: Input| {
    let (mut states, mut policies) = (Text::new(), Vec::new());
    let (mut expected_states, mut expected_policies) = (Vec::new(), Vec::new());
    for item in &input.limits {
        // The compiler refuses other uids.
        let uid: String = item.uid.iter().map(|byte| char::from(b' ' + byte % 95)).collect();
        if uid.is_empty() {
            continue;
        }
        let rate = |limit| {
            Rate::new(limit % Rate::MAX_LIMIT + 1, Duration::from_micros(item.period % 4_320_000_000_000 + 1)).unwrap()
        };
        let written = PolicyItem::new(&uid, rate(item.limit), item.has_window);
        if !states.is_empty() {
            states.extend_from_slice(b", ");
        }
        let more_after = item.more_after.map(Duration::from_micros);
        written.write_state(&mut states, item.remaining, more_after);
        expected_states.push(expected(&uid, &[("r", Some(item.remaining)), ("t", more_after.map(whole_seconds))]));
        for rate in [rate(item.limit), rate(item.other)] {
            policies.push(written.policy(rate).expect("a field value").into_owned());
            // Rounded up; left out below a second.
            let window = rate.period_micros().div_ceil(1_000_000);
            let window = Some(window).filter(|_| item.has_window && rate.period_micros() >= 1_000_000);
            expected_policies.push(expected(&uid, &[("q", Some(rate.limit())), ("w", window)]));
        }
    }
    let policies: Vec<_> = policies.iter().map(|policy| policy.as_bytes()).collect();
    assert_eq!(parsed(&states), expected_states);
    assert_eq!(parsed(&policies.join(&b", "[..])), expected_policies);
});
