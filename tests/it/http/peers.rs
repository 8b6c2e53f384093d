//! The addresses that count as one client.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{Router, extract::Request, extract::connect_info::MockConnectInfo, routing::get};
use tests::admits;
use traffik::{Throttled, Traffik, TraffikBuilder, throttle_layer};

use super::{
    app::{HERE, builder, throttle, traffik},
    server::{Server, get_from, get_from_nowhere},
};

throttle!(Search, "search", "1/min");

fn app(traffik: &Traffik) -> Router {
    Router::new().route("/", get(|_: Throttled<Search>| async {})).layer(traffik.layer())
}

/// Returns the statuses that a new app with `settings` gives to requests from these peers, in order.
async fn statuses<const N: usize>(settings: fn(TraffikBuilder) -> TraffikBuilder, peers: [&str; N]) -> [u16; N] {
    let app = settings(builder().0).build().map(|traffik| app(&traffik)).unwrap_or_default();
    let mut statuses = [0; N];
    for (status, peer) in statuses.iter_mut().zip(peers) {
        *status = get_from(&app, peer, "/").await.status;
    }
    statuses
}

#[tokio::test]
async fn addresses_of_one_ipv6_network_are_one_client() {
    let peers = ["[2001:db8:1:2::1]:5", "[2001:db8:1:2:ffff:ffff:ffff:ffff]:6", "[2001:db8:1:3::1]:5"];
    assert_eq!(statuses(|app| app, peers).await, [200, 429, 200]);
    assert_eq!(statuses(|app| app.ipv6_prefix(128), peers).await, [200, 200, 200]);
    assert_eq!(statuses(|app| app.ipv6_prefix(56), peers).await, [200, 429, 429]);

    let beyond = ["[2001:db8:1:2ff::1]:5", "[2001:db8:1:200::1]:5", "[2001:db8:1:300::1]:5"];
    assert_eq!(statuses(|app| app.ipv6_prefix(56), beyond).await, [200, 429, 200]);
}

#[tokio::test]
async fn mapped_ipv4_address_equals_the_ipv4_address() {
    let peers = ["[::ffff:203.0.113.7]:5", "[::ffff:203.0.113.8]:5", "203.0.113.7:5", "203.0.113.8:5", "203.0.113.9:5"];
    assert_eq!(statuses(|app| app, peers).await, [200, 200, 429, 429, 200]);
    assert_eq!(statuses(|app| app.ipv6_prefix(8), peers).await, [200, 200, 429, 429, 200]);
}

#[tokio::test]
async fn mapped_address_from_a_dual_stack_socket_equals_the_ipv4_address() {
    let (traffik, _) = traffik();
    // A machine without IPv6 skips this test.
    let Some(server) = Server::start_on_both_stacks(app(&traffik)).await else { return };

    assert_eq!(server.get("/").await.status, 200);
    assert!(!admits::<Search>(&traffik, HERE).await.unwrap());
    assert_eq!(server.from(Ipv4Addr::new(127, 0, 0, 2).into()).get("/").await.status, 200);
}

#[tokio::test]
async fn forwarding_headers_are_ignored_by_default() {
    let (traffik, _) = traffik();
    let server = Server::start(app(&traffik)).await;
    assert_eq!(server.get("/").await.status, 200);

    let claims = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-for", "203.0.113.8, 127.0.0.1"),
        ("forwarded", "for=203.0.113.9"),
        ("x-real-ip", "203.0.113.10"),
        ("cf-connecting-ip", "203.0.113.11"),
        ("true-client-ip", "203.0.113.12"),
        ("x-client-ip", "203.0.113.13"),
    ];
    for (name, value) in claims {
        assert_eq!(server.send(Request::get("/").header(name, value), "").await.status, 429, "{name}");
    }
}

#[tokio::test]
async fn requests_without_an_address_share_a_limit_if_configured() {
    let (builder, _) = builder();
    let app = app(&builder.share_anonymous_clients().build().unwrap());
    let server = Server::start_without_peers(app.clone()).await;

    assert_eq!(server.get("/").await.status, 200);
    assert_eq!(server.reconnected().get("/").await.status, 429);
    assert_eq!(get_from_nowhere(&app, "/").await.status, 429);
    assert_eq!(
        get_from(&app, "203.0.113.7:5", "/").await.status,
        200,
        "a client with an address does not share that limit"
    );
}

#[tokio::test]
async fn mock_connect_info_provides_the_address() {
    let (traffik, _) = traffik();
    let mocked = |address: IpAddr| app(&traffik).layer(MockConnectInfo(SocketAddr::new(address, 5)));
    let (one, other) = (mocked([203, 0, 113, 7].into()), mocked([203, 0, 113, 8].into()));

    assert_eq!([get_from_nowhere(&one, "/").await.status, get_from_nowhere(&one, "/").await.status], [200, 429]);
    assert_eq!(get_from_nowhere(&other, "/").await.status, 200);
    assert_eq!(get_from(&one, "203.0.113.9:5", "/").await.status, 200, "the address of the server takes precedence");
}

#[tokio::test]
async fn disabled_app_needs_no_address_and_sets_no_fields() {
    let traffik = Traffik::disabled();
    let app = Router::new()
        .route("/", get(|permit: Throttled<Search>| async move { permit.tightest().is_counted().to_string() }))
        .layer(throttle_layer::<Search>())
        .layer(traffik.layer());
    let server = Server::start_without_peers(app).await;

    for _ in 0..5 {
        let reply = server.get("/").await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "false"));
        assert_eq!((reply.policy(), reply.state()), (None, None));
    }
}
