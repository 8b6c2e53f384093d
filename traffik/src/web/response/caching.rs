//! Whether a cache may serve a response to other clients (RFC 9111).

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, EXPIRES},
};

use crate::web::request_head::split_unquoted;

/// Sets how long nginx may store a response. It overrides the other fields.
const X_ACCEL_EXPIRES: &str = "x-accel-expires";

/// Returns whether it is a `Cache-Control` for the caches of content delivery networks alone: that of RFC 9213, that of
/// one network (`Cloudflare-CDN-Cache-Control`), or the older `Surrogate-Control`.
fn is_of_networks(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.ends_with("cdn-cache-control") || name == "surrogate-control"
}

/// Returns `true` for each field that is read here, and for few others.
fn may_be_about_caches(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.ends_with("-control") || name.ends_with("expires")
}

/// What a field permits shared caches. `Keep` takes precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    /// Shared caches may not store the response, or must revalidate it each time.
    Keep,
    /// Shared caches may store it and serve it to any client.
    Share,
}

/// Returns whether shared caches may serve the response to other clients. It must then not show the state of one
/// client.
///
/// A cache adds the fields of a 304 to its stored response. Without other directives that response is for all clients.
pub(in crate::web) fn is_shared(status: StatusCode, headers: &HeaderMap) -> bool {
    // Most responses have few fields and none of these. This is cheaper than looking up each of them.
    if !headers.keys().any(may_be_about_caches) {
        return status == StatusCode::NOT_MODIFIED;
    }
    let is_told_to_store = |(name, value): (&HeaderName, &HeaderValue)| {
        (is_of_networks(name) && says(headers, name) == Some(Says::Share))
            || (name.as_str() == X_ACCEL_EXPIRES && !is_zero(value.as_bytes().trim_ascii()))
    };
    if headers.iter().any(is_told_to_store) {
        return true;
    }
    match says(headers, &CACHE_CONTROL) {
        Some(says) => says == Says::Share,
        None => status == StatusCode::NOT_MODIFIED || headers.get(EXPIRES).is_some_and(is_date),
    }
}

/// Prevents shared caches from serving a refusal to clients that are within their limits.
pub(in crate::web) fn keep_from_sharing(headers: &mut HeaderMap) {
    if says(headers, &CACHE_CONTROL) != Some(Says::Keep) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let is_for_caches = |name: &&HeaderName| is_of_networks(name) || name.as_str() == X_ACCEL_EXPIRES;
    while let Some(name) = headers.keys().find(is_for_caches).cloned() {
        headers.remove(name);
    }
}

fn says(headers: &HeaderMap, name: &HeaderName) -> Option<Says> {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(|line| split_unquoted(line.as_bytes(), b',')).filter_map(said_by).min()
}

fn said_by(directive: &[u8]) -> Option<Says> {
    let mut parts = directive.splitn(2, |&byte| byte == b'=');
    let name = parts.next().unwrap_or_default().trim_ascii();
    let argument = parts.next().map(<[u8]>::trim_ascii);
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    match argument {
        // With an argument they concern the fields in it, and the other parts may be stored.
        None if is("no-store") || is("private") || is("no-cache") => Some(Says::Keep),
        None if is("public") => Some(Says::Share),
        Some(seconds) if (is("max-age") || is("s-maxage")) && !is_zero(seconds) => Some(Says::Share),
        // Nothing may be stored, whatever the argument is.
        Some(_) if is("no-store") => Some(Says::Keep),
        _ => None,
    }
}

/// Returns whether the text has only zeros. A text that is not a number is not zero, because caches differ.
fn is_zero(seconds: &[u8]) -> bool {
    let seconds = seconds.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(seconds);
    !seconds.is_empty() && seconds.iter().all(|&digit| digit == b'0')
}

