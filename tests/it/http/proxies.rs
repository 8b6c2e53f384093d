//! Clients behind forwarding proxies, over TCP.

use std::net::{IpAddr, Ipv4Addr};

use axum::{Router, extract::Request, http::request::Parts, routing::get};
use traffik::{ClientIp, ForwardedHeader, Settings, ThrottleRejection, Throttled, Traffik, client_ip, throttle_layer};

use super::{
    app::{builder, throttle},
    forwarding::{Tell, add_a_line, add_an_element, append, pass_on, proxy, write_over},
    server::{Reply, Server},
};

throttle!(Search, "search", "1/min");
throttle!(Direct, "direct", "1/min", Settings::new().client_ip(ClientIp::behind_hops(0)));
throttle!(ByRealIp, "real-ip", "1/min", Settings::new().client_ip(by_real_ip()));
throttle!(ByFunction, "function", "1/min", Settings::new().identity(|parts| client_ip(parts).ok_or("unknown")));

/// The networks of the proxies in these tests.
const EDGE: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
const INNER: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 2);

fn by_real_ip() -> ClientIp {
    ClientIp::behind_hops(1).header(ForwardedHeader::XRealIp)
}

fn app(traffik: &Traffik) -> Router {
    let resolved =
        |parts: Parts| async move { client_ip(&parts).map_or_else(String::new, |address| address.to_string()) };
    Router::new()
        .route("/", get(resolved))
        .layer(throttle_layer::<Search>())
        .route("/direct", get(|_: Throttled<Direct>| async {}))
        .route("/real-ip", get(|_: Throttled<ByRealIp>| async {}))
        .route("/function", get(|_: Throttled<ByFunction>| async {}))
        .layer(traffik.layer())
}

async fn server(client_ip: ClientIp) -> Server {
    let (builder, _) = builder();
    Server::start(builder.client_ip(client_ip).build().map(|traffik| app(&traffik)).unwrap_or_default()).await
}

fn behind_both() -> ClientIp {
    ClientIp::behind([EDGE, INNER]).unwrap_or(ClientIp::behind_hops(0))
}

async fn with(server: &Server, name: &str, value: &str) -> Reply {
    server.send(Request::get("/").header(name, value), "").await
}

fn client(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

#[tokio::test]
async fn clients_of_two_proxies_are_distinguished_whatever_they_send() {
    for tell in [append as Tell, add_a_line] {
        let server = server(behind_both()).await;
        let inner = proxy(INNER, &server, tell).await;
        let edge = proxy(EDGE, &inner, tell).await;

        let (one, other) = (edge.from(client(2)), edge.from(client(3)));
        let reply = one.get("/").await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "127.0.0.2"));
        for claim in
            ["203.0.113.1", "203.0.113.2, 127.0.1.1", "127.0.0.3", "unknown", "", ",", "10.0.0.1, 127.0.1.2,", "\""]
        {
            assert_eq!(with(&one, "x-forwarded-for", claim).await.status, 429, "{claim}");
            assert_eq!(with(&one, "x-real-ip", claim).await.status, 429, "{claim}");
            assert_eq!(with(&one, "forwarded", &format!("for={claim}")).await.status, 429, "{claim}");
        }
        assert_eq!(with(&other, "x-forwarded-for", "127.0.0.2").await.body, "127.0.0.3");
    }
}

#[tokio::test]
async fn clients_that_bypass_the_proxies_are_not_believed() {
    let server = server(behind_both()).await.from(client(4));
    assert_eq!(with(&server, "x-forwarded-for", "203.0.113.1").await.body, "127.0.0.4");
    assert_eq!(with(&server, "x-forwarded-for", "203.0.113.2").await.status, 429);
    assert_eq!(with(&server, "x-forwarded-for", "203.0.113.3, 127.0.1.1, 127.0.1.2").await.status, 429);
}

#[tokio::test]
async fn host_that_resembles_an_entry_is_ignored() {
    let server = server(behind_both().header(ForwardedHeader::Forwarded)).await;
    let edge = proxy(EDGE, &server, add_an_element).await.from(client(2));
    assert_eq!(edge.get("/").await.body, "127.0.0.2");
    for host in ["a,for=203.0.113.1", "a\";for=203.0.113.2;x=\"b", "\\", "a, for=203.0.113.3;x="] {
        assert_eq!(with(&edge, "host", host).await.status, 429, "{host}");
    }
    for claim in ["for=203.0.113.1", "for=\"203.0.113.2", "for=\"", "\\", "for=203.0.113.3;host=\""] {
        assert_eq!(with(&edge, "forwarded", claim).await.status, 429, "{claim}");
    }
}

