//! `RateLimit-Policy` and `RateLimit`: structured-field lists with an item for each limit that was met.

use std::fmt::Write;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::Entry};

use super::whole_seconds;
use crate::limits::Limit;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The largest integer of a structured field: 15 digits.
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// Adds the fields for `limits`, and leaves alone what is there already.
pub(in crate::web) fn add_fields(headers: &mut HeaderMap, limits: &[Limit], x_ratelimit: bool) {
    if limits.is_empty() {
        return;
    }
    add(headers, POLICY, || list(limits, write_policy));
    add(headers, STATE, || list(limits, write_state));
    if x_ratelimit {
        add_x_ratelimit(headers, limits);
    }
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: impl FnOnce() -> String) {
    if let Entry::Vacant(vacant) = headers.entry(name) {
        // A uid is printable ASCII, and so is the rest.
        if let Ok(value) = HeaderValue::try_from(value()) {
            vacant.insert(value);
        }
    }
}

fn list(limits: &[Limit], write_item: fn(&mut String, &Limit)) -> String {
    let mut list = String::with_capacity(limits.len() * 40);
    for limit in limits {
        if !list.is_empty() {
            list.push_str(", ");
        }
        write_string(&mut list, limit.uid());
        write_item(&mut list, limit);
    }
    list
}

/// `;q=5;w=60`: the quota, and the window in whole seconds. One that is no whole number of them is rounded up, and one
/// below a second is left out.
fn write_policy(item: &mut String, limit: &Limit) {
    write_integer(item, ";q=", limit.rate().limit());
    if limit.rate().period().as_secs() > 0 {
        write_integer(item, ";w=", whole_seconds(limit.rate().period()));
    }
}

/// `;r=4;t=12`: what remains, and in how many seconds there is more. The time is left out where nothing is used.
fn write_state(item: &mut String, limit: &Limit) {
    write_integer(item, ";r=", limit.remaining());
    if let Some(more_after) = limit.more_after() {
        write_integer(item, ";t=", whole_seconds(more_after));
    }
}

/// A structured-field string: in quotes, with quotes and backslashes escaped.
fn write_string(item: &mut String, text: &str) {
    item.push('"');
    for char in text.chars() {
        if matches!(char, '"' | '\\') {
            item.push('\\');
        }
        item.push(char);
    }
    item.push('"');
}

fn write_integer(item: &mut String, name: &str, value: u64) {
    // Writing to a string does not fail.
    let _ = write!(item, "{name}{}", value.min(MAX_INTEGER));
}

/// The older fields, of the tightest limit alone.
fn add_x_ratelimit(headers: &mut HeaderMap, limits: &[Limit]) {
    let mut limits = limits.iter();
    let Some(first) = limits.next() else { return };
    let tightest = limits.fold(first, |tightest, limit| if limit.is_tighter_than(tightest) { limit } else { tightest });
    let reset =
        tightest.decided_at().unwrap_or(crate::clock::Timestamp::UNIX_EPOCH).saturating_add(tightest.reset_after());
    add(headers, X_LIMIT, || tightest.capacity().to_string());
    add(headers, X_REMAINING, || tightest.remaining().to_string());
    add(headers, X_RESET, || reset.as_micros().div_ceil(1_000_000).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_escaped() {
        let mut item = String::new();
        write_string(&mut item, r#"a"b\c"#);
        assert_eq!(item, r#""a\"b\\c""#);
    }

    #[test]
    fn integers_are_capped_at_fifteen_digits() {
        let mut item = String::new();
        write_integer(&mut item, ";r=", u64::MAX);
        assert_eq!(item, ";r=999999999999999");
    }
}
