use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::connect_info::{ConnectInfo, MockConnectInfo},
    http::request::Parts,
};

/// Returns the address of the peer, as the server saw it.
pub(crate) fn peer_ip(parts: &Parts) -> Option<IpAddr> {
    let served = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address);
    let mocked = || parts.extensions.get::<MockConnectInfo<SocketAddr>>().map(|MockConnectInfo(address)| address);
    served.or_else(mocked).map(|address| address.ip().to_canonical())
}
