//! Several connections to the same server, which take turns.

use std::sync::atomic::{AtomicUsize, Ordering};

use fred::types::config::Config;

use super::{CallError, Health, line::Patience, server::Server};
use crate::Error;

pub(super) struct Pool {
    first: Server,
    others: Vec<Server>,
    turn: AtomicUsize,
}

impl Pool {
    pub(super) async fn connect(config: &Config, patience: Patience, size: usize) -> Result<Self, Error> {
        let first = Server::connect(config.clone(), patience).await?;
        // Where the first is, the others will be.
        Self::behind(first, config, patience, size)
    }

    pub(super) fn connect_later(config: &Config, patience: Patience, size: usize) -> Result<Self, Error> {
        Self::behind(Server::connect_later(config.clone(), patience)?, config, patience, size)
    }

    pub(super) fn of(first: Server) -> Self {
        Self { first, others: Vec::new(), turn: AtomicUsize::new(0) }
    }

    fn behind(first: Server, config: &Config, patience: Patience, size: usize) -> Result<Self, Error> {
        let others = (1..size).map(|_| Server::connect_later(config.clone(), patience)).collect::<Result<_, _>>()?;
        Ok(Self { others, ..Self::of(first) })
    }

    /// The first connection, which stands for all of them where it does not matter.
    pub(super) fn first(&self) -> &Server {
        &self.first
    }

    /// The next one in turn that is connected; if none is, any.
    pub(super) fn next(&self) -> &Server {
        if self.others.is_empty() {
            return &self.first;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % (self.others.len() + 1);
        let in_turn = || self.all().cycle().skip(turn).take(self.others.len() + 1);
        in_turn().find(|server| server.is_connected()).unwrap_or(&self.first)
    }

    /// Waits until one is connected, or it is known that none is.
    pub(super) async fn ready(&self) -> Result<(), CallError> {
        if self.all().any(Server::is_connected) { Ok(()) } else { self.first.ready().await }
    }

    pub(super) fn health(&self) -> Health {
        Health {
            connected: self.all().filter(|server| server.is_connected()).count(),
            connections: self.all().count(),
            given_up: self.all().map(|server| server.line().given_up()).sum(),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Server> + Clone {
        std::iter::once(&self.first).chain(&self.others)
    }
}
