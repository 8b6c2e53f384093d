//! Connects to the server. This module is the only one that uses the client libraries.
//!
//! Nothing here knows about limits. No other module knows how the server is reached.

mod address;
mod backoff;
mod check;
#[cfg(feature = "cluster")]
mod cluster;
mod command;
mod connect;
mod connection;
mod error;
mod fred_link;
mod handle;
mod outage_log;
mod pool;
mod reasons;
mod reply;
mod scan;
mod sent;
mod servers;
mod settings;
mod status;
mod supervisor;
mod timeouts;
#[cfg(feature = "rustls")]
mod tls;
mod watchdog;

use fred::util::redis_keyslot;

pub(crate) use self::{
    error::{CallError, UnexpectedReply},
    handle::{Client, Health},
    outage_log::OutageLog,
    reasons::of_refusal as in_plain_words,
    reply::Reply,
    sent::Sent,
    settings::{Origin, Settings},
};

/// Returns the slot of a key in a cluster.
pub(crate) fn slot_of(key: &str) -> u16 {
    redis_keyslot(key.as_bytes())
}
