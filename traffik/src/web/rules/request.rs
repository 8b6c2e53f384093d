use std::cell::OnceCell;

use axum::{extract::OriginalUri, http::request::Parts};

use super::forms::Forms;

/// A request as rules see it.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) parts: &'a Parts,
    forms: OnceCell<Forms<'a>>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(parts: &'a Parts) -> Self {
        Self { parts, forms: OnceCell::new() }
    }

    /// Its path, which is read when a rule first asks for it.
    pub(super) fn path(&self) -> &Forms<'a> {
        self.forms.get_or_init(|| Forms::new(path(self.parts)))
    }
}

/// The path that the client sent: within a nested router it is not the one in the URI.
fn path(parts: &Parts) -> &str {
    let original = parts.extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri);
    original.unwrap_or(&parts.uri).path()
}
