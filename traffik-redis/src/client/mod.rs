//! Connects to the server. This module is the only one that uses the client libraries.
//!
//! Nothing here knows about limits. No other module knows how the server is reached.

mod address;
mod backoff;
#[cfg(feature = "cluster")]
mod cluster;
mod command;
mod connection;
mod connection_counts;
mod error;
mod fred_link;
mod handle;
mod outage_log;
mod reasons;
mod reply;
mod sent;
mod servers;
mod supervisor;
mod timeouts;
#[cfg(feature = "rustls")]
mod tls;
mod watchdog;

use fred::util::redis_keyslot;

pub(crate) use self::{
    error::{CallError, UnexpectedReply},
    handle::{Client, Health, Reachable},
    outage_log::OutageLog,
    reply::Reply,
    sent::Sent,
    servers::{Origin, Settings},
};

/// Returns the slot of a key in a cluster.
pub(crate) fn slot_of(key: &str) -> u16 {
    redis_keyslot(key.as_bytes())
}
