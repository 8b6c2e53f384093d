//! `RateLimit-Policy` and `RateLimit`: structured-field lists with an item for each limit that was met.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header::Entry};
use smallvec::SmallVec;
use traffik_core::{clock::Timestamp, decision::Amount};

use crate::{
    engine::Limit,
    fields::{Text, capped},
};

pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(super) const STATE: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub(super) const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub(super) const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The sets of fields that were added to a response.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::web) struct AddedFields {
    standard: bool,
    x_ratelimit: bool,
}

impl AddedFields {
    pub(super) fn remove(self, headers: &mut HeaderMap) {
        let standard = [POLICY, STATE].into_iter().filter(|_| self.standard);
        let x_ratelimit = [X_LIMIT, X_REMAINING, X_RESET].into_iter().filter(|_| self.x_ratelimit);
        standard.chain(x_ratelimit).for_each(|name| {
            headers.remove(name);
        });
    }
}

/// Adds the fields for `limits`, and the older ones if `x_ratelimit` has the time of day. A set of which the response
/// has a field stays as it is.
pub(in crate::web) fn add_fields(
    headers: &mut HeaderMap,
    limits: &[&Limit],
    x_ratelimit: Option<Timestamp>,
) -> AddedFields {
    if limits.is_empty() {
        return AddedFields::default();
    }
    let mut added = AddedFields::default();
    if !headers.contains_key(&STATE) {
        if let Entry::Vacant(free) = headers.entry(POLICY) {
            policies(limits).map(|policies| free.insert(policies));
            add(headers, STATE, states(limits));
            added.standard = true;
        }
    }
    if let Some(now) = x_ratelimit {
        if ![X_LIMIT, X_REMAINING, X_RESET].iter().any(|name| headers.contains_key(name)) {
            add_x_ratelimit(headers, limits, now);
            added.x_ratelimit = true;
        }
    }
    added
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
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
    let definition = limit.definition();
    definition.items.policy(limit.rate(), &definition.settings.strategy)
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
fn add_x_ratelimit(headers: &mut HeaderMap, limits: &[&Limit], now: Timestamp) {
    let mut limits = limits.iter().copied();
    let Some(first) = limits.next() else { return };
    let tightest = limits.fold(first, |tightest, limit| if limit.is_tighter_than(tightest) { limit } else { tightest });
    let reset = now.saturating_add(tightest.reset_after());
    let integer = |amount: Amount| amount.units().map(|units| capped(units).into());
    add(headers, X_LIMIT, integer(tightest.capacity()));
    add(headers, X_REMAINING, integer(tightest.remaining()));
    if tightest.definition().is_held {
        return;
    }
    add(headers, X_RESET, Some(reset.as_micros().div_ceil(1_000_000).into()));
}
