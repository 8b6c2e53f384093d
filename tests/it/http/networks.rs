//! Rules, bypasses and denials by the network of the client.

use axum::{Router, extract::Request, routing::get};
use traffik::{
    Bypass, ClientIp, ConfigError, Rule, Settings, Throttled, Traffik, backend::MemoryBackend, identity::everyone,
    throttle_layer,
};

use super::{
    app::{HERE, builder, throttle, traffik},
    server::{Reply, Server, get_from, get_from_nowhere},
};

throttle!(Office, "networks:bypass", "1/min", Settings::new().bypass(Bypass::networks(["127.0.0.2", "2001:db8::/32"])));
throttle!(Hosted, "networks:rule", "1/min", Settings::new().rule(Rule::networks(["203.0.113.0/24"])));
throttle!(
    HostedToo,
    "networks:rule:shared",
    "1/min",
    Settings::new().rule(Rule::networks(["203.0.113.0/24"])).identity(everyone)
);
throttle!(
    Behind,
    "networks:behind",
    "1/min",
    Settings::new().bypass(Bypass::networks(["198.51.100.0/24"])).client_ip(ClientIp::behind_hops(1))
);
throttle!(
    Denying,
    "networks:deny",
    "9/min",
    Settings::new()
        .deny_networks(["127.0.0.2", "203.0.113.0/24"])
        .deny_networks(["2001:db8::/32"])
        .bypass(Bypass::networks(["127.0.0.0/8"]))
);
throttle!(Shared, "networks:shared", "9/min", Settings::new().identity(everyone).deny_networks(["0.0.0.0/0", "::/0"]));
throttle!(Plain, "networks:plain", "9/min");
throttle!(WrongDeny, "networks:wrong:deny", "9/min", Settings::new().deny_networks(["10.0.0.0/8", "localhost"]));
throttle!(WrongBypass, "networks:wrong:bypass", "9/min", Settings::new().bypass(Bypass::networks(["10.0.0.0/33"])));
throttle!(EmptyRule, "networks:empty:rule", "9/min", Settings::new().rule(Rule::networks("".lines())));
throttle!(EmptyBypass, "networks:empty:bypass", "1/min", Settings::new().bypass(Bypass::networks("".lines())));

fn assert_denied(reply: &Reply) {
    assert_eq!((reply.status, reply.header("content-type")), (403, Some("application/problem+json")), "{reply:?}");
    assert_eq!(reply.problem("detail"), "requests from this network are not allowed");
    assert_eq!((reply.problem("title"), reply.state(), reply.retry_after()), ("Forbidden".into(), None, None));
}

#[tokio::test]
async fn bypass_excludes_clients_of_its_networks() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Office>| async {})).layer(traffik.layer());
    let server = Server::start(app.clone()).await;
    let office = server.from([127, 0, 0, 2].into());

    for _ in 0..3 {
        let reply = office.get("/").await;
        assert_eq!((reply.status, reply.state()), (200, None));
    }
    assert_eq!([server.get("/").await.status, server.get("/").await.status], [200, 429]);
    for (peer, statuses) in [("[2001:db8::7]:1", [200, 200]), ("[64:ff9b::127.0.0.2]:1", [200, 429])] {
        let replies = [get_from(&app, peer, "/").await.status, get_from(&app, peer, "/").await.status];
        assert_eq!(replies, statuses, "{peer}: an embedded address does not bypass a limit");
    }
}

#[tokio::test]
async fn rule_applies_to_clients_of_its_networks_and_in_doubt() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Hosted>| async {}))
        .route("/shared", get(|_: Throttled<HostedToo>| async {}))
        .layer(traffik.layer());

    for (peer, is_limited) in
        [("203.0.113.7:1", true), ("203.0.114.7:1", false), ("[2002:cb00:7108::1]:1", true), ("[2001:db8::1]:1", false)]
    {
        assert_eq!(get_from(&app, peer, "/").await.state().is_some(), is_limited, "{peer}");
    }
    assert!(get_from_nowhere(&app, "/shared").await.state().is_some(), "the address is not known");
}

