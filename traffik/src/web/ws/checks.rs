//! The checks of a connection's messages.

use std::{pin::Pin, sync::Arc, time::Duration};

use axum::http::request::Parts;
use parking_lot::Mutex;
use traffik_core::{client::Client, clock::Timestamp};

use super::rejection::MessageRejection;
use crate::{
    engine::{Check, Checks, KeptCheck, Resolved, Traffik},
    one_or_more::OneOrMore,
    request::Source,
    web::{RequestContext, Site, ThrottleRejection, ThrottleSet},
};

/// The time after which the functions of a throttle are called again.
const VALID: Duration = Duration::from_secs(1);

/// The checks that a handshake resolved. They are resolved again when a limit was changed, and after a time if a throttle has
/// functions of the request, or rules that were added to it.
pub(super) struct MessageChecks {
    latest: Mutex<Latest>,
    resolve: Resolve,
}

struct Latest {
    resolved_at: Timestamp,
    /// The version of the changes that they were resolved with.
    version: u64,
    /// When a message began to resolve them again.
    claimed_at: Option<Timestamp>,
    checks: Arc<OneOrMore<KeptCheck>>,
    /// Whether any has functions of the request, or rules that were added to it.
    has_functions: bool,
    /// The clients that were identified. They stay the same for the connection.
    clients: KnownClients,
    /// The reason if a function rejected the request since.
    rejection: Option<Arc<ThrottleRejection>>,
}

type KnownClients = Arc<[(Source, Client)]>;
type Resolve = Box<dyn Fn(KnownClients) -> Resolving + Send + Sync>;
type Resolving = Pin<Box<dyn Future<Output = Result<Kept, ThrottleRejection>> + Send>>;

/// The checks, whether any has functions, and the clients that were identified.
type Kept = (Arc<OneOrMore<KeptCheck>>, bool, KnownClients);

impl MessageChecks {
    /// Creates the checks of a handshake.
    pub(super) fn new<T, S>(
        checks: &Checks<'_>,
        version: u64,
        context: &RequestContext,
        parts: &Parts,
        state: &S,
    ) -> Arc<Self>
    where
        T: ThrottleSet<S>,
        S: Clone + Send + Sync + 'static,
    {
        let (checks, has_functions, clients) = kept(checks, context);
        let resolved_at = context.traffik().clock().now();
        let latest = Latest { resolved_at, version, claimed_at: None, checks, has_functions, clients, rejection: None };
        let resolve = resolver::<T, S>(context.traffik(), parts, state);
        Arc::new(Self { latest: Mutex::new(latest), resolve })
    }

    /// Returns the checks as they were resolved last.
    pub(super) fn latest(&self) -> Arc<OneOrMore<KeptCheck>> {
        Arc::clone(&self.latest.lock().checks)
    }

    /// Returns the checks for a message at `now`. They are at most a second old, unless another message resolves them.
    pub(super) async fn at(&self, now: Timestamp, version: u64) -> Result<Arc<OneOrMore<KeptCheck>>, MessageRejection> {
        let Some(clients) = self.claim(now, version) else {
            let latest = self.latest.lock();
            let rejection = latest.rejection.clone().map(MessageRejection::Rejected);
            return rejection.map_or_else(|| Ok(Arc::clone(&latest.checks)), Err);
        };
        let resolved = (self.resolve)(clients).await;
        let mut latest = self.latest.lock();
        (latest.resolved_at, latest.version, latest.claimed_at) = (now, version, None);
        match resolved {
            Ok((checks, has_functions, clients)) => {
                (latest.checks, latest.has_functions) = (checks, has_functions);
                (latest.clients, latest.rejection) = (clients, None);
                Ok(Arc::clone(&latest.checks))
            }
            Err(rejection) => {
                let rejection = latest.rejection.insert(Arc::new(rejection));
                Err(MessageRejection::Rejected(Arc::clone(rejection)))
            }
        }
    }

    /// Returns the known clients if the checks have to be resolved again. One message does it, and another one if the first has
    /// not done it in time: its future may be gone.
    fn claim(&self, now: Timestamp, version: u64) -> Option<KnownClients> {
        let mut latest = self.latest.lock();
        let is_old = |since: Timestamp| now < since || now.saturating_since(since) >= VALID;
        let may_differ = latest.has_functions || latest.rejection.is_some();
        let is_due = latest.version != version || (may_differ && is_old(latest.resolved_at));
        let is_free = latest.claimed_at.is_none_or(is_old);
        (is_due && is_free).then(|| {
            latest.claimed_at = Some(now);
            Arc::clone(&latest.clients)
        })
    }
}

/// Returns the function that resolves the throttles again, with a copy of the request.
fn resolver<T, S>(traffik: &Traffik, parts: &Parts, state: &S) -> Resolve
where
    T: ThrottleSet<S>,
    S: Clone + Send + Sync + 'static,
{
    let (context, parts) = RequestContext::of_copy(parts, traffik);
    let state = state.clone();
    Box::new(move |clients| {
        let (context, mut parts, state) = (context.clone().with_latest_changes(), parts.clone(), state.clone());
        Box::pin(async move {
            let site = Site::Messages(clients);
            let checks = T::checks(&context, &site, &mut parts, &state).await?;
            Ok(kept(&checks, &context))
        })
    })
}

fn kept(checks: &Checks<'_>, context: &RequestContext) -> Kept {
    let has_functions = checks.iter().any(|check| {
        let has_added = || context.live_of(check.definition).is_some_and(|live| live.rules().is_some());
        check.definition.settings.request.has_functions() || has_added()
    });
    let identified = checks.iter().filter(|check| check.resolved >= Resolved::Client);
    let clients = identified.map(|check| (check.definition.identity, check.client.clone())).collect();
    (Arc::new(checks.map(Check::kept_uncharged)), has_functions, clients)
}
