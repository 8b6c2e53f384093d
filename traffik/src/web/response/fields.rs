//! `RateLimit-Policy` and `RateLimit`: structured-field lists with an item for each limit that was met.

use std::borrow::Cow;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{Entry, RETRY_AFTER},
};
use smallvec::SmallVec;
use traffik_core::decision::Amount;

use super::is_shared;
use crate::{
    engine::{Limit, Limits},
    fields::{Text, capped},
    web::context::last_of_each,
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

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

/// Adds the fields of each limit. A set of which the response has a field stays as it is.
pub(in crate::web) fn add_fields(headers: &mut HeaderMap, limits: &[&Limit], is_refusal: bool) -> AddedFields {
    let is_standard = |limit: &Limit| limit.fields().has_standard(is_refusal);
    let is_x = |limit: &Limit| limit.fields().has_x_ratelimit(is_refusal);
    // As a rule all are shown, by the standard fields alone.
    let standard = if limits.iter().all(|limit| is_standard(limit)) {
        add_standard(headers, limits)
    } else {
        let shown: SmallVec<[_; 4]> = limits.iter().copied().filter(|limit| is_standard(limit)).collect();
        add_standard(headers, &shown)
    };
    let shown = limits.iter().copied().filter(|limit| is_x(limit));
    let tightest = shown.reduce(|tightest, limit| if limit.is_tighter_than(tightest) { limit } else { tightest });
    let x_ratelimit = tightest.is_some_and(|tightest| add_x_ratelimit(headers, tightest));
    AddedFields { standard, x_ratelimit }
}

/// Returns whether they were added.
fn add_standard(headers: &mut HeaderMap, limits: &[&Limit]) -> bool {
    if limits.is_empty() {
        return false;
    }
    let Entry::Vacant(free) = headers.entry(POLICY) else { return false };
    let policies = policies(limits);
    let is_added = policies.is_some();
    if let Some(policies) = policies {
        free.insert(policies.into_owned());
    }
    match headers.entry(STATE) {
        Entry::Vacant(free) => {
            if let Some(states) = states(limits) {
                free.insert(states);
            }
            true
        }
        Entry::Occupied(_) => {
            if is_added {
                headers.remove(POLICY);
            }
            false
        }
    }
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}

fn policies<'l>(limits: &[&'l Limit]) -> Option<Cow<'l, HeaderValue>> {
    if let [limit] = limits {
        return policy(limit);
    }
    let policies: SmallVec<[_; 4]> = limits.iter().filter_map(|limit| policy(limit)).collect();
    list(policies.iter(), |policy, text| text.extend_from_slice(policy.as_bytes())).map(Cow::Owned)
}

fn policy(limit: &Limit) -> Option<Cow<'_, HeaderValue>> {
    let definition = limit.definition();
    definition.items.policy(limit.rate(), &definition.settings.strategy)
}

fn states(limits: &[&Limit]) -> Option<HeaderValue> {
    if let [limit] = limits {
        return HeaderValue::try_from(state(limit, joined)).ok();
    }
    list(limits.iter(), |limit, text| {
        state(limit, |pieces| pieces.iter().for_each(|piece| text.extend_from_slice(piece.as_bytes())));
    })
}

fn state<R>(limit: &Limit, write: impl FnOnce(&[&str]) -> R) -> R {
    let (remaining, more_after) = limit.state();
    limit.definition().items.state(remaining.units().unwrap_or(u64::MAX), more_after, write)
}