#[tokio::test]
async fn single_address_header_is_the_one_of_the_edge() {
    let server = server(behind_both().header(ForwardedHeader::XRealIp)).await;
    let inner = proxy(INNER, &server, pass_on).await;
    let edge = proxy(EDGE, &inner, write_over).await;
    assert_eq!(with(&edge.from(client(2)), "x-real-ip", "203.0.113.1").await.body, "127.0.0.2");
    assert_eq!(with(&edge.from(client(2)), "x-real-ip", "203.0.113.2").await.status, 429);
    // An edge that does not set the header gets one limit for all its clients.
    let edge = proxy(EDGE, &server, pass_on).await;
    assert_eq!(edge.from(client(2)).get("/").await.body, "127.0.1.1");
    assert_eq!(edge.from(client(3)).get("/").await.status, 429);
}

#[tokio::test]
async fn hop_count_identifies_clients_behind_changing_proxies() {
    let server = server(ClientIp::behind_hops(2)).await;
    let inner = proxy(Ipv4Addr::new(127, 0, 1, 77), &server, append).await;
    let edge = proxy(Ipv4Addr::new(127, 0, 1, 78), &inner, append).await;
    assert_eq!(with(&edge.from(client(2)), "x-forwarded-for", "203.0.113.1").await.body, "127.0.0.2");
    assert_eq!(with(&edge.from(client(2)), "x-forwarded-for", "203.0.113.2, 203.0.113.3").await.status, 429);
}

#[tokio::test]
async fn throttle_may_trust_other_proxies_than_the_app() {
    let server = server(behind_both()).await;
    let edge = proxy(EDGE, &server, append).await;
    let (one, other) = (edge.from(client(2)), edge.from(client(3)));
    assert_eq!([one.get("/function").await.status, other.get("/function").await.status], [200, 200]);
    assert_eq!(one.get("/function").await.status, 429, "`client_ip` follows the settings of the app");
    assert_eq!(
        [one.get("/direct").await.status, other.get("/direct").await.status],
        [200, 429],
        "the peer is a proxy of the throttle"
    );
    let real = |address: &'static str| Request::get("/real-ip").header("x-real-ip", address);
    assert_eq!(server.send(real("203.0.113.1"), "").await.status, 200);
    assert_eq!(server.send(real("203.0.113.2"), "").await.status, 200);
    assert_eq!(server.send(real("203.0.113.1"), "").await.status, 429);
}

#[tokio::test]
async fn forwarded_ipv6_counts_by_network_and_mapped_as_ipv4() {
    let server = server(ClientIp::behind([client(1)]).unwrap()).await;
    let statuses = async |clients: [&str; 3]| {
        let mut statuses = Vec::new();
        for client in clients {
            statuses.push(with(&server, "x-forwarded-for", client).await.status);
        }
        statuses
    };
    assert_eq!(statuses(["2001:db8:1:2::1", "[2001:db8:1:2:ffff::9]:50000", "2001:db8:1:3::1"]).await, [200, 429, 200]);
    assert_eq!(statuses(["::ffff:203.0.113.1", "203.0.113.1:80", "::ffff:203.0.113.2"]).await, [200, 429, 200]);
    assert_eq!(statuses(["fe80:0:0:9::1%eth0", "fe80:0:0:9::2%eth1", "fe80::1%eth0"]).await, [200, 429, 200]);
}

#[tokio::test]
async fn proxy_on_a_unix_socket_needs_no_address() {
    let (socket, _) = builder();
    let traffik = socket.client_ip(ClientIp::behind_unix_socket()).build().unwrap();
    let catching = |permit: Result<Throttled<Direct>, ThrottleRejection>| async move {
        matches!(permit, Err(ThrottleRejection::Misconfigured(_))).to_string()
    };
    let server =
        Server::start_without_peers(app(&traffik).route("/caught", get(catching)).layer(traffik.layer())).await;
    assert_eq!(with(&server, "x-forwarded-for", "203.0.113.1").await.body, "203.0.113.1");
    assert_eq!(with(&server, "x-forwarded-for", "203.0.113.9, 203.0.113.1").await.status, 429);
    assert_eq!(with(&server, "x-forwarded-for", "203.0.113.2").await.status, 200);
    assert_eq!(server.get("/").await.status, 500, "the client has no address");
    assert_eq!(server.get("/caught").await.body, "true", "the same for a throttle with its own client IP settings");
}
