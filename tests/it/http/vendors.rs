//! The headers of content delivery networks, in their documented formats, and headers that name no client.
#![expect(clippy::unwrap_used, reason = "a test without an app fails")]

use std::net::IpAddr;

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, request::Parts},
    routing::get,
};
use traffik::{ClientIp, ForwardedHeader, Throttled, TraffikBuilder, client_ip, warning::Warning};

use super::{
    app::{HERE, builder, throttle},
    logs::Log,
    server::{Reply, Server},
};

throttle!(One, "one", "1/min");
throttle!(Many, "many", "1000/min");

async fn shown(parts: Parts) -> String {
    client_ip(&parts).map_or_else(String::new, |address| address.to_string())
}

async fn server(settings: impl FnOnce(TraffikBuilder) -> TraffikBuilder) -> Server {
    let traffik = settings(builder().0).build().unwrap();
    let app = Router::new()
        .route("/", get(async |_: Throttled<Many>, parts: Parts| shown(parts).await))
        .route("/one", get(|_: Throttled<One>| async {}));
    Server::start(app.layer(traffik.layer())).await
}

fn behind(header: ForwardedHeader) -> ClientIp {
    ClientIp::behind([HERE]).unwrap().header(header)
}

async fn with(server: &Server, path: &str, header: &str, value: &str) -> Reply {
    server.send(Request::get(path).header(header, value), "").await
}

