//! What a message is charged to: the limits of its client, those of its connection, or both.

mod both;
mod connection;
mod cost;

use std::sync::Arc;

pub(super) use self::cost::Cost;
use self::{both::Both, connection::Connection};
use crate::{
    engine::{Error, KeptCheck, Limits, Traffik, decide, resolve},
    one_or_more::OneOrMore,
};

/// The limits of one client's messages.
#[derive(Debug)]
pub(super) struct Charge {
    traffik: Traffik,
    scope: Scope,
}

#[derive(Debug)]
enum Scope {
    /// All connections of a client share what the backend keeps.
    Client(OneOrMore<KeptCheck>),
    /// Each connection has its own, kept here.
    Connection(Connection),
    Both(Arc<Both>),
}

impl Charge {
    pub(super) fn by_client(traffik: Traffik, parties: OneOrMore<KeptCheck>) -> Self {
        Self { traffik, scope: Scope::Client(parties) }
    }

    /// The same limits, for this connection alone.
    pub(super) fn by_connection(&self) -> Self {
        let connection = Connection::new(self.parties().clone());
        Self { traffik: self.traffik.clone(), scope: Scope::Connection(connection) }
    }

    /// These limits, and those of `other` for this connection alone.
    pub(super) fn and_by_connection(&self, other: &Self) -> Self {
        let both = |client: &OneOrMore<KeptCheck>, connection| {
            let (traffik, client) = (self.traffik.clone(), client.clone());
            Scope::Both(Arc::new(Both { traffik, client, connection }))
        };
        let scope = match &self.scope {
            Scope::Client(parties) => both(parties, Connection::new(other.parties().clone())),
            Scope::Connection(own) => Scope::Connection(own.and(other.parties())),
            Scope::Both(two) => both(&two.client, two.connection.and(other.parties())),
        };
        Self { traffik: self.traffik.clone(), scope }
    }

    /// What was named in the handshake.
    fn parties(&self) -> &OneOrMore<KeptCheck> {
        match &self.scope {
            Scope::Client(parties) => parties,
            Scope::Connection(connection) => connection.parties(),
            Scope::Both(both) => &both.client,
        }
    }

    pub(super) fn traffik(&self) -> &Traffik {
        &self.traffik
    }

    pub(super) fn uids(&self) -> Vec<&'static str> {
        let own = match &self.scope {
            Scope::Both(both) => Some(both.connection.parties()),
            Scope::Client(_) | Scope::Connection(_) => None,
        };
        own.into_iter().chain([self.parties()]).flat_map(OneOrMore::iter).map(KeptCheck::uid).collect()
    }

    /// Decides about a message.
    pub(super) async fn decide(&self, cost: Option<u64>) -> Result<Limits, Error> {
        match &self.scope {
            Scope::Client(parties) => Ok(resolve!(decide(parties.map(|check| check.costing(cost))))?),
            Scope::Connection(connection) => Ok(connection.turn(cost, self.traffik.clock()).await.decide()),
            Scope::Both(both) => both.decide(cost).await,
        }
    }
}
