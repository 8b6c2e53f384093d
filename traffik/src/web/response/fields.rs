//! `RateLimit-Policy` and `RateLimit`: structured-field lists with an item for each limit that was met.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::Entry};
use smallvec::SmallVec;

use crate::{engine::Limit, fields::Text};

pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(super) const STATE: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub(super) const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub(super) const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Adds the fields for `limits`. Fields that the response already has stay.
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

fn add(headers: &mut HeaderMap, name: HeaderName, value: impl FnOnce() -> Option<HeaderValue>) {
    if let Entry::Vacant(vacant) = headers.entry(name) {
        if let Some(value) = value() {
            vacant.insert(value);
        }
    }
}

fn policies(limits: &[&Limit]) -> Option<HeaderValue> {
    if let [limit] = limits {
        return policy(limit).map(Cow::into_owned);
    }
    let policies: SmallVec<[_; 4]> = limits.iter().filter_map(|limit| policy(limit)).collect();
    list(policies.iter(), |policy, text| text.extend_from_slice(policy.as_bytes()))
}

fn policy(limit: &Limit) -> Option<Cow<'_, HeaderValue>> {
    limit.definition().items.policy(limit.rate())
}

fn states(limits: &[&Limit]) -> Option<HeaderValue> {
    list(limits.iter(), |limit, text| {
        let (remaining, more_after) = limit.state();
        limit.definition().items.write_state(text, remaining.units().unwrap_or(u64::MAX), more_after);
    })
}

/// Writes a structured-field list.
fn list<T>(items: impl Iterator<Item = T>, write: impl Fn(T, &mut Text)) -> Option<HeaderValue> {
    let mut text = Text::new();
    for item in items {
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        write(item, &mut text);
    }
    HeaderValue::from_bytes(&text).ok()
}

/// Adds the older fields, for the tightest limit alone.
fn add_x_ratelimit(headers: &mut HeaderMap, limits: &[&Limit]) {
    let mut limits = limits.iter().copied();
    let Some(first) = limits.next() else { return };
    let tightest = limits.fold(first, |tightest, limit| if limit.is_tighter_than(tightest) { limit } else { tightest });
    let reset = tightest
        .decided_at()
        .unwrap_or(traffik_core::clock::Timestamp::UNIX_EPOCH)
        .saturating_add(tightest.reset_after());
    add(headers, X_LIMIT, || tightest.capacity().units().map(Into::into));
    add(headers, X_REMAINING, || tightest.remaining().units().map(Into::into));
    if tightest.definition().is_held {
        return;
    }
    add(headers, X_RESET, || Some(reset.as_micros().div_ceil(1_000_000).into()));
}