/// Returns whether it is a date. Otherwise it is a `0` or `-1`, which expires the response immediately.
fn is_date(expires: &HeaderValue) -> bool {
    expires.as_bytes().trim_ascii().len() > 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(fields: &[(&'static str, &'static str)]) -> bool {
        let name = HeaderName::from_static;
        let fields = fields.iter().map(|(field, value)| (name(field), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        is_shared(StatusCode::OK, &headers)
    }

    #[test]
    fn response_that_caches_may_store_is_shared() {
        for value in [
            "public",
            "PUBLIC",
            "max-age=60",
            "Max-Age=60",
            "max-age = 60",
            " public ,\tmax-age=0",
            "s-maxage=1",
            "max-age=0, s-maxage=10",
            "max-age=\"60\"",
            "max-age=",
            "max-age=soon",
            "max-age=000060",
            "private=\"set-cookie\", max-age=60",
            "no-cache=\"set-cookie, x-user\", public",
            "x=\"no-store, private\", public",
            "x=\"\\\", no-store\", public",
            "immutable,,public",
            "must-revalidate, public",
        ] {
            assert!(shared(&[("cache-control", value)]), "{value}");
        }
    }

    #[test]
    fn response_that_no_cache_may_store_is_not_shared() {
        for value in [
            "",
            ",",
            "private",
            "Private",
            "no-store",
            "no-cache",
            "no-store=\"\", public",
            "private, max-age=60",
            "public, max-age=60, no-cache",
            "max-age=60,no-store",
            "max-age=0",
            "max-age=\"0\"",
            "s-maxage=0",
            "x=\"public\"",
            "x=\"a\", private, y=\"b\", public",
            "publicity",
            "max-age",
            "must-revalidate",
            "no-transform",
        ] {
            assert!(!shared(&[("cache-control", value)]), "{value}");
        }
        assert!(!shared(&[]));
    }

    #[test]
    fn several_lines_are_one() {
        assert!(shared(&[("cache-control", "must-revalidate"), ("cache-control", "max-age=60")]));
        assert!(!shared(&[("cache-control", "max-age=60"), ("cache-control", "private")]));
    }

    #[test]
    fn expires_counts_without_cache_control() {
        let expires = ("expires", "Thu, 01 Dec 2044 16:00:00 GMT");
        assert!(shared(&[expires]));
        assert!(shared(&[expires, ("cache-control", "no-transform")]));
        assert!(!shared(&[expires, ("cache-control", "private")]));
        assert!(!shared(&[("expires", "0")]) && !shared(&[("expires", "-1")]));
    }

    #[test]
    fn field_for_one_cache_shares_what_others_may_not_store() {
        assert!(shared(&[("cache-control", "private"), ("cdn-cache-control", "max-age=60")]));
        assert!(shared(&[("cache-control", "public"), ("cdn-cache-control", "no-store")]));
        assert!(!shared(&[("cdn-cache-control", "no-store")]));
        for name in ["surrogate-control", "cloudflare-cdn-cache-control"] {
            assert!(shared(&[("cache-control", "no-store"), (name, "max-age=60")]), "{name}");
            assert!(!shared(&[(name, "no-store")]), "{name}");
        }
        let of_nginx = |value| shared(&[("cache-control", "private"), ("x-accel-expires", value)]);
        assert!(of_nginx("60") && of_nginx("@1893456000") && !of_nginx("0"));
    }

    #[test]
    fn refusal_is_stored_by_no_cache() {
        let mut headers = HeaderMap::new();
        for name in ["cdn-cache-control", "surrogate-control", "cloudflare-cdn-cache-control", "x-accel-expires"] {
            headers.append(name, HeaderValue::from_static("max-age=60"));
            headers.append(name, HeaderValue::from_static("60"));
        }
        keep_from_sharing(&mut headers);
        assert_eq!(
            headers.into_iter().collect::<Vec<_>>(),
            [(Some(CACHE_CONTROL), HeaderValue::from_static("no-store"))]
        );
    }

    #[test]
    fn not_modified_may_be_shared_by_default() {
        let mut headers = HeaderMap::new();
        assert!(is_shared(StatusCode::NOT_MODIFIED, &headers));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        assert!(!is_shared(StatusCode::NOT_MODIFIED, &headers));
    }
}
