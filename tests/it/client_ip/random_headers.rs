//! Random headers: none panics, and only trusted proxies are believed.

use axum::http::HeaderMap;
use proptest::{collection::vec, prelude::*};
use traffik::{ClientIp, ForwardedHeader};

use super::{cases, conventions, headers, is_proxy, reference, resolved, texts};

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn client_of_any_header_equals_that_of_the_reference(peer in texts::address(), lines in texts::lines()) {
        for header in conventions() {
            prop_assert_eq!(resolved(&header, peer, &lines), Some(reference::resolved(&header, peer, &lines)), "{:?}", header);
        }
    }

    #[test]
    fn untrusted_peer_is_the_client(peer in texts::client(), lines in texts::lines(), proxy in texts::proxy()) {
        for header in conventions() {
            prop_assert_eq!(resolved(&header, peer, &lines), Some(peer));
            // A header that names a proxy does not help either.
            let claim = [lines.clone(), vec![proxy.to_string().into_bytes()]].concat();
            prop_assert_eq!(resolved(&header, peer, &claim), Some(peer));
        }
    }

    #[test]
    fn other_headers_than_the_configured_one_are_ignored(peer in texts::proxy(), lines in texts::lines()) {
        for named in conventions() {
            let others = conventions().into_iter().filter(|header| *header != named);
            let sent: HeaderMap = others.flat_map(|header| {
                let lines = headers(&header, &lines);
                lines.into_iter().map(move |(_, value)| (header.name().clone(), value)).collect::<Vec<_>>()
            }).collect();
            let client_ip = ClientIp::behind(super::PROXIES).unwrap().header(named);
            prop_assert_eq!(client_ip.resolve(Some(peer), &sent), Some(peer));
        }
    }

    #[test]
    fn unix_socket_peer_is_believed_only_if_configured(lines in texts::lines()) {
        for header in conventions() {
            let sent = headers(&header, &lines);
            let behind = |client_ip: ClientIp| client_ip.header(header.clone()).resolve(None, &sent);
            prop_assert_eq!(behind(ClientIp::behind(["0.0.0.0/0", "::/0"]).unwrap()), None);
            prop_assert_eq!(behind(ClientIp::behind_hops(2)), None);
            // A peer on a Unix socket is believed, as far as its header can be read.
            let found = behind(ClientIp::behind_unix_socket());
            let peer = std::net::IpAddr::from([10, 0, 0, 1]);
            let first = ClientIp::behind(["10.0.0.1"]).unwrap().max_hops(1).header(header.clone()).resolve(Some(peer), &sent);
            prop_assert_eq!(found.unwrap_or(peer), first.unwrap_or(peer));
        }
    }

    #[test]
    fn hops_are_counted_from_the_end_of_the_header(peer in texts::address(), path in vec(texts::address(), 0..6), hops in 0_u8..8) {
        let list: Vec<_> = path.iter().map(ToString::to_string).collect();
        let sent = headers(&ForwardedHeader::XForwardedFor, &[list.join(", ").into_bytes()]);
        let sent = if path.is_empty() { HeaderMap::new() } else { sent };
        // The peer, and the address that each proxy saw. The client is the address after `hops` entries, or the
        // furthest one.
        let all: Vec<_> = [peer].into_iter().chain(path.iter().rev().copied()).collect();
        let client = all.get(usize::from(hops)).or(all.last()).copied();
        prop_assert_eq!(ClientIp::behind_hops(hops).resolve(Some(peer), &sent), client);
        // No more entries are believed than there are proxies.
        let both = all.iter().take(hops.into()).take_while(|hop| is_proxy(**hop)).count();
        let client = all.get(both).or(all.last()).copied();
        let client_ip = ClientIp::behind(super::PROXIES).unwrap().max_hops(hops);
        prop_assert_eq!(client_ip.resolve(Some(peer), &sent), client);
    }
}
