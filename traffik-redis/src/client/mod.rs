//! Connects to the server. This module is the only one that uses the client libraries.
//!
//! Nothing here knows about limits. No other module knows how the server is reached.

#![cfg_attr(
    not(all(feature = "cluster", feature = "fred-10")),
    allow(dead_code, reason = "some functions are for clusters or for clients of users only")
)]

mod address;
#[cfg(feature = "cluster")]
mod cluster;
mod command;
mod connection;
mod error;
mod fred_link;
mod handle;
mod supervisor;
mod timeouts;
#[cfg(feature = "rustls")]
mod tls;

use fred::util::redis_keyslot;

pub(crate) use self::{
    command::{Reply, Script, Sent},
    error::{CallError, UnexpectedReply, is_temporary, of_rejected_write},
    handle::{Client, Origin, Reachable, Settings},
};

/// The number of slots of a cluster.
pub(crate) const SLOTS: u16 = 1 << 14;

/// Returns the slot of a key in a cluster.
pub(crate) fn slot_of(key: &str) -> u16 {
    redis_keyslot(key.as_bytes())
}
