//! The client's address behind proxies.
//!
//! The server knows the address of the peer, which is the last proxy if there are any. Addresses further away are known
//! only from headers, which any client can write. A [`ClientIp`] configures which proxies are trusted.

mod address;
mod believed;
mod forwarded;
mod header;
mod list;
mod network;
mod networks;
mod peer;
mod walk;
mod watch;

pub use self::{believed::ClientIp, header::ForwardedHeader, network::ProxyError, networks::NetworkError};
pub(crate) use self::{
    believed::warn_of_trust,
    networks::{ClientAddress, Networks},
    peer::peer_ip,
    watch::HeaderWatch,
};