#[tokio::test]
async fn networks_are_compared_with_the_client_behind_proxies() {
    let (builder, _) = builder();
    let traffik = builder.client_ip(ClientIp::behind(["127.0.0.1"]).unwrap()).build().unwrap();
    let app = Router::new()
        .route("/", get(|_: Throttled<Office>| async {}))
        .route("/own", get(|_: Throttled<Behind>| async {}))
        .route("/denied", get(|_: Throttled<Denying>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    let from = async |path: &'static str, address: &'static str| {
        server.send(Request::get(path).header("x-forwarded-for", address), "").await
    };

    for (path, address, is_limited) in [
        ("/", "127.0.0.2", false),
        ("/", "192.0.2.1", true),
        ("/own", "198.51.100.7", false),
        ("/own", "192.0.2.7", true),
    ] {
        assert_eq!(from(path, address).await.state().is_some(), is_limited, "{path} {address}");
    }
    assert_denied(&from("/denied", "203.0.113.7").await);
    assert_eq!(from("/denied", "192.0.2.7").await.status, 200);
}

#[tokio::test]
async fn denied_network_gets_a_403_and_charges_nothing() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Denying>| async {}))
        .route("/tuple", get(|_: Throttled<(Plain, Denying)>| async {}))
        .route("/layer", get(|| async {}).route_layer(throttle_layer::<Denying>()))
        .layer(traffik.layer());
    let server = Server::start(app.clone()).await;
    let denied = server.from([127, 0, 0, 2].into());

    for path in ["/", "/tuple", "/layer"] {
        assert_denied(&denied.get(path).await);
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    for peer in ["203.0.113.7:1", "[::ffff:203.0.113.7]:1", "[64:ff9b::203.0.113.7]:1", "[2001:db8::1]:1"] {
        assert_denied(&get_from(&app, peer, "/").await);
    }
    for (address, remaining) in [(HERE, 8), ([127, 0, 0, 2].into(), 9)] {
        assert_eq!(traffik.limiter::<Plain>(address).peek().await.unwrap().tightest().remaining(), remaining);
    }
}

#[tokio::test]
async fn network_that_the_app_denies_is_denied_by_every_throttle() {
    let (builder, _) = builder();
    let traffik = builder.deny_networks("127.0.0.3\n192.0.2.0/24\n".lines()).build().unwrap();
    let app = Router::new()
        .route("/", get(|_: Throttled<Plain>| async {}))
        .route("/own", get(|_: Throttled<Denying>| async {}))
        .route("/open", get(|| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    let denied = server.from([127, 0, 0, 3].into());

    assert_denied(&denied.get("/").await);
    assert_denied(&denied.get("/own").await);
    assert_denied(&server.from([127, 0, 0, 2].into()).get("/own").await);
    assert_eq!(denied.get("/open").await.status, 200, "it meets no throttle");
    assert_eq!(server.get("/").await.status, 200);
}

#[tokio::test]
async fn unknown_address_is_not_denied() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Shared>| async {})).layer(traffik.layer());
    assert_denied(&Server::start(app.clone()).await.get("/").await);
    assert_eq!(Server::start_without_peers(app).await.get("/").await.status, 200);
}

#[tokio::test]
async fn disabled_app_denies_nothing() {
    let app = Router::new().route("/", get(|_: Throttled<Shared>| async {})).layer(Traffik::disabled().layer());
    assert_eq!(Server::start(app).await.get("/").await.status, 200);
}

#[test]
fn text_that_is_no_network_is_an_error_of_the_build() {
    let build = |register: fn(traffik::TraffikBuilder) -> traffik::TraffikBuilder| {
        register(Traffik::builder(MemoryBackend::new("test"))).build().unwrap_err()
    };
    for (error, text) in [
        (build(|builder| builder.register::<WrongDeny>()), "\"localhost\" is neither an address nor a network"),
        (build(|builder| builder.register::<WrongBypass>()), "\"10.0.0.0/33\" is neither an address nor a network"),
        (build(|builder| builder.register::<EmptyRule>()), "an empty list of networks"),
    ] {
        assert!(matches!(error, ConfigError::Rule { .. }) && error.to_string().contains(text), "{error}");
    }
    let error = build(|builder| builder.deny_networks(["2001:db8::/129"]));
    assert!(matches!(error, ConfigError::Network(_)) && error.to_string().contains("2001:db8::/129"), "{error}");
}

#[tokio::test]
async fn empty_bypass_excludes_no_client() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<EmptyBypass>| async {})).layer(traffik.layer());
    assert_eq!(
        [200, 429],
        [get_from(&app, "127.0.0.1:1", "/").await.status, get_from(&app, "127.0.0.1:1", "/").await.status]
    );
}
