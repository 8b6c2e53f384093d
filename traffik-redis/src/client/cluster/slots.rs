//! Where the slots are, as a server tells it.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive};

use fred::{types::config::Server, util::redis_keyslot};

use crate::client::Reply;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Place {
    /// `host:port`; without a host, that of whoever says so. An IPv6 address has no brackets here.
    pub(super) fn read(text: &str, said_by: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Self::of(host, port.parse().ok()?, said_by))
    }

    fn of(host: &str, port: u16, said_by: &Self) -> Self {
        let host = if host.is_empty() || host == "?" { &said_by.host } else { host };
        Self { host: host.to_owned(), port }
    }
}

impl From<Server> for Place {
    fn from(server: Server) -> Self {
        Self { host: server.host.to_string(), port: server.port }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Some slots, and the servers that have them, the primary first.
#[derive(Debug, PartialEq)]
pub(super) struct Share {
    pub(super) slots: RangeInclusive<u16>,
    pub(super) places: Vec<Place>,
}

/// What `CLUSTER SLOTS` answers; none if that makes no sense, or there are no slots.
pub(super) fn read(reply: Reply, said_by: &Place) -> Option<Vec<Share>> {
    let shares = reply.into_items()?.into_iter().map(|share| read_share(share, said_by)).collect::<Option<Vec<_>>>()?;
    Some(shares).filter(|shares| !shares.is_empty())
}

fn read_share(share: Reply, said_by: &Place) -> Option<Share> {
    let mut items = share.into_items()?.into_iter();
    let mut bound = || u16::try_from(items.next()?.integer()?).ok();
    let slots = bound()?..=bound()?;
    let places = items.map(|server| read_server(server, said_by)).collect::<Option<Vec<_>>>()?;
    if places.is_empty() { None } else { Some(Share { slots, places }) }
}

fn read_server(server: Reply, said_by: &Place) -> Option<Place> {
    let mut items = server.into_items()?.into_iter();
    let host = items.next()?.text().unwrap_or_default();
    let port = u16::try_from(items.next()?.integer()?).ok()?;
    Some(Place::of(&host, port, said_by))
}

/// Keys, together with those that are in the same slot.
pub(super) fn by_slot(keys: &[String]) -> Vec<Vec<&String>> {
    let mut groups: BTreeMap<u16, Vec<&String>> = BTreeMap::new();
    for key in keys {
        groups.entry(redis_keyslot(key.as_bytes())).or_default().push(key);
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, port: u16) -> Place {
        Place { host: host.to_owned(), port }
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
            // One that has no address for itself, and one that the server does not know the address of.
            server(Reply::Nothing, 7001),
            server(Reply::Bytes("".into()), 7002),
        ])]);
        let asked = place("seed", 6379);
        let places = vec![place("10.0.0.1", 7000), place("seed", 7001), place("seed", 7002)];
        assert_eq!(read(told, &asked), Some(vec![Share { slots: 0..=5460, places }]));
    }

    #[test]
    fn nonsense_is_none() {
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

    #[test]
    fn keys_of_a_slot_go_together() {
        let keys = ["{a}1", "{b}1", "{a}2"].map(str::to_owned);
        let groups = by_slot(&keys);
        assert_eq!(groups.len(), 2);
        assert!(groups.contains(&vec![&keys[0], &keys[2]]));
    }
}
