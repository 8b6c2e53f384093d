//! Reads the slots that a server reports.

use std::ops::RangeInclusive;

use fred::types::config::Server;

use crate::client::Reply;

/// Returns the server at an address. Without a host, uses the host of the server that reported it.
pub(super) fn server(host: &str, port: u16, said_by: &Server) -> Server {
    Server::new(if host.is_empty() || host == "?" { &*said_by.host } else { host }, port)
}

/// A range of slots, and the servers that have it, the primary first.
#[derive(Debug, PartialEq)]
pub(super) struct Share {
    pub(super) slots: RangeInclusive<u16>,
    pub(super) servers: Vec<Server>,
}

/// Reads a reply to `CLUSTER SLOTS`. Returns `None` if the reply is invalid or has no slots.
pub(super) fn read(reply: Reply, said_by: &Server) -> Option<Vec<Share>> {
    let shares = reply.into_items()?.into_iter().map(|share| read_share(share, said_by)).collect::<Option<Vec<_>>>()?;
    Some(shares).filter(|shares| !shares.is_empty())
}

fn read_share(share: Reply, said_by: &Server) -> Option<Share> {
    let mut items = share.into_items()?.into_iter();
    let mut bound = || u16::try_from(items.next()?.integer()?).ok();
    let slots = bound()?..=bound()?;
    let servers = items.map(|server| read_server(server, said_by)).collect::<Option<Vec<_>>>()?;
    if servers.is_empty() { None } else { Some(Share { slots, servers }) }
}

fn read_server(server: Reply, said_by: &Server) -> Option<Server> {
    let mut items = server.into_items()?.into_iter();
    let host = items.next()?.text().unwrap_or_default();
    let port = u16::try_from(items.next()?.integer()?).ok()?;
    Some(self::server(&host, port, said_by))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, port: u16) -> Server {
        Server::new(host, port)
    }

    fn server(host: Reply, port: i64) -> Reply {
        Reply::Items(vec![host, Reply::Integer(port), Reply::Bytes("id".into()), Reply::Items(vec![])])
    }

    #[test]
    fn what_a_server_tells_is_read() {
        let told = Reply::Items(vec![Reply::Items(vec![
            Reply::Integer(0),
            Reply::Integer(5460),
            server(Reply::Bytes("10.0.0.1".into()), 7000),
            // One server without an address for itself, and one whose address the server does not know.
            server(Reply::Nothing, 7001),
            server(Reply::Bytes("".into()), 7002),
        ])]);
        let asked = place("seed", 6379);
        let servers = vec![place("10.0.0.1", 7000), place("seed", 7001), place("seed", 7002)];
        assert_eq!(read(told, &asked), Some(vec![Share { slots: 0..=5460, servers }]));
    }

    #[test]
    fn unreadable_reply_is_none() {
        let asked = place("seed", 6379);
        for told in [
            Reply::Nothing,
            Reply::Items(vec![]),
            Reply::Items(vec![Reply::Integer(1)]),
            Reply::Items(vec![Reply::Items(vec![Reply::Integer(0), Reply::Integer(1)])]),
            Reply::Items(vec![Reply::Items(vec![Reply::Integer(0), Reply::Integer(1 << 20)])]),
        ] {
            assert_eq!(read(told, &asked), None);
        }
    }
}
