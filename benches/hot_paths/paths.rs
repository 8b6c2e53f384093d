//! The paths: the setup, and the repeated part.

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    pin::pin,
    task::{Context, Poll, Waker},
};

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::Response,
};
use benches::{
    apps,
    clients::{self, ClientKey},
    contenders::{admits, hit, meet, traffik},
    limits::{Limit, Tokens},
};
use traffik::{
    ClientIp, ForwardedHeader, Traffik,
    backend::{MemoryBackend, MemoryBackendBuilder},
    client::Key,
    decision::LimitId,
    strategy::{AnyStrategy, FixedWindow},
};

/// A repeated operation.
pub(crate) struct Path {
    pub(crate) name: String,
    pub(crate) run: Box<dyn FnOnce(u32)>,
}

impl Path {
    fn new(name: impl Into<String>, run: impl FnOnce(u32) + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

pub(crate) fn all() -> Vec<Path> {
    let mut paths = Vec::new();
    for limit in [Limit::AMPLE, Limit::USED_UP] {
        for (name, strategy) in limit.strategies() {
            paths.push(Path::new(format!("{name}/{}", limit.outcome), move |times| {
                known::<IpAddr>(&limit, &strategy, times);
            }));
        }
    }
    paths.extend([
        Path::new("string-key", |times| known::<String>(&Limit::AMPLE, &FixedWindow.into(), times)),
        Path::new("two-limits", two_limits),
        Path::new("permit", |times| permits(false, times)),
        Path::new("permit-settled", |times| permits(true, times)),
        Path::new("newcomer", |times| newcomers(MemoryBackendBuilder::DEFAULT_MAX_ENTRIES, 0, times)),
        Path::new("newcomer-at-the-cap", newcomers_at_the_cap),
        Path::new("request", |times| request(&apps::by_argument(), apps::send, times)),
        Path::new("request-with-an-unasked-header", |times| request(&apps::by_argument(), apps::forward, times)),
        Path::new("request-behind-a-proxy", behind_proxy),
        Path::new("client-ip/of-a-stranger", |times| {
            client_ip("x-forwarded-for", "198.51.100.1", [203, 0, 113, 7], times)
        }),
        Path::new("client-ip/x-forwarded-for", |times| client_ip("x-forwarded-for", "203.0.113.7", PROXY, times)),
        Path::new("client-ip/two-hops", |times| client_ip("x-forwarded-for", "203.0.113.7, 10.0.0.2", PROXY, times)),
        Path::new("client-ip/forwarded", |times| client_ip("forwarded", "for=203.0.113.7;proto=https", PROXY, times)),
        Path::new("client-ip/x-real-ip", |times| client_ip("x-real-ip", "203.0.113.7", PROXY, times)),
        Path::new("request-with-a-cost-function", |times| request(&apps::by_cost(), apps::send, times)),
        Path::new("request-with-a-rate-function", |times| request(&apps::by_rate(), apps::send, times)),
        Path::new("request-with-rules", |times| request(&apps::by_rules(), apps::send_ruled, times)),
        Path::new("request-without-rules", |times| request(&apps::without_rules(), apps::send_ruled, times)),
    ]);
    paths
}

/// Runs the counted part under a known name. The setup is not counted, because it measures the clock and so varies.
#[inline(never)]
fn counted<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// A client with an existing entry.
fn known<K: ClientKey>(limit: &Limit, strategy: &AnyStrategy, times: u32) {
    let keys: Vec<Key> = clients::keys::<K>(1).map(Into::into).collect();
    let id = LimitId::new("benches:limit", strategy.clone());
    let backend = traffik(keys.iter().cloned(), limit, &id);
    counted(|| {
        for key in keys.iter().cycle().take(times as usize) {
            assert_eq!(admits(&backend, &[hit(key, &id, limit)]), limit.admits);
        }
    });
}

/// Two limits of a known client, in one decision.
fn two_limits(times: u32) {
    let (limit, key) = (Limit::AMPLE, Key::from(Ipv4Addr::LOCALHOST));
    let [(_, window), _, (_, bucket), ..] = limit.strategies();
    let [window, bucket] =
        [("benches:limit", window), ("benches:other", bucket)].map(|(uid, one)| LimitId::new(uid, one));
    let hits = [&window, &bucket].map(|id| hit(&key, id, &limit));
    let backend = traffik([], &limit, &window);
    assert!(counted(|| (0..times).all(|_| admits(&backend, &hits))));
}

/// Permits of a known client. Half of what was charged is given back if they are settled.
fn permits(are_settled: bool, times: u32) {
    let Ok(traffik) = Traffik::new(MemoryBackend::new("benches")) else { return };
    let check = || {
        let permit = ready(traffik.limiter::<Tokens>(Ipv4Addr::LOCALHOST).cost(10).check());
        let Some(Ok(permit)) = permit else { return false };
        !are_settled || ready(permit.settle(5)).is_some_and(|settled| settled.is_ok())
    };
    assert!(check());
    assert!(counted(|| (0..times).all(|_| check())));
}

/// Polls once.
fn ready<F: IntoFuture>(future: F) -> Option<F::Output> {
    match pin!(future.into_future()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// New clients, in a store for `room` entries that already holds `known`.
#[expect(clippy::expect_used, reason = "the number of entries is in range")]
fn newcomers(room: usize, known: u32, times: u32) {
    let (limit, id) = (Limit::AMPLE, LimitId::new("benches:limit", FixedWindow));
    let backend = MemoryBackend::builder("benches").max_entries(room).build().expect("the maximum is in range");
    let mut newcomers = clients::keys::<IpAddr>(known + times).map(Key::from);
    newcomers.by_ref().take(known as usize).for_each(|key| meet(&backend, &key, &limit, &id));
    assert!(counted(|| newcomers.all(|key| admits(&backend, &[hit(&key, &id, &limit)]))));
}

/// New clients in full stores. The evicted clients depend on digests, and so on a random seed. So only the average over
/// many stores is constant.
fn newcomers_at_the_cap(times: u32) {
    const STORES: u32 = 20;
    (0..STORES).for_each(|_| newcomers(2_000, 2_500, times / STORES));
}

/// A request through a router. Its handler takes the limit as an argument.
fn request(app: &Router, send: fn(&Router) -> Response, times: u32) {
    // One request before counting, for the work of the first request.
    drop(send(app));
    counted(|| (0..times).for_each(|_| drop(send(app))));
}

fn behind_proxy(times: u32) {
    if let Ok(app) = apps::behind_proxy() {
        request(&app, apps::forward, times);
    }
}

/// The address of the trusted proxy.
const PROXY: [u8; 4] = [10, 0, 0, 1];

/// Finds the client of a request that came from `peer` with a header.
fn client_ip(name: &'static str, value: &'static str, peer: [u8; 4], times: u32) {
    let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
    let header = match name {
        "forwarded" => ForwardedHeader::Forwarded,
        "x-real-ip" => ForwardedHeader::XRealIp,
        _ => ForwardedHeader::XForwardedFor,
    };
    let Ok(client_ip) = ClientIp::behind(["10.0.0.0/8"]).map(|client_ip| client_ip.header(header)) else { return };
    let is_client = |_| client_ip.resolve(black_box(Some(peer.into())), &headers) == Some([203, 0, 113, 7].into());
    assert!(counted(|| (0..times).all(is_client)));
}
