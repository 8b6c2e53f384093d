//! The client's address behind proxies.
//!
//! The server knows the address of the peer, which is the last proxy if there are any. Addresses further away are known
//! only from headers, which any client can write. A [`ClientIp`] configures which proxies are trusted.

mod address;
mod forwarded;
mod networks;
mod proxies;
mod watch;

pub use self::{
    networks::NetworkError,
    proxies::{ClientIp, ForwardedHeader, ProxyError},
};
pub(crate) use self::{
    networks::{ClientAddress, Networks},
    proxies::{peer_ip, warn_of_trust},
    watch::HeaderWatch,
};
