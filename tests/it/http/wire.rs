//! The RateLimit fields as read by a client with structured fields (RFC 9651).
#![expect(clippy::expect_used, clippy::panic, reason = "a field that cannot be read fails the test")]

use sfv::{BareItem, List, ListEntry, Parser};

/// An item of either field.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) uid: String,
    pub(super) parameters: Vec<(String, i64)>,
}

impl Item {
    pub(super) fn new<const N: usize>(uid: &str, parameters: [(&str, i64); N]) -> Self {
        let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { uid: uid.to_owned(), parameters }
    }
}

/// Parses a field whose items are strings with integer parameters.
pub(super) fn read(field: &str) -> Vec<Item> {
    let list: List = Parser::new(field).parse().unwrap_or_else(|error| panic!("{field:?}: {error}"));
    list.into_iter().map(|entry| item(entry, field)).collect()
}

fn item(entry: ListEntry, field: &str) -> Item {
    let ListEntry::Item(item) = entry else { panic!("{field:?} holds an inner list") };
    let uid = item.bare_item.as_string().unwrap_or_else(|| panic!("{field:?} holds no string")).as_str().to_owned();
    let integer = |value: &BareItem| i64::from(value.as_integer().expect("an integer"));
    let parameters = item.params.iter().map(|(name, value)| (name.to_string(), integer(value))).collect();
    Item { uid, parameters }
}

/// Checks that both fields are present or neither is, that each can be parsed, and that they name the same limits, each
/// once.
pub(super) fn check(policy: Option<&str>, state: Option<&str>) {
    let uids = |field: &str| read(field).into_iter().map(|item| item.uid).collect::<Vec<_>>();
    let (policies, states) = (policy.map(uids), state.map(uids));
    assert_eq!(policies, states, "{policy:?} and {state:?} name different limits");

    let mut once = policies.unwrap_or_default();
    let all = once.len();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), all, "{policy:?} names a limit twice");
}
