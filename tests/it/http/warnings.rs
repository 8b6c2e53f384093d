//! Misconfiguration warnings: each is named, logged once, and can be disabled.

use std::time::Duration;

use axum::{Router, extract::Request, routing::get};
use tests::admits;
use traffik::{
    Client, ClientIp, ForwardedHeader, Settings, Throttled, Traffik, TraffikBuilder,
    backend::MemoryBackend,
    strategy::{Gcra, TokenBucket},
    throttle_layer,
    warning::Warning,
};

use super::{
    app::{HERE, builder, throttle},
    logs::Log,
    server::{Server, get_from, get_from_nowhere},
};

throttle!(Search, "search", "1000/min");
throttle!(Again, "again", "1000/min");
throttle!(Slower, "slower", "999/min");
throttle!(Dearer, "dearer", "1000/min", Settings::new().cost(2));
throttle!(Bucket, "bucket", "1000/min", Settings::new().strategy(TokenBucket::new()));
throttle!(Even, "even", "1000/min", Settings::new().strategy(Gcra::new().burst(9)));
throttle!(OfOthers, "of-others", "1000/min", Settings::new().identity(|_| Client::from("others")));
throttle!(Free, "free", "1000/min", Settings::new().cost(0));
throttle!(Gullible, "gullible", "1000/min", Settings::new().client_ip(everyone()));
throttle!(TooDear, "too-dear", "5/min", Settings::new().cost(6));

fn everyone() -> ClientIp {
    ClientIp::behind(["0.0.0.0/0"]).unwrap_or(ClientIp::behind_hops(0))
}

fn app(traffik: &Traffik) -> Router {
    Router::new()
        .route("/", get(|_: Throttled<Search>| async {}))
        .route("/others", get(|_: Throttled<OfOthers>| async {}))
        .layer(traffik.layer())
}

async fn server(settings: impl FnOnce(TraffikBuilder) -> TraffikBuilder) -> Server {
    Server::start(settings(builder().0).build().map(|traffik| app(&traffik)).unwrap_or_default()).await
}

async fn send(server: &Server, path: &str, header: &ForwardedHeader) -> u16 {
    server.send(Request::get(path).header(header.name(), "203.0.113.7"), "").await.status
}

const HEADERS: [ForwardedHeader; 5] = [
    ForwardedHeader::Forwarded,
    ForwardedHeader::XForwardedFor,
    ForwardedHeader::XRealIp,
    ForwardedHeader::TrueClientIp,
    ForwardedHeader::CfConnectingIp,
];

#[tokio::test]
async fn forwarding_header_from_an_untrusted_peer_is_warned_of_once() {
    for header in HEADERS {
        let (log, _guard) = Log::begin();
        let server = server(|app| app).await;
        for _ in 0..10 {
            assert_eq!(send(&server, "/others", &header).await, 200);
        }
        assert_eq!(
            log.warnings(Warning::UntrustedForwardingHeader),
            0,
            "the address does not identify the client here"
        );
        for _ in 0..300 {
            assert_eq!(send(&server, "/", &header).await, 200);
        }
        assert_eq!(log.warnings(Warning::UntrustedForwardingHeader), 1);
        for part in ["WARN", header.name().as_str(), "peer=127.0.0.1", "client_ip(ClientIp::behind([..])?)"] {
            assert!(log.text().contains(part), "{part}: {}", log.text());
        }
    }
}

#[tokio::test]
async fn forwarding_header_after_requests_without_one_is_warned_of() {
    let (log, _guard) = Log::begin();
    let server = server(|app| app).await;
    for _ in 0..100 {
        assert_eq!(server.get("/").await.status, 200);
    }
    for _ in 0..64 {
        assert_eq!(send(&server, "/", &ForwardedHeader::XForwardedFor).await, 200);
    }
    assert_eq!(log.warnings(Warning::UntrustedForwardingHeader), 1);
}

