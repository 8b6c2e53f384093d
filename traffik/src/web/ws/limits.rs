use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use traffik_core::{OutOfRange, clock::Timestamp};

use super::{
    checks::MessageChecks,
    connection::{AllChecks, ConnectionLimits, StatesGuard},
    rejection::{MessageRejection, retry_after},
};
use crate::{
    engine::{
        CheckResult, Checks, Demand, Error, Failed, KeptCheck, Limits, Traffik, decide_in_force, in_a_task,
        put_in_force, resolve,
    },
    limit::{ConfigError, changes::Changes},
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
    Client(Arc<MessageChecks>),
    Connection(Arc<ConnectionLimits>),
    Both(Arc<MessageChecks>, Arc<ConnectionLimits>),
}

impl MessageLimits {
    pub(super) fn new(traffik: Traffik, scope: Scope) -> Self {
        Self { traffik, scope, is_throttled: AtomicBool::new(false) }
    }

    /// Returns the same limits for one connection.
    pub(super) fn per_connection(&self) -> Self {
        let limits = ConnectionLimits::new(self.checks(), self.traffik.clock());
        Self::new(self.traffik.clone(), Scope::Connection(limits))
    }

    /// Returns these limits and those of `other`, the latter for one connection.
    pub(super) fn and_per_connection(&self, other: &Self) -> Self {
        let clock = self.traffik.clock();
        let with = |own: &ConnectionLimits| {
            let mut checks = own.checks.clone();
            other.checks().iter().for_each(|check| checks.add(Arc::clone(check), |_, _| false));
            ConnectionLimits::new(checks, clock)
        };
        let scope = match &self.scope {
            Scope::Client(client) => Scope::Both(Arc::clone(client), ConnectionLimits::new(other.checks(), clock)),
            Scope::Connection(own) => Scope::Connection(with(own)),
            Scope::Both(client, own) => Scope::Both(Arc::clone(client), with(own)),
        };
        Self::new(self.traffik.clone(), scope)
    }

    /// Returns the checks of the handshake.
    fn checks(&self) -> AllChecks {
        match &self.scope {
            Scope::Client(client) | Scope::Both(client, _) => AllChecks::new(Arc::clone(client)),
            Scope::Connection(connection) => connection.checks.clone(),
        }
    }

    pub(super) fn uids(&self) -> Vec<Arc<str>> {
        let connection = match &self.scope {
            Scope::Both(_, connection) => Some(connection.checks.clone()),
            Scope::Client(_) | Scope::Connection(_) => None,
        };
        let all: Vec<_> = connection.into_iter().chain([self.checks()]).collect();
        let all = all.iter().flat_map(AllChecks::iter).map(|checks| checks.latest());
        all.flat_map(|checks| checks.iter().map(|check| Arc::clone(&check.definition.uid)).collect::<Vec<_>>())
            .collect()
    }

    /// Returns whether the last message was not admitted.
    pub(super) fn is_throttled(&self) -> bool {
        self.is_throttled.load(Ordering::Relaxed)
    }

    /// Charges a message. `None` is the cost of the throttles. With `wait`, the message waits for its turn.
    pub(super) async fn hit(
        &self,
        cost: Result<Option<u64>, OutOfRange>,
        wait: Option<Duration>,
    ) -> Result<Limits, MessageRejection> {
        let answer = self.try_hit(cost, wait).await;
        if let Err(MessageRejection::Limited(limits)) = &answer {
            self.refused(limits);
        }
        answer
    }

    /// Charges a message like [`hit`](Self::hit), but a refusal is not final: the message may be held. If it is not, the caller
    /// reports it as [`refused`](Self::refused).
    pub(super) async fn try_hit(
        &self,
        cost: Result<Option<u64>, OutOfRange>,
        wait: Option<Duration>,
    ) -> Result<Limits, MessageRejection> {
        let answer = match self.decide(cost, wait).await {
            Ok(limits) if !limits.is_admitted() => Err(MessageRejection::Limited(limits)),
            answer => answer,
        };
        self.is_throttled.store(answer.is_err(), Ordering::Relaxed);
        match &answer {
            Ok(limits) => self.checked(limits, true),
            Err(MessageRejection::Limited(_)) => {}
            Err(_) => self.traffik.requests().messages.checked(None),
        }
        answer
    }

    /// Reports a refusal.
    pub(super) fn refused(&self, limits: &Limits) {
        self.checked(limits, false);
    }

    fn checked(&self, limits: &Limits, is_admitted: bool) {
        limits.observe(None);
        self.traffik.requests().messages.checked(Some(is_admitted));
    }

