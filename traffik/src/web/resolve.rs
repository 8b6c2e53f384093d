//! Resolves a throttle for a request: whether it applies, the cost, the client, and the rate.

use std::{any::TypeId, net::IpAddr, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts, response::IntoResponse};
use traffik_core::{
    backend::MaybeReady,
    client::{Client, Key},
    rate::Rate,
};

use super::{
    RequestContext, Site,
    rejection::{Declined, Denied, Misconfigured, ThrottleRejection, Unidentified},
};
use crate::{
    engine::{Check, Checks, Own, Resolved, Traffik, resolve},
    limit::{BackendIndex, DefaultIdentity, Definition, changes::LiveLimit},
    observe::EventOutcome,
    request::{Answer, BackendOf, ClientIp, Identity, RateKind, Source, peer_ip},
};

impl RequestContext {
    /// Resolves one throttle, as it is without the changes of the app, except for those that say whether it applies. `I` is its
    /// identity, and `memo` has the earlier throttles of its tuple.
    #[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
    pub(super) fn check<'a, I, S>(
        &'a self,
        definition: &'a Arc<Definition>,
        site: &Site,
        memo: Memo<'_, 'a>,
        parts: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<Check<'a>, ThrottleRejection>> + Send
    where
        I: FromRequestParts<S> + Into<Client> + 'static,
        S: Sync,
    {
        async move {
            if self.traffik().is_disabled() {
                return Ok(Check::skipped(definition, EventOutcome::Disabled));
            }
            if let Err(denied) = self.traffik().check_network(definition, parts) {
                definition.observe(EventOutcome::Blocked, parts);
                return Err(denied);
            }
            // A block holds even if the limit is off. Only the client is asked for then.
            if self.is_off(definition, site) && !self.live_of(definition).is_some_and(LiveLimit::may_block) {
                return Ok(Check::skipped(definition, EventOutcome::Disabled));
            }
            if !resolve!(site.applies(definition, self.live_of(definition), self.traffik(), parts)) {
                return Ok(Check::skipped(definition, EventOutcome::NotApplied));
            }
            let is_off = self.is_off(definition, site);
            let cost = match resolve!(cost(definition, is_off, self.live_of(definition), memo, parts)) {
                Ok(cost) => cost,
                Err(rejection) => return unless_in_dry_run(definition, self.live_of(definition), rejection),
            };
            if cost == 0 && !site.is_limiter() {
                let skipped = Check::skipped(definition, EventOutcome::NotApplied);
                return Ok(Check { resolved: Resolved::Cost, own: own(definition), ..skipped });
            }
            let client = resolve!(client::<I, S>(definition, site, self.traffik(), memo, parts, state));
            let client = match client.or_else(|rejection| site.keep(definition.identity, rejection)) {
                Ok(client) => client,
                Err(_) if self.is_off(definition, site) => {
                    return Ok(Check::skipped(definition, EventOutcome::Disabled));
                }
                Err(rejection) => return unless_in_dry_run(definition, self.live_of(definition), rejection),
            };
            let backend = match &definition.settings.request.backend {
                Some(function) if !self.is_off(definition, site) => {
                    choose(function, definition, self.traffik(), parts)?
                }
                _ => definition.backend,
            };
            let check = self.identified(definition, backend, cost, client);
            // A limiter asks for the rate of each check.
            if site.is_limiter() || definition.settings.request.rate.is_none() || self.is_off(definition, site) {
                return Ok(check);
            }
            let rated = resolve!(rated(check, self.traffik(), memo, parts));
            rated.or_else(|rejection| unless_in_dry_run(definition, self.live_of(definition), rejection))
        }
    }

    /// Returns the limit with this uid.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request if the app has no such limit.
    pub(super) fn value(&self, uid: &str) -> Result<Arc<Definition>, ThrottleRejection> {
        self.traffik().table().value(uid).map_err(|error| Misconfigured::by_a_request(error, self.traffik()).into())
    }

    /// Returns whether the limit is disabled. A limiter finds out when it checks.
    fn is_off(&self, definition: &Definition, site: &Site) -> bool {
        self.live_of(definition).is_some_and(|live| live.is_off() && !site.is_limiter())
    }

    #[inline]
    fn identified<'a>(
        &self,
        definition: &'a Arc<Definition>,
        backend: BackendIndex,
        cost: u64,
        client: Client,
    ) -> Check<'a> {
        let charged_before = self.ledger().charged_before(definition, &client, backend);
        Check { charged_before, backend, cost, own: own(definition), ..Check::new(definition, client) }
    }
}

