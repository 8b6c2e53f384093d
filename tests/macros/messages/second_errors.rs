//! A mistake raises one error at its declaration, and none where the throttle is used.

use axum::{Router, routing::get};
use traffik::{Throttle, Throttled, throttle_layer, throttled};

#[derive(Throttle)]
#[limit("", "5/min")]
struct Unnamed;

mod renamed {
    pub use traffik::{DefaultIdentity, Rate};

    pub trait Throttle {
        const UID: &'static str;
        const RATE: Rate;
        type Identity;
    }
}

#[derive(Throttle)]
#[limit("", "5/min", crate = renamed)]
struct UnnamedElsewhere;

const fn is_throttle<T: renamed::Throttle>() {}

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
    is_throttle::<UnnamedElsewhere>();
    let _: Router = Router::new()
        .route("/asked", get(asked))
        .route("/greet", get(Handlers::greet))
        .layer(throttle_layer::<Unnamed>());
}