#[tokio::test]
async fn forwarding_header_of_a_trusted_proxy_or_disabled_is_not_warned_of() {
    let (log, _guard) = Log::begin();
    let trusting = server(|app| app.client_ip(ClientIp::behind([HERE]).unwrap())).await;
    let silenced = server(|app| app.silence(Warning::UntrustedForwardingHeader)).await;
    for header in HEADERS {
        assert_eq!([send(&trusting, "/", &header).await, send(&silenced, "/", &header).await], [200, 200]);
    }
    assert_eq!(log.warnings(Warning::UntrustedForwardingHeader), 0);
    // A client that bypasses the proxies, or a wrong network.
    let wrong = server(|app| app.client_ip(ClientIp::behind(["10.0.0.0/8"]).unwrap())).await;
    assert_eq!(send(&wrong, "/", &ForwardedHeader::XForwardedFor).await, 200);
    assert_eq!(log.warnings(Warning::UntrustedForwardingHeader), 1);
    // A client with the header that the app has configured.
    let other = ForwardedHeader::Other(axum::http::HeaderName::from_static("fly-client-ip"));
    let chosen = ClientIp::behind(["10.0.0.0/8"]).unwrap().header(other.clone());
    assert_eq!(send(&server(|app| app.client_ip(chosen)).await, "/", &other).await, 200);
    assert_eq!(log.warnings(Warning::UntrustedForwardingHeader), 2);
}

#[tokio::test]
async fn trusting_every_address_is_warned_of_at_build() {
    let (log, _guard) = Log::begin();
    let build = |settings: fn(TraffikBuilder) -> TraffikBuilder| settings(builder().0).build().unwrap();
    build(|app| app.client_ip(ClientIp::behind(["10.0.0.0/8", "2001:db8::/32"]).unwrap()));
    build(|app| app.client_ip(ClientIp::behind_hops(2)));
    build(|app| app.client_ip(everyone()).silence(Warning::TrustsEveryone));
    assert_eq!(log.warnings(Warning::TrustsEveryone), 0);
    build(|app| app.client_ip(everyone()));
    assert_eq!(log.warnings(Warning::TrustsEveryone), 1);
    build(|app| app.client_ip(ClientIp::behind(["::/0"]).unwrap()));
    assert_eq!(log.warnings(Warning::TrustsEveryone), 2);
    build(|app| app.register::<Gullible>());
    assert_eq!(log.warnings(Warning::TrustsEveryone), 3);
    assert!(log.text().contains("uid=\"gullible\""), "{}", log.text());
}

#[tokio::test]
async fn one_limit_under_two_uids_is_warned_of_once() {
    let (log, _guard) = Log::begin();
    let (builder, _) = builder();
    let traffik = builder.build().unwrap();
    let app = |silenced: &Traffik| {
        Router::new()
            .route("/same", get(|_: Throttled<Again>| async {}))
            .route("/one", get(|_: Throttled<Search>| async {}))
            .route("/slower", get(|_: Throttled<Slower>| async {}))
            .route("/dearer", get(|_: Throttled<Dearer>| async {}))
            .route("/bucket", get(|_: Throttled<(Bucket, Even)>| async {}))
            .route("/others", get(|_: Throttled<OfOthers>| async {}))
            .route("/free", get(|_: Throttled<Free>| async {}))
            .route_layer(throttle_layer::<Search>())
            .route("/tuple", get(|_: Throttled<(Search, Again)>| async {}))
            .layer(silenced.layer())
    };
    let server = Server::start(app(&traffik)).await;
    for path in ["/one", "/slower", "/dearer", "/bucket", "/others", "/free", "/tuple"] {
        assert_eq!(server.get(path).await.status, 200);
        assert_eq!(log.warnings(Warning::LimitedTwice), 0, "{path}");
    }
    for _ in 0..10 {
        assert_eq!(server.get("/same").await.status, 200);
    }
    assert_eq!(log.warnings(Warning::LimitedTwice), 1);
    assert!(log.text().contains("first=\"search\" second=\"again\""), "{}", log.text());

    let silenced = super::app::builder().0.silence(Warning::LimitedTwice).build().unwrap();
    assert_eq!(Server::start(app(&silenced)).await.get("/same").await.status, 200);
    assert_eq!(log.warnings(Warning::LimitedTwice), 1);
}

