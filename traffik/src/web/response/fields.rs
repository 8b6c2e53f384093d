//! `RateLimit-Policy` and `RateLimit`: structured-field lists with an item for each limit that was met.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::Entry};

use super::whole_seconds;
use crate::{limits::Limit, rate::Rate};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The largest integer of a structured field: 15 digits.
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// Adds the fields for `limits`, and leaves alone what is there already.
pub(in crate::web) fn add_fields(headers: &mut HeaderMap, limits: &[&Limit], x_ratelimit: bool) {
    if limits.is_empty() {
        return;
    }
    add(headers, POLICY, || policies(limits));
    add(headers, STATE, || states(limits));
    if x_ratelimit {
        add_x_ratelimit(headers, limits);
    }
}

/// What the items of a throttle say in every response, which it has ready.
#[derive(Debug)]
pub(crate) struct Items {
    /// `"search";q=5;w=60`: the quota, and the window in whole seconds. One that is no whole number of them is rounded up,
    /// and one below a second is left out.
    policy: Option<HeaderValue>,
    /// `"search";r=`: what comes before that which remains.
    before_remaining: String,
}

impl Items {
    pub(crate) fn new(uid: &str, rate: Rate) -> Self {
        Self::within(uid, rate, rate.period())
    }

    /// Of a limit on how many at once, which has no window.
    pub(crate) fn at_once(uid: &str, places: Rate) -> Self {
        Self::within(uid, places, Duration::ZERO)
    }

    fn within(uid: &str, rate: Rate, window: Duration) -> Self {
        let (name, quota) = (string(uid), capped(rate.limit()));
        let policy = match window.as_secs() {
            0 => format!("{name};q={quota}"),
            _ => format!("{name};q={quota};w={}", capped(whole_seconds(window))),
        };
        Self { policy: value(policy), before_remaining: name + ";r=" }
    }
}

/// A structured-field string: in quotes, with quotes and backslashes escaped.
fn string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

fn capped(integer: u64) -> u64 {
    integer.min(MAX_INTEGER)
}

/// A uid is printable ASCII, and so is the rest: it is always one.
fn value(line: impl Into<Vec<u8>>) -> Option<HeaderValue> {
    HeaderValue::try_from(line.into()).ok()
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: impl FnOnce() -> Option<HeaderValue>) {
    if let Entry::Vacant(vacant) = headers.entry(name) {
        if let Some(value) = value() {
            vacant.insert(value);
        }
    }
}

fn policies(limits: &[&Limit]) -> Option<HeaderValue> {
    if limits.iter().any(|limit| limit.rate() != limit.definition().rate) {
        return policies_of_parts(limits);
    }
    let mut policies = limits.iter().filter_map(|limit| limit.definition().items.policy.as_ref());
    match limits {
        [_] => policies.next().cloned(),
        _ => value(policies.map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..])),
    }
}

/// Where a fallback holds clients to a part of a rate, which nobody has ready.
#[cold]
fn policies_of_parts(limits: &[&Limit]) -> Option<HeaderValue> {
    let policies: Vec<_> = limits.iter().filter_map(|limit| items_of_part(limit).policy).collect();
    value(policies.iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b", "[..]))
}

fn items_of_part(limit: &Limit) -> Items {
    let of = if limit.definition().is_held { Items::at_once } else { Items::new };
    of(limit.uid(), limit.rate())
}

fn states(limits: &[&Limit]) -> Option<HeaderValue> {
    match limits {
        [limit] => value(state(limit)),
        _ => value(limits.iter().map(|limit| state(limit)).collect::<Vec<_>>().join(", ")),
    }
}

/// `"search";r=4;t=12`: what remains, and in how many seconds there is more. The time is left out where nothing is used, and
/// where nobody knows it: a place is free when somebody leaves.
fn state(limit: &Limit) -> String {
    let Items { before_remaining, .. } = &limit.definition().items;
    let (mut remaining, mut seconds) = (itoa::Buffer::new(), itoa::Buffer::new());
    let remaining = remaining.format(capped(limit.remaining()));
    match limit.more_after().filter(|_| !limit.definition().is_held) {
        Some(more_after) => {
            [before_remaining, remaining, ";t=", seconds.format(capped(whole_seconds(more_after)))].concat()
        }
        None => [before_remaining, remaining].concat(),
    }
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
    if tightest.definition().is_held {
        return;
    }
    add(headers, X_RESET, || Some(reset.as_micros().div_ceil(1_000_000).into()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_escaped() {
        for (text, escaped) in [("a:b", r#""a:b""#), (r#"a"b\c"#, r#""a\"b\\c""#), (r"\", r#""\\""#), ("", "\"\"")] {
            assert_eq!(string(text), escaped);
        }
    }

    #[test]
    fn integers_are_capped_at_fifteen_digits() {
        assert_eq!(capped(u64::MAX).to_string(), "999999999999999");
    }

    #[test]
    fn a_window_below_a_second_is_left_out_and_others_are_rounded_up() {
        let policy = |rate: &str| Items::new("a", rate.parse().unwrap()).policy.unwrap();
        assert_eq!(policy("5/min"), r#""a";q=5;w=60"#);
        assert_eq!(policy("5/1500ms"), r#""a";q=5;w=2"#);
        assert_eq!(policy("5/500ms"), r#""a";q=5"#);
    }
}
