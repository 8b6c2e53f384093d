//! The responses of throttles.

use axum::http::StatusCode;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

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
    let allowed = InWords { rate: throttle.rate, is_concurrency: throttle.is_held() };
    Some(format!("{:?} allows {allowed}", throttle.uid))
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

/// Begins an item of a list in a description.
const BULLET: &str = "- ";

const RETRY_AFTER: &str = "The seconds until the same request is worth another try. Absent if no wait helps.";
const POLICY: &str = "The limits that the request met: `q` requests in `w` seconds. Absent where they are not known.";
const STATE: &str =
    "What remains of each limit: `r` requests, and more after `t` seconds. Absent where it is not known.";
const X_LIMIT: &str = "The most requests that the tightest limit allows.";
const X_REMAINING: &str = "The requests that remain of the tightest limit.";
const X_RESET: &str = "When all of the tightest limit is back, in seconds since the Unix epoch.";

/// Returns a Response Object.
fn object(description: &str, headers: &Value, schema: Option<&Value>) -> Value {
    let content =
        schema.map_or_else(|| json!({}), |schema| json!({ "application/problem+json": { "schema": schema } }));
    json!({ "description": description, "headers": headers, "content": content })
}

/// Returns the headers of a response that shows limits by these fields.
fn headers(fields: &[Fields]) -> Value {
    let integer = |minimum: u8| json!({ "type": "integer", "minimum": minimum });
    let list = || json!({ "type": "string" });
    let has_standard = fields.iter().any(|fields| fields.has_standard(true));
    let has_x_ratelimit = fields.iter().any(|fields| fields.has_x_ratelimit(true));
    let headers = [
        (true, "Retry-After", RETRY_AFTER, integer(1)),
        (has_standard, "RateLimit-Policy", POLICY, list()),
        (has_standard, "RateLimit", STATE, list()),
        (has_x_ratelimit, "X-RateLimit-Limit", X_LIMIT, integer(0)),
        (has_x_ratelimit, "X-RateLimit-Remaining", X_REMAINING, integer(0)),
        (has_x_ratelimit, "X-RateLimit-Reset", X_RESET, integer(0)),
    ];
    let sent = headers.into_iter().filter(|(is_sent, ..)| *is_sent);
    let header = |(_, name, description, schema): (_, &str, _, _)| {
        (name.to_owned(), json!({ "description": description, "schema": schema }))
    };
    Value::Object(sent.map(header).collect())
}

/// Adds an item to the list at the end of a text.
fn with_item(text: String, item: &str) -> String {
    let is_list = text.lines().last().is_some_and(|last| last.starts_with(BULLET));
    text + if is_list { "\n" } else { "\n\n" } + BULLET + item
}

/// Adds the limits, the headers and the formats of a response to another of the same status, if that is known.
pub(super) fn add_to<R>(known: &mut R, response: &Value)
where
    R: Serialize + DeserializeOwned,
{
    let Ok(Value::Object(mut into)) = serde_json::to_value(&*known) else { return };
    merge(&mut into, response);
    if let Some(merged) = read(Value::Object(into)) {
        *known = merged;
    }
}

/// Reads a Response Object. It returns `None` only for what is none.
pub(super) fn read<R: DeserializeOwned>(response: Value) -> Option<R> {
    serde_json::from_value(response).ok()
}

fn merge(into: &mut Map<String, Value>, other: &Value) {
    let Some(other) = other.as_object() else { return };
    for name in ["headers", "content"] {
        let members = into.entry(name).or_insert_with(|| json!({})).as_object_mut();
        if let (Some(members), Some(more)) = (members, other.get(name).and_then(Value::as_object)) {
            for (name, value) in more {
                members.entry(name).or_insert_with(|| value.clone());
            }
        }
    }
    let text =
        |response: &Map<_, _>| response.get("description").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (known, other) = (text(into), text(other));
    let missing = items(&other).filter(|item| items(&known).all(|known| known != *item));
    let merged = missing.fold(known.clone(), with_item);
    into.insert("description".to_owned(), merged.into());
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix(BULLET))
}
