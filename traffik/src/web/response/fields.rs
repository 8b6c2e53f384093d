//! `RateLimit-Policy` and `RateLimit`: structured-field lists with an item for each limit that was met.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::Entry};
use smallvec::SmallVec;

use super::whole_seconds;
use crate::{limits::Limit, rate::Rate};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The largest integer of a structured field: 15 digits.
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// As long as the fields of most responses.
type Line = SmallVec<[u8; 128]>;

/// Adds the fields for `limits`, and leaves alone what is there already.
pub(in crate::web) fn add_fields(headers: &mut HeaderMap, limits: &[&Limit], x_ratelimit: bool) {
    if limits.is_empty() {
        return;
    }
    add(headers, POLICY, || policies(limits));
    add(headers, STATE, || value(&list(limits, write_state)));
    if x_ratelimit {
        add_x_ratelimit(headers, limits);
    }
}

/// `"search";q=5;w=60`: the quota, and the window in whole seconds. One that is no whole number of them is rounded up, and
/// one below a second is left out.
///
/// It is the same in all responses, so a throttle has it ready.
pub(crate) fn policy(uid: &str, rate: Rate) -> Option<HeaderValue> {
    let mut item = Line::new();
    write_string(&mut item, uid);
    write_integer(&mut item, ";q=", rate.limit());
    if rate.period().as_secs() > 0 {
        write_integer(&mut item, ";w=", whole_seconds(rate.period()));
    }
    value(&item)
}

fn policies(limits: &[&Limit]) -> Option<HeaderValue> {
    match limits {
        [limit] => limit.definition().policy.clone(),
        _ => value(&list(limits, |line, limit| {
            line.extend_from_slice(limit.definition().policy.as_ref().map_or(&[], HeaderValue::as_bytes));
        })),
    }
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: impl FnOnce() -> Option<HeaderValue>) {
    if let Entry::Vacant(vacant) = headers.entry(name) {
        if let Some(value) = value() {
            vacant.insert(value);
        }
    }
}

/// A uid is printable ASCII, and so is the rest: it is always one.
fn value(line: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_bytes(line).ok()
}

fn list(limits: &[&Limit], write_item: fn(&mut Line, &Limit)) -> Line {
    let mut list = Line::new();
    for limit in limits {
        if !list.is_empty() {
            list.extend_from_slice(b", ");
        }
        write_item(&mut list, limit);
    }
    list
}

/// `"search";r=4;t=12`: what remains, and in how many seconds there is more. The time is left out where nothing is used.
fn write_state(item: &mut Line, limit: &Limit) {
    write_string(item, limit.uid());
    write_integer(item, ";r=", limit.remaining());
    if let Some(more_after) = limit.more_after() {
        write_integer(item, ";t=", whole_seconds(more_after));
    }
}

/// A structured-field string: in quotes, with quotes and backslashes escaped.
fn write_string(item: &mut Line, text: &str) {
    item.push(b'"');
    for part in text.split_inclusive(['"', '\\']) {
        match part.as_bytes() {
            [before @ .., escaped @ (b'"' | b'\\')] => {
                item.extend_from_slice(before);
                item.extend_from_slice(&[b'\\', *escaped]);
            }
            plain => item.extend_from_slice(plain),
        }
    }
    item.push(b'"');
}

fn write_integer(item: &mut Line, name: &str, value: u64) {
    item.extend_from_slice(name.as_bytes());
    item.extend_from_slice(itoa::Buffer::new().format(value.min(MAX_INTEGER)).as_bytes());
}

/// The older fields, of the tightest limit alone.
fn add_x_ratelimit(headers: &mut HeaderMap, limits: &[&Limit]) {
    let mut limits = limits.iter().copied();
    let Some(first) = limits.next() else { return };
    let tightest = limits.fold(first, |tightest, limit| if limit.is_tighter_than(tightest) { limit } else { tightest });
    let reset =
        tightest.decided_at().unwrap_or(crate::clock::Timestamp::UNIX_EPOCH).saturating_add(tightest.reset_after());
    add(headers, X_LIMIT, || Some(tightest.capacity().into()));
    add(headers, X_REMAINING, || Some(tightest.remaining().into()));
    add(headers, X_RESET, || Some(reset.as_micros().div_ceil(1_000_000).into()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_escaped() {
        for (text, escaped) in [("a:b", r#""a:b""#), (r#"a"b\c"#, r#""a\"b\\c""#), (r"\", r#""\\""#), ("", "\"\"")] {
            let mut item = Line::new();
            write_string(&mut item, text);
            assert_eq!(&*item, escaped.as_bytes());
        }
    }

    #[test]
    fn integers_are_capped_at_fifteen_digits() {
        let mut item = Line::new();
        write_integer(&mut item, ";r=", u64::MAX);
        assert_eq!(&*item, b";r=999999999999999");
    }
}