#[tokio::test]
async fn header_of_each_vendor_is_read_in_its_format() {
    use ForwardedHeader::*;
    let both = ["198.51.100.10", "2001:db8:85a3:8d3:1319:8a2e:370:7348"];
    for (header, name, with_port) in [
        (CloudFrontViewerAddress, "cloudfront-viewer-address", true),
        (CfConnectingIp, "cf-connecting-ip", false),
        (FastlyClientIp, "fastly-client-ip", false),
        (TrueClientIp, "true-client-ip", false),
        (AzureClientIp, "x-azure-clientip", false),
        (AzureSocketIp, "x-azure-socketip", false),
        (FlyClientIp, "fly-client-ip", false),
    ] {
        assert_eq!(header.name(), name);
        for header in [header, Other(HeaderName::from_static(name))] {
            let server = server(|app| app.client_ip(behind(header))).await;
            for address in both {
                let value = if with_port { format!("{address}:46532") } else { address.to_owned() };
                assert_eq!(with(&server, "/", name, &value).await.body, address, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn header_that_cannot_be_read_is_warned_of_once() {
    for (header, value) in [
        (ForwardedHeader::CloudFrontViewerAddress, "2001:db8:85a3:8d3:1319:8a2e:370:7348"),
        (ForwardedHeader::CloudFrontViewerAddress, "198.51.100.10"),
        (ForwardedHeader::FlyClientIp, "198.51.100.10, 198.51.100.11"),
        (ForwardedHeader::XForwardedFor, "198.51.100.10, unknown"),
        (ForwardedHeader::Forwarded, "for=_hidden"),
    ] {
        let (log, _guard) = Log::begin();
        let name = header.name().clone();
        let server = server(|app| app.client_ip(behind(header))).await;
        for _ in 0..3 {
            assert_eq!(with(&server, "/", name.as_str(), value).await.body, "127.0.0.1", "{value}");
        }
        assert_eq!(log.warnings(Warning::UnreadableForwardingHeader), 1, "{value}");
        for part in ["WARN", name.as_str(), "peer=127.0.0.1", value, "ClientIp::header(..)"] {
            assert!(log.text().contains(part), "{part}: {}", log.text());
        }
        assert_eq!(log.warnings(Warning::MissingForwardingHeader), 0);
    }
}

#[tokio::test]
async fn header_of_one_address_with_two_lines_is_warned_of() {
    let (log, _guard) = Log::begin();
    let server = server(|app| app.client_ip(behind(ForwardedHeader::XRealIp))).await;
    let request = Request::get("/").header("x-real-ip", "203.0.113.1").header("x-real-ip", "203.0.113.2");
    assert_eq!(server.send(request, "").await.body, "127.0.0.1");
    assert_eq!(log.warnings(Warning::UnreadableForwardingHeader), 1);
}

#[tokio::test]
async fn trusted_proxy_that_sends_another_header_is_warned_of_once() {
    let (log, _guard) = Log::begin();
    let server = server(|app| app.client_ip(behind(ForwardedHeader::XRealIp))).await;
    for client in ["203.0.113.1", "203.0.113.2"] {
        assert_eq!(with(&server, "/", "x-forwarded-for", client).await.body, "127.0.0.1");
    }
    assert_eq!(log.warnings(Warning::MissingForwardingHeader), 1);
    for part in ["WARN", "x-real-ip", "x-forwarded-for", "peer=127.0.0.1", "ClientIp::header(..)"] {
        assert!(log.text().contains(part), "{part}: {}", log.text());
    }
    assert_eq!(log.warnings(Warning::UntrustedForwardingHeader), 0);
}

#[tokio::test]
async fn trusted_proxy_that_never_sends_a_header_is_warned_of_after_some_requests() {
    let (log, _guard) = Log::begin();
    let server = server(|app| app.client_ip(behind(ForwardedHeader::XForwardedFor))).await;
    // Health checks between requests of clients.
    for _ in 0..40 {
        assert_eq!(server.get("/").await.status, 200);
    }
    assert_eq!(with(&server, "/", "x-forwarded-for", "203.0.113.1").await.body, "203.0.113.1");
    for _ in 0..23 {
        assert_eq!(server.get("/").await.status, 200);
    }
    assert_eq!(log.warnings(Warning::MissingForwardingHeader), 0);
    for _ in 0..64 * 64 {
        assert_eq!(server.get("/one").await.policy(), Some(r#""one";q=1;w=60"#));
    }
    assert_eq!(log.warnings(Warning::MissingForwardingHeader), 1);
}

#[tokio::test]
async fn headers_that_name_the_client_and_silenced_ones_are_not_warned_of() {
    let (log, _guard) = Log::begin();
    let good = server(|app| app.client_ip(behind(ForwardedHeader::XForwardedFor))).await;
    for value in ["203.0.113.1", "unknown, 203.0.113.1", "203.0.113.1, 127.0.0.1", "127.0.0.1"] {
        assert_eq!(with(&good, "/", "x-forwarded-for", value).await.status, 200);
    }
    let silenced = server(|app| {
        let app = app.silence(Warning::MissingForwardingHeader).silence(Warning::UnreadableForwardingHeader);
        app.client_ip(behind(ForwardedHeader::XRealIp))
    });
    let silenced = silenced.await;
    assert_eq!(with(&silenced, "/", "x-forwarded-for", "203.0.113.1").await.status, 200);
    assert_eq!(with(&silenced, "/", "x-real-ip", "unknown").await.status, 200);
    assert_eq!(log.text().matches("forwarding-header").count(), 0, "{}", log.text());
}

#[tokio::test]
async fn clients_behind_translators_count_by_their_ipv4_address() {
    let here = behind(ForwardedHeader::XForwardedFor);
    let plain = server(|app| app.client_ip(here.clone())).await;
    let statuses = async |server: &Server, clients: &[&str]| {
        let mut statuses = Vec::new();
        for client in clients {
            let value = HeaderValue::from_str(client).unwrap();
            statuses.push(server.send(Request::get("/one").header("x-forwarded-for", value), "").await.status);
        }
        statuses
    };
    let forms = ["64:ff9b::203.0.113.7", "64:ff9b::198.51.100.9", "203.0.113.7", "2002:c633:6409::1", "::203.0.113.7"];
    assert_eq!(statuses(&plain, &forms).await, [200, 200, 429, 429, 429]);
    let local = ["64:ff9b:1::192.0.2.1", "64:ff9b:1::192.0.2.2"];
    assert_eq!(statuses(&plain, &local).await, [200, 429], "without the setting they share a network");

    let set = server(|app| app.client_ip(here).nat64_prefix("64:ff9b:1::/96").nat64_prefix("2001:db8:122::/48")).await;
    assert_eq!(statuses(&set, &local).await, [200, 200]);
    assert_eq!(statuses(&set, &["2001:db8:122:c000:2:100::", "2001:db8:122:c000:2:300::"]).await, [429, 200]);
    // The address of the client is shown as it is.
    assert_eq!(with(&set, "/", "x-forwarded-for", "64:ff9b::203.0.113.7").await.body, "64:ff9b::cb00:7107");

    let error = builder().0.nat64_prefix("64:ff9b:1::/50").build().unwrap_err().to_string();
    assert!(error.contains(r#""64:ff9b:1::/50""#) && error.contains("32, 40, 48, 56, 64 or 96"), "{error}");
    assert_eq!(HERE, IpAddr::from([127, 0, 0, 1]));
}
