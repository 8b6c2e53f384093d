//! The API of a third party, which refuses clients that call too often.

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, middleware::map_response, response::Response, routing::get};
use tokio::net::TcpListener;
use traffik::{Gcra, MemoryBackend, Traffik, throttled};

#[throttled("api:places", "50/s", strategy = Gcra::new().burst(5))]
async fn places() -> &'static str {
    "Rome"
}

pub(super) struct Api {
    pub(super) url: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    served: AtomicUsize,
    refused: AtomicUsize,
}

impl Api {
    pub(super) async fn start() -> Result<Self, Box<dyn Error>> {
        let (traffik, counts) = (Traffik::new(MemoryBackend::new("api"))?, Arc::<Counts>::default());
        let counted = Arc::clone(&counts);
        let count = move |response: Response| {
            let count = if response.status().is_success() { &counted.served } else { &counted.refused };
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(response)
        };
        let app = Router::new().route("/places", get(places)).layer(traffik.layer()).layer(map_response(count));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/places", listener.local_addr()?);
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, counts })
    }

    /// Returns how many calls were served, and how many refused.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.counts.served.load(Ordering::Relaxed), self.counts.refused.load(Ordering::Relaxed))
    }
}
