//! The text of a throttle's items in the fields `RateLimit-Policy` and `RateLimit`.

use std::{borrow::Cow, sync::OnceLock, time::Duration};

use axum::http::HeaderValue;
use smallvec::SmallVec;
use traffik_core::{
    rate::Rate,
    strategy::{AnyStrategy, Strategy},
};

/// The number of additional rates whose policy a throttle caches.
const OTHERS: usize = 8;

/// The largest integer of a structured field: 15 digits.
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// The items of a throttle that are the same in every response.
#[derive(Debug)]
pub(crate) struct PolicyItem {
    /// The policy at the throttle's rate: `"search";q=5;w=60`.
    own: OnceLock<Option<HeaderValue>>,
    /// The policies at rates of single requests. Only the first few rates are cached, which covers one rate for each
    /// plan.
    others: [OnceLock<(Rate, HeaderValue)>; OTHERS],
    rate: Rate,
    /// `"search"`.
    name: String,
}

impl PolicyItem {
    pub(crate) fn new(uid: &str, rate: Rate) -> Self {
        Self { own: OnceLock::new(), others: Default::default(), rate, name: string(uid) }
    }

    /// Returns the policy at a rate: that of the throttle, of the request, or the share of a fallback.
    pub(crate) fn policy(&self, rate: Rate, strategy: &AnyStrategy) -> Option<Cow<'_, HeaderValue>> {
        if rate == self.rate {
            return self.own.get_or_init(|| policy(&self.name, rate, strategy)).as_ref().map(Cow::Borrowed);
        }
        for other in &self.others {
            match other.get() {
                Some((known, policy)) if *known == rate => return Some(Cow::Borrowed(policy)),
                Some(_) => {}
                // Another request may set it first, to another rate. This policy is then not cached.
                None => {
                    let policy = policy(&self.name, rate, strategy)?;
                    let _ = other.set((rate, policy.clone()));
                    return Some(Cow::Owned(policy));
                }
            }
        }
        policy(&self.name, rate, strategy).map(Cow::Owned)
    }

    /// Passes the pieces of `"search";r=4;t=12` to `write`: the remaining cost, and the seconds until more remains.
    #[inline]
    pub(crate) fn state<R>(&self, remaining: u64, more_after: Option<Duration>, write: impl FnOnce(&[&str]) -> R) -> R {
        let (mut remaining_digits, mut more_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
        let remaining = remaining_digits.format(capped(remaining));
        match more_after {
            Some(more_after) => {
                let more_after = more_digits.format(capped(whole_seconds(more_after)));
                write(&[&self.name, ";r=", remaining, ";t=", more_after])
            }
            None => write(&[&self.name, ";r=", remaining]),
        }
    }
}

/// The value of a field while it is written. The items of a few limits need no allocation.
pub(crate) type Text = SmallVec<[u8; 128]>;

/// Returns the quota, which is the most that a client can have without waiting, and the window, in which all of it comes
/// back. The window is in whole seconds, rounded up, and left out below one second. A limit on concurrent requests has
/// none.
fn policy(name: &str, rate: Rate, strategy: &AnyStrategy) -> Option<HeaderValue> {
    let quota = strategy.capacity(rate);
    let mut text = format!("{name};q={}", capped(quota));
    let window = match strategy {
        AnyStrategy::Concurrency(_) => Duration::ZERO,
        _ => time_to_refill(quota, rate),
    };
    if window.as_secs() > 0 {
        text += &format!(";w={}", capped(whole_seconds(window)));
    }
    // A uid is printable ASCII, and so are the other parts.
    HeaderValue::try_from(text).ok()
}

/// Returns how long the rate takes to allow `quota`: the period, unless the quota is not the limit of the rate.
fn time_to_refill(quota: u64, rate: Rate) -> Duration {
    let micros = u128::from(quota) * u128::from(rate.period_micros());
    let micros = micros.div_ceil(u128::from(rate.limit().max(1)));
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// Returns a structured-field string: in quotes, with quotes and backslashes escaped.
fn string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

/// Caps an integer at what every client can read.
pub(crate) fn capped(integer: u64) -> u64 {
    integer.min(MAX_INTEGER)
}

/// Rounds up, because a client that comes back a moment early is refused again.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_is_escaped() {
        for (text, escaped) in [("a:b", r#""a:b""#), (r#"a"b\c"#, r#""a\"b\\c""#), (r"\", r#""\\""#), ("", "\"\"")] {
            assert_eq!(string(text), escaped);
        }
    }

    #[test]
    fn integers_have_at_most_fifteen_digits() {
        assert_eq!(capped(u64::MAX).to_string(), "999999999999999");
    }

    #[test]
    fn other_rates_are_exact_and_the_first_few_are_remembered() {
        let items = PolicyItem::new("a", "5/min".parse().unwrap());
        for _ in 0..2 {
            for limit in 1..=20_u32 {
                let rate = Rate::new(limit.into(), Duration::from_secs(1)).unwrap();
                assert_eq!(
                    *items.policy(rate, &AnyStrategy::default()).unwrap(),
                    format!(r#""a";q={limit};w=1"#).as_str()
                );
            }
        }
        let remembered = items.others.iter().filter_map(OnceLock::get).map(|(rate, _)| rate.limit());
        assert!(remembered.eq(1..=8));
    }

    #[test]
    fn window_below_a_second_is_left_out_and_others_are_rounded_up() {
        let policy = |rate: &str| policy("\"a\"", rate.parse().unwrap(), &AnyStrategy::default()).unwrap();
        assert_eq!(policy("5/min"), r#""a";q=5;w=60"#);
        assert_eq!(policy("5/1500ms"), r#""a";q=5;w=2"#);
        assert_eq!(policy("5/500ms"), r#""a";q=5"#);
    }

    #[test]
    fn seconds_are_rounded_up() {
        let seconds = |micros| whole_seconds(Duration::from_micros(micros));
        assert_eq!([0, 1, 999_999, 1_000_000, 1_000_001].map(seconds), [0, 1, 1, 1, 2]);
    }
}
