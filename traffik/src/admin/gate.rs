//! What each request passes before its handler, and each response after it.

use std::{panic::resume_unwind, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{
        HeaderValue, Method, StatusCode,
        header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::Instrument;

use super::{Admin, TARGET, endpoint::Problem};

/// The header that a change must have if the guard reads what browsers add.
const OWN_HEADER: &str = "x-traffik-admin";
const SEC_FETCH_SITE: &str = "sec-fetch-site";
const SEC_FETCH_MODE: &str = "sec-fetch-mode";
const SEC_FETCH_DEST: &str = "sec-fetch-dest";

/// The path that may not be opened from another site, because each stream takes one of a few places.
const EVENTS: &str = "/events";

pub(super) async fn gate(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let mut response = match admit(&admin, parts).await {
        Ok(parts) => run(Request::from_parts(parts, body), next).await,
        Err(response) => {
            // The response may also be a redirect to a login.
            if admin.rejections.is_due(admin.traffik.clock().now()) {
                let status = response.status().as_u16();
                tracing::warn!(target: TARGET, status, "the guard did not let a request in");
            }
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Adds the operator to the request.
async fn admit(admin: &Admin, mut parts: Parts) -> Result<Parts, Response> {
    let admitted = admin.guard.admit(&parts).await?;
    if admitted.checks_origin {
        check_origin(&parts).map_err(IntoResponse::into_response)?;
    }
    parts.extensions.insert(admitted.operator);
    Ok(parts)
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Returns whether a browser opens the answer as a page of its own, as after a login on another site. No other site can read it.
fn is_page(parts: &Parts) -> bool {
    parts.method == Method::GET
        && has_only(parts, SEC_FETCH_MODE, "navigate")
        && has_only(parts, SEC_FETCH_DEST, "document")
        && parts.uri.path() != EVENTS
}

/// Returns whether a header has this value, and no other one.
fn has_only(parts: &Parts, name: &str, value: &str) -> bool {
    let mut values = parts.headers.get_all(name).iter();
    values.next().is_some_and(|first| first == value) && values.next().is_none()
}

/// Returns an error if another site may have caused the request.
fn check_origin(parts: &Parts) -> Result<(), Problem> {
    let mut sites = parts.headers.get_all(SEC_FETCH_SITE).iter();
    if sites.any(|site| site != "same-origin" && site != "none") && !is_page(parts) {
        let detail = "the page of another site caused this request: send it from a page of the same origin, or enter the address";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let is_of_own_page = has_only(parts, SEC_FETCH_SITE, "same-origin");
    if is_safe(&parts.method) || (is_of_own_page && parts.headers.contains_key(OWN_HEADER)) {
        return Ok(());
    }
    let detail = "a request that another site may have caused makes no change: send it from a page of the same origin with the \
                  header `X-Traffik-Admin: 1`. The browser adds `Sec-Fetch-Site: same-origin`, but only over HTTPS and on \
                  localhost: use one of them. Programs use a bearer token, or a guard with `accept_any_origin`";
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

/// Runs the handler. A change is made and logged also if the client does not wait for it.
async fn run(request: Request<Body>, next: Next) -> Response {
    if is_safe(request.method()) {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request).in_current_span()).await {
        Ok(response) => response,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(error) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}
