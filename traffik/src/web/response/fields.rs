//! `RateLimit-Policy` and `RateLimit`: structured-field lists with an item for each limit that was met.

use std::{borrow::Cow, sync::OnceLock};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::Entry};
use traffik_core::rate::Rate;

use super::whole_seconds;
use crate::engine::Limit;

pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(super) const STATE: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub(super) const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub(super) const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// How many other rates than its own a throttle remembers what is said of.
const OTHERS: usize = 8;

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
    /// The same at other rates that requests had: of the first few, which are all where there is one for each plan.
    others: [OnceLock<(Rate, HeaderValue)>; OTHERS],
    has_window: bool,
    /// `"search";q=`: what comes before the quota.
    before_quota: String,
    /// `"search";r=`: what comes before that which remains.
    before_remaining: String,
}

impl Items {
    pub(crate) fn new(uid: &str, rate: Rate) -> Self {
        Self::with(uid, rate, true)
    }

    /// Of a limit on how many at once, which has no window.
    pub(crate) fn at_once(uid: &str, places: Rate) -> Self {
        Self::with(uid, places, false)
    }

    fn with(uid: &str, rate: Rate, has_window: bool) -> Self {
        let name = string(uid);
        let before_quota = name.clone() + ";q=";
        let policy = policy(&before_quota, rate, has_window);
        Self { policy, others: Default::default(), has_window, before_quota, before_remaining: name + ";r=" }
    }

    /// What responses say of the limit at a rate which is not its own.
    fn other_policy(&self, rate: Rate) -> Option<Cow<'_, HeaderValue>> {
        for other in &self.others {
            match other.get() {
                Some((known, policy)) if *known == rate => return Some(Cow::Borrowed(policy)),
                Some(_) => {}
                // Where another request is faster with another rate, this one is told without being remembered.
                None => {
                    let policy = policy(&self.before_quota, rate, self.has_window)?;
                    let _ = other.set((rate, policy.clone()));
                    return Some(Cow::Owned(policy));
                }
            }
        }
        policy(&self.before_quota, rate, self.has_window).map(Cow::Owned)
    }
}

fn policy(before_quota: &str, rate: Rate, has_window: bool) -> Option<HeaderValue> {
    let (mut quota, mut seconds) = (itoa::Buffer::new(), itoa::Buffer::new());
    let quota = quota.format(capped(rate.limit()));
    value(match rate.period().as_secs() {
        1.. if has_window => {
            [before_quota, quota, ";w=", seconds.format(capped(whole_seconds(rate.period())))].concat()
        }
        _ => [before_quota, quota].concat(),
    })
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
    if let [limit] = limits {
        return policy_of(limit).map(Cow::into_owned);
    }
    let policies: Vec<_> = limits.iter().filter_map(|limit| policy_of(limit)).collect();
    value(policies.iter().map(|policy| policy.as_bytes()).collect::<Vec<_>>().join(&b", "[..]))
}

/// At the rate that was asked about: that of the throttle, of the request, or the part to which a fallback holds clients.
fn policy_of<'a>(limit: &'a Limit) -> Option<Cow<'a, HeaderValue>> {
    let definition = limit.definition();
    if limit.rate() == definition.rate {
        return definition.items.policy.as_ref().map(Cow::Borrowed);
    }
    definition.items.other_policy(limit.rate())
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
    let reset = tightest
        .decided_at()
        .unwrap_or(traffik_core::clock::Timestamp::UNIX_EPOCH)
        .saturating_add(tightest.reset_after());
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
    fn other_rates_are_told_as_exactly_and_the_first_few_remembered() {
        let items = Items::new("a", "5/min".parse().unwrap());
        for _ in 0..2 {
            for limit in 1..=20_u32 {
                let rate = Rate::new(limit.into(), std::time::Duration::from_secs(1)).unwrap();
                let policy = items.other_policy(rate).unwrap();
                assert_eq!(*policy, format!(r#""a";q={limit};w=1"#).as_str());
            }
        }
        let remembered = items.others.iter().filter_map(OnceLock::get).map(|(rate, _)| rate.limit());
        assert!(remembered.eq(1..=8));
    }

    #[test]
    fn a_window_below_a_second_is_left_out_and_others_are_rounded_up() {
        let policy = |rate: &str| Items::new("a", rate.parse().unwrap()).policy.unwrap();
        assert_eq!(policy("5/min"), r#""a";q=5;w=60"#);
        assert_eq!(policy("5/1500ms"), r#""a";q=5;w=2"#);
        assert_eq!(policy("5/500ms"), r#""a";q=5"#);
    }
}