/// Returns the rejection of a request. In a dry run the request passes, and its event says that it would have been rejected.
#[cold]
pub(super) fn unless_in_dry_run<'a>(
    definition: &'a Arc<Definition>,
    live: Option<&LiveLimit>,
    rejection: ThrottleRejection,
) -> Result<Check<'a>, ThrottleRejection> {
    let is_enforced = live.and_then(LiveLimit::dry_run).map_or(definition.is_enforced(), |dry_run| !dry_run);
    if is_enforced { Err(rejection) } else { Ok(Check::skipped(definition, EventOutcome::WouldRefuse)) }
}

/// Returns the backend that a request chooses.
#[cold]
fn choose(
    function: &BackendOf,
    definition: &Definition,
    traffik: &Traffik,
    parts: &Parts,
) -> Result<BackendIndex, ThrottleRejection> {
    let chosen = function.with_name(parts, |name| definition.choose(name));
    let chosen = chosen.unwrap_or_else(|| Err(definition.no_choice()));
    chosen.map_err(|error| Misconfigured::by_a_request(error, traffik).into())
}

type Resolving<'a, T> = MaybeReady<'a, Result<T, ThrottleRejection>>;

/// Returns whether a function of the request says what it costs.
fn own(definition: &Definition) -> Own {
    Own { cost: definition.settings.request.cost.is_some(), rate: false }
}

#[inline]
fn cost<'p>(
    definition: &'p Definition,
    is_off: bool,
    live: Option<&LiveLimit>,
    memo: Memo<'_, '_>,
    parts: &'p Parts,
) -> Resolving<'p, u64> {
    let Some(function) = definition.settings.request.cost.as_ref().filter(|_| !is_off) else {
        let changed = live.and_then(|live| live.cost().or(live.base_cost()));
        return MaybeReady::Ready(Ok(changed.unwrap_or(definition.settings.cost)));
    };
    match memo.cost(function.source) {
        Some(cost) => MaybeReady::Ready(Ok(cost)),
        None => function.ask(parts).map(declined),
    }
}

#[inline]
fn client<'p, I, S>(
    definition: &'p Definition,
    site: &Site,
    traffik: &'p Traffik,
    memo: Memo<'_, '_>,
    parts: &'p mut Parts,
    state: &'p S,
) -> Resolving<'p, Client>
where
    I: FromRequestParts<S> + Into<Client> + 'static,
    S: Sync,
{
    if let Some(client) = site.known_client(definition.identity).or_else(|| memo.client(definition.identity)) {
        return MaybeReady::Ready(Ok(client));
    }
    let client = match &definition.settings.request.identity {
        Some(identity) => identity_of(identity, traffik, parts),
        None if TypeId::of::<I>() == TypeId::of::<DefaultIdentity>() => default_client(traffik, parts),
        None => MaybeReady::pending(async move {
            match I::from_request_parts(parts, state).await {
                Ok(identity) => Ok(identity.into()),
                Err(rejection) => Err(Unidentified::new(rejection.into_response()).into()),
            }
        }),
    };
    client.map(|client| client.map(|client| traffik.counted_as(client)))
}

/// Identifies the client by the settings of the app.
pub(super) fn default_client<'p>(traffik: &'p Traffik, parts: &'p Parts) -> Resolving<'p, Client> {
    match &traffik.requests().identity {
        Some(identity) => identity_of(identity, traffik, parts),
        None => MaybeReady::Ready(client_at(parts, traffik.requests().client_ip.as_ref(), traffik)),
    }
}

fn identity_of<'p>(identity: &'p Identity, traffik: &'p Traffik, parts: &'p Parts) -> Resolving<'p, Client> {
    match identity {
        Identity::Address(client_ip, _) => MaybeReady::Ready(client_at(parts, Some(client_ip), traffik)),
        Identity::Function(function) => {
            function.ask(parts).map(|client| client.map_err(|response| Unidentified::new(response).into()))
        }
    }
}

/// Resolves the client's rate. The function is not called for a request that is not counted at any rate.
#[inline]
pub(super) fn rated<'p, 'a: 'p>(
    check: Check<'a>,
    traffik: &'p Traffik,
    memo: Memo<'_, '_>,
    parts: &'p Parts,
) -> Resolving<'p, Check<'a>> {
    let function = match &check.definition.settings.request.rate {
        Some(function) if check.is_counted_at_some_rate() => function,
        _ => return MaybeReady::Ready(Ok(check)),
    };
    if let Some(rate) = memo.rate(function.source, &check.client) {
        return MaybeReady::Ready(at_rate(check, Ok(rate), traffik));
    }
    match &function.kind {
        RateKind::Sync(rate) => {
            let rate = rate(parts, &check.client);
            MaybeReady::Ready(at_rate(check, rate, traffik))
        }
        RateKind::Async(rate) => MaybeReady::pending(async move {
            let rate = rate(parts, &check.client).await;
            at_rate(check, rate, traffik)
        }),
    }
}

