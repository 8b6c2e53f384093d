//! What a message is charged to: the limits of its client, those of its connection, or both.

mod connection;
mod cost;
mod party;

use self::connection::Connection;
pub(super) use self::{cost::Cost, party::Party};
use crate::{
    app::{Error, Traffik},
    limits::Limits,
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
    Client(OneOrMore<Party>),
    /// Each connection has its own, kept here.
    Connection(Connection),
    /// The connection is asked first, and charged only if the backend had room too.
    Both(OneOrMore<Party>, Connection),
}

impl Charge {
    pub(super) fn by_client(traffik: Traffik, parties: OneOrMore<Party>) -> Self {
        Self { traffik, scope: Scope::Client(parties) }
    }

    /// The same limits, for this connection alone.
    pub(super) fn by_connection(&self) -> Self {
        let connection = Connection::new(self.parties().clone());
        Self { traffik: self.traffik.clone(), scope: Scope::Connection(connection) }
    }

    /// These limits, and those of `other` for this connection alone.
    pub(super) fn and_by_connection(&self, other: &Self) -> Self {
        let scope = match &self.scope {
            Scope::Client(parties) => Scope::Both(parties.clone(), Connection::new(other.parties().clone())),
            Scope::Connection(own) => Scope::Connection(own.and(other.parties())),
            Scope::Both(parties, own) => Scope::Both(parties.clone(), own.and(other.parties())),
        };
        Self { traffik: self.traffik.clone(), scope }
    }

    /// What was named in the handshake.
    fn parties(&self) -> &OneOrMore<Party> {
        match &self.scope {
            Scope::Client(parties) | Scope::Both(parties, _) => parties,
            Scope::Connection(connection) => connection.parties(),
        }
    }

    pub(super) fn traffik(&self) -> &Traffik {
        &self.traffik
    }

    pub(super) fn uids(&self) -> Vec<&'static str> {
        let own = match &self.scope {
            Scope::Both(_, connection) => Some(connection.parties()),
            Scope::Client(_) | Scope::Connection(_) => None,
        };
        own.into_iter().chain([self.parties()]).flat_map(OneOrMore::iter).map(Party::uid).collect()
    }

    /// Decides about a message, if that takes no waiting.
    pub(super) fn now(&self, cost: Option<u64>) -> Option<Result<Limits, Error>> {
        match &self.scope {
            Scope::Client(parties) => self.traffik.charge_now(&Party::ask(parties, cost)),
            Scope::Connection(connection) => {
                let turn = connection.turn_now(cost, self.traffik.clock())?;
                Some(Ok(if turn.fits() { turn.charge() } else { turn.leave() }))
            }
            Scope::Both(parties, connection) => {
                let turn = connection.turn_now(cost, self.traffik.clock())?;
                if !turn.fits() {
                    return Some(Ok(turn.leave()));
                }
                let answer = self.traffik.charge_now(&Party::ask(parties, cost))?;
                Some(answer.map(|limits| turn.follow(limits)))
            }
        }
    }

    /// Decides about a message, however long that takes.
    pub(super) async fn later(&self, cost: Option<u64>) -> Result<Limits, Error> {
        match &self.scope {
            Scope::Client(parties) => self.traffik.charge(&Party::ask(parties, cost)).await,
            Scope::Connection(connection) => {
                let turn = connection.turn(cost, self.traffik.clock()).await;
                Ok(if turn.fits() { turn.charge() } else { turn.leave() })
            }
            Scope::Both(parties, connection) => {
                let turn = connection.turn(cost, self.traffik.clock()).await;
                if !turn.fits() {
                    return Ok(turn.leave());
                }
                let limits = self.traffik.charge(&Party::ask(parties, cost)).await?;
                Ok(turn.follow(limits))
            }
        }
    }
}
