//! Chains of correct proxies, and a client that sends any header.

use std::net::IpAddr;

use proptest::{collection::vec, prelude::*, sample::select};
use traffik::ForwardedHeader;

use super::{
    cases, resolved,
    texts::{self, Spelling, spelt},
};

/// How a proxy appends the address that it saw.
#[derive(Clone, Debug)]
struct Habit {
    spelling: Spelling,
    /// The separator before the appended entry; a separate line if `None`.
    comma: Option<&'static str>,
    /// The other parameters of its `Forwarded` element: the client chooses the host.
    host: Option<String>,
    first: bool,
}

fn habit() -> impl Strategy<Value = Habit> {
    let comma = select(&[None, Some(","), Some(", "), Some(" ,\t")][..]);
    let host = proptest::option::of("[ -~]{0,20}|[\",;=\\\\]{0,8}|\",for=203\\.0\\.113\\.66|,for=10\\.0\\.0\\.66;x=");
    (texts::spelling(), comma, host, any::<bool>()).prop_map(|(spelling, comma, host, first)| Habit {
        spelling,
        comma,
        host,
        first,
    })
}

impl Habit {
    /// Appends an entry for `seen`, or one without an address.
    fn add(&self, lines: &mut Vec<Vec<u8>>, header: &ForwardedHeader, seen: Option<IpAddr>) {
        let node = seen.map_or_else(|| "unknown".to_owned(), |address| spelt(address, self.spelling));
        let entry = match header {
            ForwardedHeader::Forwarded => self.element(&node),
            _ => node,
        };
        match (self.comma, lines.last_mut()) {
            (Some(comma), Some(line)) => line.extend([comma, &entry].concat().into_bytes()),
            _ => lines.push(entry.into_bytes()),
        }
    }

    fn element(&self, node: &str) -> String {
        let node = if node.contains([':', '[', '%']) { format!("For=\"{node}\"") } else { format!("for={node}") };
        match &self.host {
            Some(host) => {
                let host = format!("host=\"{}\"", host.replace('\\', "\\\\").replace('"', "\\\""));
                let [first, second] = if self.first { [host, node] } else { [node, host] };
                format!("{first};{second};proto=https")
            }
            None => node,
        }
    }
}

/// Both kinds of lists.
const LISTS: [ForwardedHeader; 2] = [ForwardedHeader::Forwarded, ForwardedHeader::XForwardedFor];

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn header_sent_by_a_client_does_not_change_its_address(
        client in texts::client(),
        proxies in vec((texts::proxy(), habit()), 1..6),
        sent in texts::lines(),
    ) {
        for header in &LISTS {
            let (mut lines, mut seen) = (sent.clone(), client);
            for (proxy, habit) in &proxies {
                habit.add(&mut lines, header, Some(seen));
                seen = *proxy;
            }
            prop_assert_eq!(resolved(header, seen, &lines), Some(client), "{:?}", lines);
        }
    }

    #[test]
    fn proxy_that_hides_its_peer_is_the_client(
        proxies in vec((texts::proxy(), habit()), 1..6),
        silent in 0_usize..6,
        sent in texts::lines(),
    ) {
        for header in &LISTS {
            let silent = silent % proxies.len();
            let (mut lines, mut seen) = (sent.clone(), IpAddr::from([203, 0, 113, 1]));
            for (at, (proxy, habit)) in proxies.iter().enumerate() {
                habit.add(&mut lines, header, (at != silent).then_some(seen));
                seen = *proxy;
            }
            prop_assert_eq!(resolved(header, seen, &lines), proxies.get(silent).map(|(proxy, _)| *proxy), "{:?}", lines);
        }
    }

    #[test]
    fn edge_that_overwrites_the_header_is_believed(
        client in texts::address(),
        proxy in texts::proxy(),
        spelling in texts::spelling(),
        sent in texts::line(),
    ) {
        for header in super::conventions().into_iter().filter(|header| !LISTS.contains(header)) {
            let spelt_client = spelt(client, spelling).into_bytes();
            prop_assert_eq!(resolved(&header, proxy, std::slice::from_ref(&spelt_client)), Some(client));
            // An edge that appends to the header misuses it, and its clients share a limit.
            prop_assert_eq!(resolved(&header, proxy, &[sent.clone(), spelt_client.clone()]), Some(proxy));
            let list = [&sent[..], b",", &spelt_client].concat();
            prop_assert_eq!(resolved(&header, proxy, &[list]), Some(proxy));
        }
    }
}

#[test]
fn entries_beyond_thirty_two_are_ignored() {
    let proxy = |n: u8| IpAddr::from([10, 0, 0, n]);
    let list = |hops: u8| (0..hops).rev().map(|n| proxy(n).to_string()).collect::<Vec<_>>().join(",");
    for lines in [vec![list(32)], vec![list(200)], (0..100).rev().map(|n| proxy(n).to_string()).collect()] {
        let lines: Vec<_> = lines.into_iter().map(String::into_bytes).collect();
        assert_eq!(resolved(&ForwardedHeader::XForwardedFor, proxy(255), &lines), Some(proxy(31)));
    }
}

#[test]
fn header_of_a_megabyte_is_read_from_its_end() {
    let proxy = IpAddr::from([10, 0, 0, 1]);
    for noise in [" ", ",", "1", "\"", "\\", "\\\"", "for=\"", "10.0.0.1,", "for=10.0.0.1,"] {
        for header in LISTS {
            let begun = std::time::Instant::now();
            let noise = noise.repeat(1_000_000 / noise.len());
            let client = resolved(&header, proxy, &[noise.clone().into_bytes()]);
            assert_eq!(client, Some(proxy), "{header:?}, {}", noise.get(..10).unwrap_or_default());
            let honest = if header == ForwardedHeader::Forwarded { ",for=203.0.113.1" } else { ",203.0.113.1" };
            let client = resolved(&header, proxy, &[[noise.as_str(), honest].concat().into_bytes()]);
            assert_eq!(client, Some([203, 0, 113, 1].into()), "{header:?}");
            assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{header:?}");
        }
    }
}