#[tokio::test]
async fn missing_peer_address_is_warned_of_once_a_second() {
    let (log, _guard) = Log::begin();
    let (builder, clock) = builder();
    let known = app(&builder.build().unwrap());
    let server = Server::start_without_peers(known.clone()).await;
    for _ in 0..10 {
        assert_eq!(server.get("/").await.status, 500);
    }
    assert_eq!(log.warnings(Warning::NoPeerAddress), 1);
    assert!(
        log.text().contains("ERROR") && log.text().contains("into_make_service_with_connect_info"),
        "{}",
        log.text()
    );
    clock.advance(Duration::from_secs(1));
    assert_eq!(
        [get_from_nowhere(&known, "/").await.status, get_from(&known, "203.0.113.7:1", "/").await.status],
        [500, 200]
    );
    assert_eq!(log.warnings(Warning::NoPeerAddress), 2);

    let silenced = app(&super::app::builder().0.silence(Warning::NoPeerAddress).build().unwrap());
    assert_eq!(get_from_nowhere(&silenced, "/").await.status, 500);
    assert_eq!(log.warnings(Warning::NoPeerAddress), 2);
}

#[tokio::test]
async fn cost_above_the_limit_is_warned_of_once() {
    let (log, _guard) = Log::begin();
    let silenced = builder().0.silence(Warning::CostNeverFits).register::<TooDear>().build().unwrap();
    assert!(!admits::<TooDear>(&silenced, "alice").await.unwrap());
    assert_eq!(log.warnings(Warning::CostNeverFits), 0);
    let traffik = builder().0.register::<TooDear>().build().unwrap();
    assert!(!admits::<TooDear>(&traffik, "alice").await.unwrap());
    assert_eq!(log.warnings(Warning::CostNeverFits), 1);
    assert!(log.text().contains("uid=\"too-dear\" cost=6 capacity=5"), "{}", log.text());
}

#[tokio::test]
async fn full_store_is_warned_of_each_time_its_evictions_double() {
    let (log, _guard) = Log::begin();
    let full = || MemoryBackend::builder("test").max_entries(16);
    for (builder, times) in [(full().silence(Warning::MemoryFull), 0), (full(), 8)] {
        let backend = builder.build().unwrap();
        let traffik = Traffik::new(backend.clone()).unwrap();
        for client in 0..200 {
            assert!(admits::<Search>(&traffik, client).await.unwrap());
        }
        assert!((128..256).contains(&backend.evictions()), "{}", backend.evictions());
        assert_eq!(log.warnings(Warning::MemoryFull), times);
    }
}

#[test]
fn guide_has_a_section_and_a_row_for_each_warning() {
    let page = include_str!("../../../docs/warnings.md");
    let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let names: Vec<_> = Warning::ALL.iter().map(|warning| warning.name()).collect();
    assert_eq!(sections, names);
    for warning in Warning::ALL {
        assert_eq!(warning.docs(), format!("docs/warnings.md#{warning}"));
    }
    for name in &names {
        assert!(page.contains(&format!("| [`{name}`](#{name}) |")), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
    }
    // Users search logs for these names and write filters, so the names must not change.
    let known = [
        "untrusted-forwarding-header",
        "missing-forwarding-header",
        "unreadable-forwarding-header",
        "trusts-everyone",
        "limited-twice",
        "no-peer-address",
        "cost-never-fits",
        "missing-backend",
        "duplicate-uid",
        "two-backends",
        "permit-ends-early",
        "unknown-shared-change",
        "limits-file-invalid",
        "limits-file-without-effect",
        "limits-file-unwatched",
        "limits-file-unapplied",
        "memory-full",
    ];
    assert_eq!(names, known);
}
