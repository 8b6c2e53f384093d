use std::cell::OnceCell;

use axum::{extract::OriginalUri, http::request::Parts};

use super::forms::PathForms;

/// A request as rules see it.
#[derive(Debug)]
pub(super) struct RuleInput<'a> {
    pub(super) parts: &'a Parts,
    path: OnceCell<PathForms<'a>>,
}

impl<'a> RuleInput<'a> {
    pub(super) fn new(parts: &'a Parts) -> Self {
        Self { parts, path: OnceCell::new() }
    }

    /// Returns the path that the client sent. Within a nested router it differs from that of the URI.
    pub(super) fn path(&self) -> &PathForms<'a> {
        self.path.get_or_init(|| {
            let original = self.parts.extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri);
            PathForms::new(original.unwrap_or(&self.parts.uri).path())
        })
    }
}
