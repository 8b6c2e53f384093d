use thiserror::Error;

use crate::web::request_head::RequestHead;

/// The client is in a network that the throttle or the app [denies](crate::Settings::deny_networks).
///
/// As a response it is a 403 with problem details, or the same in another format. It names neither the network nor the address.
#[derive(Clone, Debug, Error)]
#[error("requests from this network are not allowed")]
pub struct Denied(Box<RequestHead>);

impl Denied {
    pub(in crate::web) fn new() -> Self {
        Self(Box::default())
    }

    pub(in crate::web) fn head(&self) -> &RequestHead {
        &self.0
    }

    pub(super) fn head_mut(&mut self) -> &mut RequestHead {
        &mut self.0
    }
}
