//! Rejected uploads: a client that is still writing can read the response.

mod bounds;
mod client;
mod reading;
mod unaffected;

use axum::{Router, body::Bytes, extract::DefaultBodyLimit, middleware::from_extractor, routing::post};
use traffik::{Throttled, throttle_layer, throttled};

use super::app::throttle;

throttle!(Uploads, "uploads", "1/min");

#[throttled(Uploads)]
async fn attribute(body: Bytes) -> String {
    body.len().to_string()
}

async fn extractor(_: Throttled<Uploads>, body: Bytes) -> String {
    body.len().to_string()
}

async fn inner(body: Bytes) -> String {
    body.len().to_string()
}

/// Routes with each way to check the limit.
const PATHS: [&str; 4] = ["/attribute", "/extractor", "/layer", "/from-extractor"];

fn uploads() -> Router {
    Router::new()
        .route("/attribute", post(attribute))
        .route("/extractor", post(extractor))
        .route("/layer", post(inner).layer(throttle_layer::<Uploads>()))
        .route("/from-extractor", post(inner).layer(from_extractor::<Throttled<Uploads>>()))
        .layer(DefaultBodyLimit::disable())
}

const MIB: usize = 1024 * 1024;
