//! The responses of throttles.

use axum::http::StatusCode;
use serde_json::Value;

use super::object::{headers, object, with_item};
use crate::{
    limit::{Declaration, Throttles},
    request::Fields,
    web::rejection::InWords,
};

/// The responses of an operation, as pairs of a status and a Response Object.
pub(super) type Responses = Vec<(u16, Value)>;

const LIMITED: &str = "Too many requests.";
const UNAVAILABLE: &str = "The limits of the request cannot be checked at present.";

/// Returns the responses to requests that these throttles reject. `schema` is the schema of the body.
pub(super) fn of<T: Throttles>(schema: &Value) -> Responses {
    let throttles = throttles::<T>();
    let refusing: Vec<_> = throttles.iter().filter(|throttle| !refuses_with_503(throttle)).collect();
    let all: Vec<_> = throttles.iter().collect();
    let limited = response(StatusCode::TOO_MANY_REQUESTS, LIMITED, &refusing, allowed, schema);
    let unavailable = response(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, &all, allowed_or_503, schema);
    limited.into_iter().chain(unavailable).collect()
}

/// Returns the response to requests whose limits cannot be read, the only ones that a peek rejects.
pub(super) fn of_peek<T: Throttles>(schema: &Value) -> Responses {
    let throttles = throttles::<T>();
    let all: Vec<_> = throttles.iter().collect();
    response(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, &all, allowed, schema).into_iter().collect()
}

/// Returns the responses of a rejection whose throttles are not known.
pub(super) fn of_any(schema: &Value) -> Responses {
    let limited = object(LIMITED, &headers(&[Fields::default()]), Some(schema));
    let unavailable = object(UNAVAILABLE, &headers(&[Fields::default()]), Some(schema));
    vec![(StatusCode::TOO_MANY_REQUESTS.as_u16(), limited), (StatusCode::SERVICE_UNAVAILABLE.as_u16(), unavailable)]
}

/// Returns the throttles that can reject a request, each once.
fn throttles<T: Throttles>() -> Vec<Declaration> {
    let mut throttles: Vec<Declaration> = Vec::new();
    for throttle in T::declarations() {
        let is_limited = !throttle.rate.is_unlimited() || throttle.settings.request.rate.is_some();
        if is_limited && throttles.iter().all(|earlier| earlier.uid != throttle.uid) {
            throttles.push(throttle);
        }
    }
    throttles
}

fn refuses_with_503(throttle: &Declaration) -> bool {
    throttle.settings.request.refuses_with_503
}

/// Returns `None` without throttles.
fn response(
    status: StatusCode,
    heading: &str,
    throttles: &[&Declaration],
    line: fn(&Declaration) -> Option<String>,
    schema: &Value,
) -> Option<(u16, Value)> {
    let requests = || throttles.iter().map(|throttle| &throttle.settings.request);
    let lines = throttles.iter().filter_map(|throttle| line(throttle));
    let description = lines.fold(heading.to_owned(), |text, line| with_item(text, &line));
    let shown = requests().filter(|request| !request.is_hidden);
    let fields: Vec<_> = shown.map(|request| request.fields.unwrap_or_default()).collect();
    // A throttle's own responder makes a body that is not known here.
    let schema = requests().any(|request| request.responder.is_none()).then_some(schema);
    (!throttles.is_empty()).then(|| (status.as_u16(), object(&description, &headers(&fields), schema)))
}

/// Returns what a throttle allows, or `None` if no response shows it.
fn allowed(throttle: &Declaration) -> Option<String> {
    let request = &throttle.settings.request;
    if request.is_hidden {
        return None;
    }
    if request.rate.is_some() {
        return Some(format!("{:?} allows a rate that depends on the request", throttle.uid));
    }
    Some(format!("{:?} allows {}", throttle.uid, InWords::new(throttle.rate, throttle.is_held())))
}

fn allowed_or_503(throttle: &Declaration) -> Option<String> {
    let allowed = allowed(throttle);
    if !refuses_with_503(throttle) {
        return allowed;
    }
    Some(allowed.map_or("or the service has no room for the request".to_owned(), |allowed| {
        format!("{allowed}, and refuses with this status")
    }))
}
