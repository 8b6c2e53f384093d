//! What is wrong raises one error, and none where it is used.

use axum::{Router, routing::get};
use traffik::{Throttle, Throttled, throttle_layer, throttled};

#[derive(Throttle)]
#[limit("", "5/min")]
struct Unnamed;

async fn asked(_: Throttled<Unnamed>) {}

struct Handlers;

impl Handlers {
    const GREETING: &str = "hello";

    #[throttled("impl:greet", "5/min")]
    async fn greet() -> &'static str {
        Self::GREETING
    }
}

fn main() {
    let _: Router = Router::new()
        .route("/asked", get(asked))
        .route("/greet", get(Handlers::greet))
        .layer(throttle_layer::<Unnamed>());
}
