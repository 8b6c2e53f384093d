use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use traffik_core::OutOfRange;

use super::{connection::ConnectionLimits, rejection::MessageRejection};
use crate::{
    engine::{Error, KeptCheck, Limits, Traffik, decide, in_a_task, resolve},
    limit::ConfigError,
    one_or_more::OneOrMore,
};

/// The limits that messages are charged to.
pub(super) struct MessageLimits {
    pub(super) traffik: Traffik,
    scope: Scope,
    is_throttled: AtomicBool,
}

pub(super) enum Scope {
    /// All connections of the client share the limits, which the backend keeps.
    Client(Arc<OneOrMore<KeptCheck>>),
    Connection(Arc<ConnectionLimits>),
    Both(Arc<OneOrMore<KeptCheck>>, Arc<ConnectionLimits>),
}

impl MessageLimits {
    pub(super) fn new(traffik: Traffik, scope: Scope) -> Self {
        Self { traffik, scope, is_throttled: AtomicBool::new(false) }
    }

    /// Returns the same limits for one connection.
    pub(super) fn per_connection(&self) -> Self {
        let limits = ConnectionLimits::new(self.checks().clone());
        Self::new(self.traffik.clone(), Scope::Connection(limits))
    }

    /// Returns these limits and those of `other`, the latter for one connection.
    pub(super) fn and_per_connection(&self, other: &Self) -> Self {
        let with = |own: &ConnectionLimits| {
            let mut checks = own.checks.clone();
            other.checks().iter().for_each(|check| checks.add(check.clone(), |_, _| false));
            ConnectionLimits::new(checks)
        };
        let scope = match &self.scope {
            Scope::Client(client) => Scope::Both(Arc::clone(client), ConnectionLimits::new(other.checks().clone())),
            Scope::Connection(own) => Scope::Connection(with(own)),
            Scope::Both(client, own) => Scope::Both(Arc::clone(client), with(own)),
        };
        Self::new(self.traffik.clone(), scope)
    }

    /// Returns the checks of the handshake.
    fn checks(&self) -> &OneOrMore<KeptCheck> {
        match &self.scope {
            Scope::Client(client) | Scope::Both(client, _) => client,
            Scope::Connection(connection) => &connection.checks,
        }
    }

    pub(super) fn uids(&self) -> Vec<&'static str> {
        let connection = match &self.scope {
            Scope::Both(_, connection) => Some(&connection.checks),
            Scope::Client(_) | Scope::Connection(_) => None,
        };
        connection.into_iter().chain([self.checks()]).flat_map(OneOrMore::iter).map(KeptCheck::uid).collect()
    }

    /// Returns whether the last message was not admitted.
    pub(super) fn is_throttled(&self) -> bool {
        self.is_throttled.load(Ordering::Relaxed)
    }

    /// Charges a message. `None` is the cost of the throttles.
    pub(super) async fn hit(&self, cost: Result<Option<u64>, OutOfRange>) -> Result<Limits, MessageRejection> {
        let answer = match self.decide(cost).await {
            Ok(limits) if limits.is_admitted() => Ok(limits),
            Ok(limits) => Err(MessageRejection::Limited(limits)),
            Err(error) => Err(self.unchecked(error)),
        };
        self.is_throttled.store(answer.is_err(), Ordering::Relaxed);
        answer
    }

    async fn decide(&self, cost: Result<Option<u64>, OutOfRange>) -> Result<Limits, Error> {
        let cost = cost.map_err(ConfigError::from)?;
        let clock = self.traffik.clock();
        match &self.scope {
            Scope::Client(client) => Ok(resolve!(decide(client.map(|check| check.costing(cost))))?),
            Scope::Connection(connection) => connection.lock().await.decide(clock.now(), cost, None).await,
            Scope::Both(client, connection) => {
                let (client, states, now) = (Arc::clone(client), connection.lock().await, clock.now());
                in_a_task(async move { states.decide(now, cost, Some(client.map(|check| check.costing(cost)))).await })
                    .await
            }
        }
    }

    /// Logs at most once a second that a message could not be checked.
    #[cold]
    fn unchecked(&self, error: Error) -> MessageRejection {
        if self.traffik.requests().outages.is_due(self.traffik.clock().now()) {
            let uids = self.uids();
            tracing::error!(?uids, %error, "messages are refused, because their limits cannot be checked");
        }
        MessageRejection::new(error)
    }
}
