//! A proxy that forwards requests to a server, from its own address.
#![expect(clippy::expect_used, reason = "a test whose proxy cannot send on fails")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode},
};

use super::server::Server;

/// How the proxy reports the address of its peer.
pub(super) type Tell = fn(&mut HeaderMap, IpAddr);

#[derive(Clone)]
struct Proxy {
    to: SocketAddr,
    client: reqwest::Client,
    tell: Tell,
}

/// Starts a proxy in front of `server`.
pub(super) async fn proxy(at: Ipv4Addr, server: &Server, tell: Tell) -> Server {
    let client = reqwest::Client::builder().no_proxy().local_address(IpAddr::from(at)).build().expect("a client");
    let proxy = Proxy { to: server.address, client, tell };
    Server::start(Router::new().fallback(forward).with_state(proxy)).await
}

async fn forward(
    State(proxy): State<Proxy>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> (StatusCode, String) {
    let (mut parts, _) = request.into_parts();
    (proxy.tell)(&mut parts.headers, peer.ip());
    let sent = proxy.client.get(format!("http://{}{}", proxy.to, parts.uri)).headers(parts.headers).send().await;
    let response = sent.expect("a response");
    (response.status(), response.text().await.expect("a body of text"))
}

/// Like nginx with `$proxy_add_x_forwarded_for`: joins all lines into one and appends the peer.
pub(super) fn append(headers: &mut HeaderMap, peer: IpAddr) {
    let sent = headers.get_all("x-forwarded-for").iter().map(|line| text(line).to_owned());
    let lines: Vec<_> = sent.chain([peer.to_string()]).collect();
    headers.insert("x-forwarded-for", value(&lines.join(", ")));
}

/// Like other proxies: adds a separate line.
pub(super) fn add_a_line(headers: &mut HeaderMap, peer: IpAddr) {
    headers.append("x-forwarded-for", value(&format!("{peer}:50000")));
}

/// Adds a `Forwarded` element with the host that the client requested.
pub(super) fn add_an_element(headers: &mut HeaderMap, peer: IpAddr) {
    let host = headers.get("host").map_or("", text).replace('\\', "\\\\").replace('"', "\\\"");
    headers.append("forwarded", value(&format!("for={peer};host=\"{host}\";proto=http")));
}

/// Sets `X-Real-IP` and ignores what the client sent.
pub(super) fn write_over(headers: &mut HeaderMap, peer: IpAddr) {
    headers.insert("x-real-ip", value(&peer.to_string()));
}

/// Adds nothing.
pub(super) fn pass_on(_: &mut HeaderMap, _: IpAddr) {}

fn text(value: &HeaderValue) -> &str {
    value.to_str().expect("a value of text")
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a value")
}