fn at_rate<'a>(mut check: Check<'a>, rate: Answer<Rate>, traffik: &Traffik) -> Result<Check<'a>, ThrottleRejection> {
    (check.resolved, check.own.rate) = (Resolved::Rate, true);
    let rate = declined(rate)?;
    if rate == check.rate {
        return Ok(check);
    }
    check.at_rate(rate).map_err(|error| Misconfigured::by_a_request(error, traffik).into())
}

fn declined<T>(answer: Answer<T>) -> Result<T, ThrottleRejection> {
    answer.map_err(|response| Declined::new(response).into())
}

/// The resolved checks of earlier throttles of a tuple. A function that two throttles share is called once.
///
/// A memo is for one decision only: results from an outer layer may be outdated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memo<'m, 'a>(pub(super) Option<&'m Checks<'a>>);

impl<'m, 'a> Memo<'m, 'a> {
    #[inline]
    fn cost(self, source: Source) -> Option<u64> {
        self.earlier(Resolved::Cost)
            .find(|check| check.definition.settings.request.cost.as_ref().is_some_and(|cost| cost.source == source))
            .map(|check| check.cost)
    }

    #[inline]
    pub(super) fn client(self, source: Source) -> Option<Client> {
        self.earlier(Resolved::Client)
            .find(|check| check.definition.identity == source)
            .map(|check| check.client.clone())
    }

    #[inline]
    fn rate(self, source: Source, client: &Client) -> Option<Rate> {
        self.earlier(Resolved::Rate)
            .filter(|check| check.client == *client)
            .find(|check| check.definition.settings.request.rate.as_ref().is_some_and(|rate| rate.source == source))
            .map(|check| check.rate)
    }

    fn earlier(self, least: Resolved) -> impl Iterator<Item = &'m Check<'a>> {
        self.0.into_iter().flat_map(Checks::iter).filter(move |check| check.resolved >= least)
    }
}

/// Returns the IP address that a request comes from. An IPv4 address that is mapped into IPv6 is returned as IPv4.
///
/// It is the address of the peer, which is known if the app is served with
/// `into_make_service_with_connect_info::<SocketAddr>()`. Behind proxies that
/// [`TraffikBuilder::client_ip`](crate::TraffikBuilder::client_ip) trusts, it is the address of the client, which is
/// known within [`Traffik::layer`]. Outside of the layer use [`ClientIp::of`](crate::ClientIp::of).
///
/// Clients are identified by the network of the address: see `TraffikBuilder::ipv6_prefix`.
///
/// ```
/// use axum::http::Request;
/// use traffik::{client_ip, test::RequestExt};
///
/// let (parts, ()) = Request::new(()).with_peer("[::ffff:203.0.113.7]:50000").into_parts();
/// assert_eq!(client_ip(&parts), Some("203.0.113.7".parse().unwrap()));
/// ```
#[must_use]
pub fn client_ip(parts: &Parts) -> Option<IpAddr> {
    match RequestContext::handle(&parts.extensions).and_then(|traffik| traffik.requests().client_ip.as_ref()) {
        Some(client_ip) => client_ip.of(parts),
        None => peer_ip(parts),
    }
}

impl Traffik {
    /// # Errors
    ///
    /// Returns the rejection of a request from a denied network.
    #[inline]
    fn check_network(&self, definition: &Definition, parts: &Parts) -> Result<(), ThrottleRejection> {
        let denied = &definition.settings.request.denied;
        if denied.is_empty() || !denied.has_client(parts, &self.address_by(definition)) {
            return Ok(());
        }
        Err(Denied::new().into())
    }
}

/// Returns the client at the address that a request comes from, behind `proxies` if there are any. Requests without an
/// address may share one client.
fn client_at(parts: &Parts, proxies: Option<&ClientIp>, traffik: &Traffik) -> Result<Client, ThrottleRejection> {
    let (peer, web) = (peer_ip(parts), traffik.requests());
    if web.watch.is_due() {
        web.watch.look(parts, peer, proxies, traffik.warnings());
    }
    let address = match proxies {
        None => peer,
        Some(client_ip) => client_ip.resolve(peer, &parts.headers),
    };
    match address {
        Some(address) => Ok(address.into()),
        None if web.share_anonymous => Ok(Key::anonymous().into()),
        None => Err(Misconfigured::no_address(proxies.and_then(ClientIp::header_without_peer), traffik).into()),
    }
}
