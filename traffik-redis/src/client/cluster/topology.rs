//! Reads what a server reports about the slots: all of them, or where the slot of one command is now.

use std::ops::RangeInclusive;

use fred::types::config::Server;

use crate::client::Reply;

/// A range of slots, and the servers that have it, the primary first.
#[derive(Debug, PartialEq)]
pub(super) struct Share {
    pub(super) slots: RangeInclusive<u16>,
    pub(super) servers: Vec<Server>,
}

/// The reaction to an answer of a server that did not run the command.
#[derive(Debug, PartialEq)]
pub(super) enum Redirect {
    /// The slot has moved to this server.
    Moved(Server),
    /// The slot is moving to this server, and this key has moved already. Applies to this command only.
    Ask(Server),
    /// Some of the keys have moved and others have not, or no server has the slot at the moment.
    Later,
}

impl Share {
    /// Reads a reply to `CLUSTER SLOTS`. Returns `None` if the reply is invalid or has no slots.
    pub(super) fn read_all(reply: Reply, said_by: &Server) -> Option<Vec<Self>> {
        let shares =
            reply.into_items()?.into_iter().map(|share| Self::read(share, said_by)).collect::<Option<Vec<_>>>();
        shares.filter(|shares| !shares.is_empty())
    }

    fn read(share: Reply, said_by: &Server) -> Option<Self> {
        let mut items = share.into_items()?.into_iter();
        let mut bound = || u16::try_from(items.next()?.integer()?).ok();
        let slots = bound()?..=bound()?;
        let server = |server: Reply| {
            let mut items = server.into_items()?.into_iter();
            let host = items.next()?.text().unwrap_or_default();
            Some(place(&host, u16::try_from(items.next()?.integer()?).ok()?, said_by))
        };
        let servers = items.map(server).collect::<Option<Vec<_>>>()?;
        if servers.is_empty() { None } else { Some(Self { slots, servers }) }
    }
}

impl Redirect {
    /// Reads an error. Returns `None` for all others.
    pub(super) fn read(reason: &str, said_by: &Server) -> Option<Self> {
        let words = reason.split_ascii_whitespace();
        let server = |redirect: fn(Server) -> Self| {
            // An IPv6 address has no brackets here.
            let (host, port) = words.clone().nth(2)?.rsplit_once(':')?;
            Some(redirect(place(host, port.parse().ok()?, said_by)))
        };
        match words.clone().next()? {
            "MOVED" => server(Self::Moved),
            "ASK" => server(Self::Ask),
            "TRYAGAIN" | "CLUSTERDOWN" => Some(Self::Later),
            _ => None,
        }
    }
}

/// Returns the server at an address. Without a host, uses the host of the server that reported it.
fn place(host: &str, port: u16, said_by: &Server) -> Server {
    Server::new(if host.is_empty() || host == "?" { &*said_by.host } else { host }, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_differ_from_other_errors() {
        let here = Server::new("10.0.0.1", 7000);
        let there = |host: &str| Server::new(host, 7001);
        let read = |reason| Redirect::read(reason, &here);
        assert_eq!(read("MOVED 3999 10.0.0.2:7001"), Some(Redirect::Moved(there("10.0.0.2"))));
        assert_eq!(read("MOVED 3999 :7001"), Some(Redirect::Moved(there("10.0.0.1"))));
        assert_eq!(read("ASK 3999 ::1:7001"), Some(Redirect::Ask(there("::1"))));
        assert_eq!(read("TRYAGAIN Multiple keys request during rehashing of slot"), Some(Redirect::Later));
        assert_eq!(read("CLUSTERDOWN The cluster is down"), Some(Redirect::Later));
        for reason in ["", "MOVED", "MOVED 3999 nowhere", "ERR MOVED 1 a:1", "READONLY", "OOM command not allowed"] {
            assert_eq!(read(reason), None, "{reason}");
        }
    }

    #[test]
    fn reported_slots_are_read() {
        let server = |host, port| {
            Reply::Items(vec![host, Reply::Integer(port), Reply::Bytes("id".into()), Reply::Items(vec![])])
        };
        let reported = Reply::Items(vec![Reply::Items(vec![
            Reply::Integer(0),
            Reply::Integer(5460),
            server(Reply::Bytes("10.0.0.1".into()), 7000),
            // One server without an address for itself, and one whose address the server does not know.
            server(Reply::Nothing, 7001),
            server(Reply::Bytes("".into()), 7002),
        ])]);
        let servers = vec![Server::new("10.0.0.1", 7000), Server::new("seed", 7001), Server::new("seed", 7002)];
        let asked = Server::new("seed", 6379);
        assert_eq!(Share::read_all(reported, &asked), Some(vec![Share { slots: 0..=5460, servers }]));
    }

    #[test]
    fn unreadable_reply_is_none() {
        for reported in [
            Reply::Nothing,
            Reply::Items(vec![]),
            Reply::Items(vec![Reply::Integer(1)]),
            Reply::Items(vec![Reply::Items(vec![Reply::Integer(0), Reply::Integer(1)])]),
            Reply::Items(vec![Reply::Items(vec![Reply::Integer(0), Reply::Integer(1 << 20)])]),
        ] {
            assert_eq!(Share::read_all(reported, &Server::new("seed", 6379)), None);
        }
    }
}
