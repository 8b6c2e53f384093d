//! Response Objects of the specification, as JSON that both crates read.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::request::Fields;

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
pub(super) fn object(description: &str, headers: &Value, schema: Option<&Value>) -> Value {
    let content =
        schema.map_or_else(|| json!({}), |schema| json!({ "application/problem+json": { "schema": schema } }));
    json!({ "description": description, "headers": headers, "content": content })
}

/// Returns the headers of a response that shows limits by these fields.
pub(super) fn headers(fields: &[Fields]) -> Value {
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
pub(super) fn with_item(text: String, item: &str) -> String {
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
