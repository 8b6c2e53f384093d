//! Networks whose requests are denied.

use std::fmt;

use axum::http::request::Parts;

use super::client_ip::{ClientAddress, NetworkError, Networks};

/// The networks that a throttle denies, or an error in their list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Denied {
    networks: Networks,
    error: Option<NetworkError>,
}

impl Denied {
    pub(crate) fn add(&mut self, networks: impl IntoIterator<Item: fmt::Display>) {
        match Networks::parse(networks) {
            Ok(networks) => self.networks.add(&networks),
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
    }

    pub(super) fn add_all(&mut self, others: &Self) {
        self.networks.add(&others.networks);
    }

    /// # Errors
    ///
    /// Returns an error for a text that is neither an address nor a network.
    pub(crate) fn check(&self) -> Result<(), NetworkError> {
        self.error.clone().map_or(Ok(()), Err)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Returns `true` if the client is in one of the networks. An unknown address is in none.
    #[cold]
    pub(crate) fn has_client(&self, parts: &Parts, by: &ClientAddress<'_>) -> bool {
        by.of(parts).is_some_and(|address| self.networks.may_contain(address, by))
    }
}
