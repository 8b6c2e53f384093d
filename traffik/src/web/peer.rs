//! The address that a request comes from.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::{
    extract::connect_info::{ConnectInfo, MockConnectInfo},
    http::request::Parts,
};

use super::rejection::{Misconfigured, ThrottleRejection};
use crate::client::{Client, Key};

/// The IP address of the peer that sent a request, as the server itself saw it; an IPv4 address that came mapped into
/// IPv6 is told as IPv4.
///
/// It is there when the app is served with `into_make_service_with_connect_info::<SocketAddr>()`. No header is read:
/// behind a proxy it is the proxy's.
///
/// ```
/// use axum::http::Request;
/// use traffik::{client_ip, test::RequestExt};
///
/// let (parts, ()) = Request::new(()).with_peer("[::ffff:203.0.113.7]:50000").into_parts();
/// assert_eq!(client_ip(&parts), Some("203.0.113.7".parse().unwrap()));
/// ```
#[must_use]
pub fn client_ip(parts: &Parts) -> Option<IpAddr> {
    let served = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address);
    let mocked = || parts.extensions.get::<MockConnectInfo<SocketAddr>>().map(|MockConnectInfo(address)| address);
    served.or_else(mocked).map(|address| address.ip().to_canonical())
}

/// How addresses become clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerRules {
    pub(super) ipv6_prefix: u8,
    pub(super) share_anonymous: bool,
}

impl Default for PeerRules {
    fn default() -> Self {
        Self { ipv6_prefix: 64, share_anonymous: false }
    }
}

impl PeerRules {
    pub(super) fn client(self, parts: &Parts) -> Result<Client, ThrottleRejection> {
        match client_ip(parts) {
            Some(address) => Ok(self.counted_as(address).into()),
            None if self.share_anonymous => Ok(Key::anonymous().into()),
            None => Err(Misconfigured::no_peer().into()),
        }
    }

    /// The address, or the network that it is counted by.
    fn counted_as(self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.ipv6_prefix)).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(address: &str, ipv6_prefix: u8) -> String {
        PeerRules { ipv6_prefix, ..PeerRules::default() }.counted_as(address.parse().unwrap()).to_string()
    }

    #[test]
    fn ipv6_counts_by_network_and_ipv4_whole() {
        assert_eq!(counted("2001:db8:1:2:3:4:5:6", 64), "2001:db8:1:2::");
        assert_eq!(counted("2001:db8:1:2:3:4:5:6", 56), "2001:db8:1::");
        assert_eq!(counted("2001:db8:1:2:3:4:5:6", 128), "2001:db8:1:2:3:4:5:6");
        assert_eq!(counted("2001:db8:1:2:3:4:5:6", 0), "::");
        assert_eq!(counted("203.0.113.7", 64), "203.0.113.7");
    }
}
