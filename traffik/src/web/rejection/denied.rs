use thiserror::Error;

/// The client is in a network that the throttle or the app [denies](crate::Settings::deny_networks).
///
/// As a response it is a 403 with problem details. It names neither the network nor the address.
#[derive(Clone, Debug, Error)]
#[error("requests from this network are not allowed")]
pub struct Denied(());

impl Denied {
    pub(in crate::web) const fn new() -> Self {
        Self(())
    }
}