/// Joins pieces in a text of exactly their length, which becomes the value of a field without a copy.
#[inline]
fn joined(pieces: &[&str]) -> String {
    let mut text = String::with_capacity(pieces.iter().map(|piece| piece.len()).sum());
    pieces.iter().for_each(|piece| text.push_str(piece));
    text
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

/// Adds the older fields. Returns whether they were added.
fn add_x_ratelimit(headers: &mut HeaderMap, tightest: &Limit) -> bool {
    if [X_LIMIT, X_REMAINING, X_RESET].iter().any(|name| headers.contains_key(name)) {
        return false;
    }
    let integer = |amount: Amount| amount.units().map(|units| capped(units).into());
    add(headers, X_LIMIT, integer(tightest.capacity()));
    add(headers, X_REMAINING, integer(tightest.remaining()));
    if let (false, Some(backend)) = (tightest.definition().is_held, tightest.primary()) {
        let reset = backend.store.clock().wall_clock().saturating_add(tightest.reset_after());
        add(headers, X_RESET, Some(reset.as_micros().div_ceil(1_000_000).into()));
    }
    true
}

/// Sets the fields that show `limits`, in a response that passes no [`traffik.layer()`](crate::Traffik::layer): that of a tower
/// service, or of a handler with a check of its own in an app without the layer.
///
/// ```
/// use axum::{extract::Path, response::{IntoResponse, Response}};
/// use traffik::{CheckError, DefaultIdentity, Rate, Throttle, Traffik, web::set_fields};
///
/// struct Previews;
///
/// impl Throttle for Previews {
///     const UID: &'static str = "set-fields:previews";
///     const RATE: Rate = Rate::literal("100/min");
///     type Identity = DefaultIdentity;
/// }
///
/// async fn preview(traffik: &Traffik, account: u64) -> Result<Response, CheckError> {
///     let permit = traffik.limiter::<Previews>(account).check().await?;
///     let mut response = "a preview".into_response();
///     set_fields(&mut response, &permit);
///     Ok(response)
/// }
/// ```
///
/// Each throttle is named once. If `limits` has several clients of it, as those of a [`Quota`](crate::Quota), the tightest one
/// is shown.
///
/// The fields are those that the [settings](crate::Fields) of each limit say; they are fields of a refusal if `limits` do not
/// admit. They replace the RateLimit and `X-RateLimit` fields that the response has, such as those of another server. Inside of
/// `traffik.layer()`, the layer then adds none of its own. A response that a shared cache may store gets no fields, because
/// they are for one client. Other fields, such as `Retry-After`, are left as they are.
pub fn set_fields<B>(response: &mut Response<B>, limits: &Limits) {
    for name in [POLICY, STATE, X_LIMIT, X_REMAINING, X_RESET] {
        response.headers_mut().remove(name);
    }
    if !is_shared(response.status(), response.headers()) {
        let shown = last_of_each(limits.iter().filter(|limit| limit.is_shown()));
        add_fields(response.headers_mut(), &shown, !limits.is_admitted());
    }
}

/// `RateLimit-Policy`, `RateLimit` and `Retry-After`. A script from another origin can read them only if a CORS layer
/// exposes them.
///
/// Add the CORS layer outside of everything that throttles, so that a 429 has its fields too:
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_http::cors::{Any, CorsLayer};
/// use traffik::{MemoryBackend, Traffik, web::EXPOSED_HEADERS};
///
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let app: Router = Router::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(traffik.layer())
///     .layer(CorsLayer::new().allow_origin(Any).expose_headers(EXPOSED_HEADERS)); // last, so it runs first
/// # Ok::<(), traffik::ConfigError>(())
/// ```
pub const EXPOSED_HEADERS: [HeaderName; 3] = [POLICY, STATE, RETRY_AFTER];

/// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`, for apps that [send
/// them](crate::Fields::x_ratelimit).
///
/// ```
/// use tower_http::cors::{CorsLayer, ExposeHeaders};
/// use traffik::web::{EXPOSED_HEADERS, X_RATELIMIT_HEADERS};
///
/// let all = EXPOSED_HEADERS.into_iter().chain(X_RATELIMIT_HEADERS);
/// let cors = CorsLayer::new().expose_headers(ExposeHeaders::list(all));
/// ```
pub const X_RATELIMIT_HEADERS: [HeaderName; 3] = [X_LIMIT, X_REMAINING, X_RESET];
