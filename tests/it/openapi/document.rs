//! Reads OpenAPI documents.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test without a response in its document fails"
)]

use serde_json::Value;

#[derive(Debug)]
pub(super) struct Document(pub(super) Value);

impl Document {
    /// Returns the statuses of the responses to GET.
    pub(super) fn statuses(&self, path: &str) -> Vec<&str> {
        let responses = self.0["paths"][path]["get"]["responses"].as_object().expect("responses");
        let mut statuses: Vec<_> = responses.keys().map(String::as_str).collect();
        statuses.sort_unstable();
        statuses
    }

    /// Returns a response without its schemas.
    pub(super) fn response(&self, path: &str, status: u16) -> Value {
        let mut response = self.found(path, status).clone();
        let content = response.get_mut("content").and_then(Value::as_object_mut);
        content.into_iter().flat_map(|content| content.values_mut()).for_each(|format| *format = Value::Null);
        // aide writes the default of each header's style.
        let headers = response.get_mut("headers").and_then(Value::as_object_mut);
        for header in headers.into_iter().flat_map(|headers| headers.values_mut()) {
            header.as_object_mut().expect("a header").remove("style");
        }
        response
    }

    fn found(&self, path: &str, status: u16) -> &Value {
        let responses = &self.0["paths"][path]["get"]["responses"];
        responses.get(status.to_string()).unwrap_or_else(|| panic!("{path}: no {status} in {responses}"))
    }

    /// Returns the names of a response's headers.
    pub(super) fn headers(&self, path: &str, status: u16) -> Vec<String> {
        let mut names = names(&self.found(path, status)["headers"]);
        names.sort_unstable();
        names
    }

    /// Returns the content types of a response's body.
    pub(super) fn content_types(&self, path: &str, status: u16) -> Vec<String> {
        names(&self.found(path, status)["content"])
    }

    /// Returns the schema of problem details.
    pub(super) fn schema(&self, path: &str, status: u16) -> Value {
        let schema = &self.found(path, status)["content"]["application/problem+json"]["schema"];
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').expect("a reference within the document");
                self.0.pointer(pointer).expect("a component").clone()
            }
            None => schema.clone(),
        }
    }

    /// Checks a body against its schema.
    pub(super) fn check_body(&self, path: &str, status: u16, body: &Value) {
        assert_eq!(errors(&self.schema(path, status), body), [""; 0], "{path} {status}: {body}");
    }
}

fn names(object: &Value) -> Vec<String> {
    object.as_object().into_iter().flat_map(|object| object.keys().cloned()).collect()
}

/// Returns what is wrong with an object: every property must be described, and all required ones be there.
pub(super) fn errors(schema: &Value, body: &Value) -> Vec<String> {
    assert_eq!(schema["type"], "object", "{schema}");
    let properties = schema["properties"].as_object().expect("properties");
    let body = body.as_object().expect("an object");
    let required = schema["required"].as_array().expect("required properties");
    let missing = required.iter().filter(|name| !body.contains_key(name.as_str().expect("a name")));
    let missing = missing.map(|name| format!("{name} is missing"));
    let wrong = body.iter().filter_map(|(name, value)| match properties.get(name) {
        None => Some(format!("{name} is not described")),
        Some(property) => (!fits(property, value)).then(|| format!("{name} does not fit {property}")),
    });
    missing.chain(wrong).collect()
}

fn fits(schema: &Value, value: &Value) -> bool {
    let is_listed = schema["enum"].as_array().is_none_or(|listed| listed.contains(value));
    is_listed
        && match schema["type"].as_str().expect("a type") {
            "string" => value.is_string(),
            "integer" => value.is_u64(),
            "array" => value.as_array().is_some_and(|items| items.iter().all(|item| fits(&schema["items"], item))),
            other => panic!("{other} is not checked here"),
        }
}
