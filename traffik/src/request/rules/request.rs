use std::{cell::OnceCell, net::IpAddr};

use axum::{extract::OriginalUri, http::request::Parts};

use super::forms::PathForms;
use crate::request::client_ip::ClientAddress;

/// A request as rules see it.
#[derive(Debug)]
pub(super) struct RuleInput<'a> {
    pub(super) parts: &'a Parts,
    pub(super) by: ClientAddress<'a>,
    path: OnceCell<PathForms<'a>>,
    address: OnceCell<Option<IpAddr>>,
}

impl<'a> RuleInput<'a> {
    pub(super) fn new(parts: &'a Parts, by: ClientAddress<'a>) -> Self {
        Self { parts, by, path: OnceCell::new(), address: OnceCell::new() }
    }

    /// Returns the address of the client, if it is known.
    pub(super) fn address(&self) -> Option<IpAddr> {
        *self.address.get_or_init(|| self.by.of(self.parts))
    }

    /// Returns the path that the client sent. Within a nested router it differs from that of the URI.
    pub(super) fn path(&self) -> &PathForms<'a> {
        self.path.get_or_init(|| {
            let original = self.parts.extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri);
            PathForms::new(original.unwrap_or(&self.parts.uri).path())
        })
    }
}
