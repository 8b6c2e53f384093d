//! An app on its own port, and clients that return whole responses.
#![expect(clippy::expect_used, reason = "a test whose server cannot be reached fails")]

use std::net::{IpAddr, SocketAddr};

use axum::{
    Router,
    body::Body,
    extract::connect_info::Connected,
    http::{HeaderMap, Request, Uri, uri::PathAndQuery},
    serve::IncomingStream,
};
use http_body_util::BodyExt;
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;
use traffik::test::RequestExt;

use super::wire;

/// A listening app, with a client that keeps its connection.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    client: reqwest::Client,
}

impl Server {
    /// Serves `app` as documented, with the peer's address.
    pub(crate) async fn start(app: Router) -> Self {
        Self::start_with_connect_info::<SocketAddr>(app).await
    }

    /// Serves `app` with what `C` keeps of a connection.
    pub(crate) async fn start_with_connect_info<C>(app: Router) -> Self
    where
        C: for<'a> Connected<IncomingStream<'a, TcpListener>>,
    {
        let (listener, server) = Self::bind("127.0.0.1:0").await.expect("a port to listen on");
        let app = app.into_make_service_with_connect_info::<C>();
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    /// Serves `app` without the peer's address.
    pub(crate) async fn start_without_peers(app: Router) -> Self {
        let (listener, server) = Self::bind("127.0.0.1:0").await.expect("a port to listen on");
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    /// Serves `app` on both IPv6 and IPv4 if the machine has IPv6. Its client connects by IPv4.
    pub(crate) async fn start_on_both_stacks(app: Router) -> Option<Self> {
        let (listener, server) = Self::bind("[::]:0").await.ok()?;
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Some(Self { address: SocketAddr::new(super::app::HERE, server.address.port()), ..server })
    }

    async fn bind(address: &str) -> std::io::Result<(TcpListener, Self)> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok((listener, Self { address, client: client(None) }))
    }

    /// Returns the same server with a new connection from `peer`.
    pub(crate) fn from(&self, peer: IpAddr) -> Self {
        Self { client: client(Some(peer)), ..*self }
    }

    /// Returns the same server with a new connection.
    pub(crate) fn reconnected(&self) -> Self {
        Self { client: client(None), ..*self }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path), "").await
    }

    pub(crate) async fn send(&self, request: axum::http::request::Builder, body: &'static str) -> Reply {
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let request = self.client.request(parts.method, format!("http://{}{path}", self.address));
        let response = request.headers(parts.headers).body(body).send().await.expect("a response");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply::new(status, headers, response.text().await.expect("a body of text"))
    }

    /// Opens a connection and sends `request` unchanged.
    pub(crate) async fn open(&self, request: &str) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.writable().await.expect("a connection that can be written to");
        assert_eq!(stream.try_write(request.as_bytes()).expect("a request that is sent"), request.len());
        stream
    }
}

/// Reads until the server closes the connection.
pub(crate) async fn read_to_end(stream: TcpStream) -> String {
    let (mut read, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        stream.readable().await.expect("a connection that can be read from");
        match stream.try_read(&mut piece) {
            Ok(0) => return String::from_utf8(read).expect("a response of text"),
            Ok(length) => read.extend(piece.iter().take(length)),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
}

fn client(peer: Option<IpAddr>) -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    client.local_address(peer).build().expect("a client")
}

/// Calls an app without a socket, as if from `peer` (an address with a port).
pub(crate) async fn get_from(app: &Router, peer: &str, path: &'static str) -> Reply {
    send(app, Request::new(Body::empty()).with_peer(peer), path).await
}

/// Calls an app without a socket and without an address.
pub(crate) async fn get_from_nowhere(app: &Router, path: &'static str) -> Reply {
    send(app, Request::new(Body::empty()), path).await
}

async fn send(app: &Router, mut request: Request<Body>, path: &'static str) -> Reply {
    *request.uri_mut() = Uri::from_static(path);
    let (parts, body) = app.clone().oneshot(request).await.expect("a response").into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Reply::new(parts.status.as_u16(), parts.headers, String::from_utf8(body.into()).expect("a body of text"))
}

/// A response. Its fields are known to be well formed.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    fn new(status: u16, headers: HeaderMap, body: String) -> Self {
        let reply = Self { status, headers, body };
        wire::check(reply.policy(), reply.state());
        reply
    }

    /// Returns the value of a header that occurs at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().expect("a value of text"));
        assert!(values.next().is_none(), "{name} came twice: {self:?}");
        value
    }

    /// Returns the `RateLimit-Policy` field.
    pub(crate) fn policy(&self) -> Option<&str> {
        self.header("ratelimit-policy")
    }

    /// Returns the `RateLimit` field.
    pub(crate) fn state(&self) -> Option<&str> {
        self.header("ratelimit")
    }

    /// Returns the `Retry-After` header.
    pub(crate) fn retry_after(&self) -> Option<&str> {
        self.header("retry-after")
    }

    /// Returns the member `name` of the problem details.
    pub(crate) fn problem(&self, name: &str) -> serde_json::Value {
        let mut body: serde_json::Value = serde_json::from_str(&self.body).expect("a body of JSON");
        body.get_mut(name).map(serde_json::Value::take).unwrap_or_default()
    }
}