    async fn decide(
        &self,
        cost: Result<Option<u64>, OutOfRange>,
        wait: Option<Duration>,
    ) -> Result<Limits, MessageRejection> {
        let cost = cost.map_err(ConfigError::from)?;
        let (clock, changes) = (self.traffik.clock(), self.traffik.changes());
        let deadline = wait.map(|max| clock.now().saturating_add(max));
        loop {
            // No other connection waits for limits of this connection alone, so there is no line of them.
            let (decided, has_line) = match &self.scope {
                Scope::Client(client) => {
                    let client = client.at(clock.now(), changes.version()).await?;
                    let checks = client.map(|check| check.costing(cost));
                    let decision = match wait {
                        None => resolve!(decide_in_force(changes, checks)),
                        Some(max) => resolve!(self.traffik.wait(Demand::new(&checks, changes), max)),
                    };
                    (decision, true)
                }
                Scope::Connection(connection) => {
                    let own = at(connection, clock.now(), changes.version()).await?;
                    let states = connection.lock().await;
                    (decide_together(changes, states, clock.now(), costing(&own, cost), None).await, false)
                }
                Scope::Both(client, connection) => {
                    let version = changes.version();
                    let client = client.at(clock.now(), version).await?;
                    let own = at(connection, clock.now(), version).await?;
                    let both = Both { client, own, connection: Arc::clone(connection), cost };
                    let demand = wait.map(|max| (both.demand(&self.traffik), max));
                    match demand.filter(|(demand, _)| demand.is_counted()) {
                        None => (both.decide(&self.traffik).await, false),
                        Some((demand, max)) => (resolve!(self.traffik.wait(demand, max)), true),
                    }
                }
            };
            let limits = decided.map_err(|failed| self.unchecked(failed.observed(None)))?;
            let deadline = deadline.filter(|_| !has_line && !limits.is_admitted());
            let pause = deadline.and_then(|deadline| {
                let wait = retry_after(&limits)?.max(Duration::from_micros(1));
                Some(wait).filter(|wait| clock.now().saturating_add(*wait) <= deadline)
            });
            let Some(pause) = pause else { return Ok(limits) };
            Box::pin(clock.sleep(pause)).await;
        }
    }

    /// Logs at most once a second that a message could not be checked, unless the outage is in the log.
    #[cold]
    fn unchecked(&self, error: Error) -> MessageRejection {
        let is_out = |check: &KeptCheck| check.check().store().is_some_and(|store| store.is_out());
        let is_known = self.checks().iter().any(|checks| checks.latest().iter().any(is_out));
        if !is_known && self.traffik.requests().outages.is_due(self.traffik.clock().now()) {
            let uids = self.uids();
            tracing::error!(?uids, %error, "messages are refused, because their limits cannot be checked");
        }
        MessageRejection::new(error)
    }
}

/// The limits of the client and of the connection, for one message.
#[derive(Clone)]
struct Both {
    client: Arc<OneOrMore<KeptCheck>>,
    own: ConnectionChecks,
    connection: Arc<ConnectionLimits>,
    cost: Option<u64>,
}

impl Both {
    /// Decides in a task, which returns the states of the connection even if the caller has gone.
    fn decide(&self, traffik: &Traffik) -> impl Future<Output = CheckResult> + Send + 'static + use<> {
        let (both, clock, changes) = (self.clone(), traffik.clock().clone(), Arc::clone(traffik.changes()));
        async move {
            let (states, now) = (both.connection.lock().await, clock.now());
            let Self { client, own, cost, .. } = both.clone();
            let decision = in_a_task(async move {
                let client = client.map(|check| check.costing(cost));
                decide_together(&changes, states, now, costing(&own, cost), Some(client)).await
            });
            decision.await.map_err(|failed: Box<Failed>| {
                let own = both.own.iter().flat_map(|checks| checks.iter());
                failed.about(both.client.iter().chain(own).cloned())
            })
        }
    }

    /// Waits in the line of the client.
    fn demand(&self, traffik: &Traffik) -> Demand {
        let client = self.client.map(|check| check.costing(self.cost));
        let demand = Demand::new(&client, traffik.changes());
        let (both, traffik) = (self.clone(), traffik.clone());
        demand.asking(move || both.decide(&traffik))
    }
}

/// The checks of a connection for one message.
type ConnectionChecks = OneOrMore<Arc<OneOrMore<KeptCheck>>>;

/// Returns the checks of a connection for a message at `now`, by this version of the changes.
async fn at(connection: &ConnectionLimits, now: Timestamp, version: u64) -> Result<ConnectionChecks, MessageRejection> {
    let mut all = ConnectionChecks::new(connection.checks.first().at(now, version).await?);
    for checks in connection.checks.iter().skip(1) {
        all.add(checks.at(now, version).await?, |_, _| false);
    }
    Ok(all)
}

/// Puts one snapshot of the changes in force for the connection and the client, and decides.
async fn decide_together(
    changes: &Changes,
    states: StatesGuard,
    now: Timestamp,
    mut own: Checks<'_>,
    mut client: Option<Checks<'_>>,
) -> CheckResult {
    let refusal = changes.live().and_then(|live| {
        let of_client = client.as_mut().and_then(|client| put_in_force(&live, changes, client));
        of_client.or_else(|| put_in_force(&live, changes, &mut own))
    });
    match refusal {
        Some(refusal) => Ok(refusal),
        None => states.decide(now, own, client).await,
    }
}

/// Returns all of the checks at this cost, if one is given.
fn costing(all: &ConnectionChecks, cost: Option<u64>) -> Checks<'_> {
    let mut checks = all.first().map(|check| check.costing(cost));
    for check in all.iter().skip(1).flat_map(|checks| checks.iter()) {
        checks.add(check.costing(cost), |_, _| false);
    }
    checks
}
