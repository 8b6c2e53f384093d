//! Who the client is behind proxies.
//!
//! The server sees a connection, and so its peer: the last proxy, if there are any. What is further away it knows only from
//! headers, which anybody can write. A [`ClientIp`] says who is believed.

mod address;
mod believed;
mod forwarded;
mod header;
mod list;
mod network;
mod peer;
mod walk;
mod watch;

pub use self::{believed::ClientIp, header::ForwardedHeader, network::ProxyError};
pub(crate) use self::{believed::warn_of_trust, peer::peer_ip, watch::HeaderWatch};
