//! A server on its own port, and helpers for its responses.
#![expect(clippy::unwrap_used, reason = "a test whose server cannot be reached fails")]

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use reqwest::{Client, Method, RequestBuilder, Response};
use tokio::net::TcpListener;
use traffik::{Traffik, backend::MemoryBackend, test::ManualClock};

pub(crate) struct Server {
    client: Client,
    base: String,
    /// The additional backend of the app.
    pub(crate) local: MemoryBackend,
}

impl Server {
    /// Serves `routes`, with limits on a clock that the test moves.
    pub(crate) async fn start(routes: Router) -> Self {
        // `build` checks that no two throttles of these tests share a uid.
        let backend = MemoryBackend::with_clock("macros", ManualClock::new());
        let local = MemoryBackend::with_clock("macros:local", ManualClock::new());
        let traffik = Traffik::builder(backend).backend("local", local.clone()).build().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = routes.layer(traffik.layer()).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { client: Client::builder().no_proxy().build().unwrap(), base, local }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// Returns the status of each of `times` requests.
    pub(crate) async fn statuses(&self, path: &str, times: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..times {
            statuses.push(self.get(path).await.status().as_u16());
        }
        statuses
    }
}

/// Returns the value of a response field.
pub(crate) fn field(response: &Response, name: &str) -> String {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
