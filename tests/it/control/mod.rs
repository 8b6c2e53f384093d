//! Changes of limits while the app runs.

mod added;
mod clients;
mod file;
mod hooked_clock;
mod lines;
mod list;
mod local;
mod observed;
mod own_strategy;
mod penalties;
mod shared;
mod snapshots;
mod sockets;

use axum::{Router, extract::FromRequestParts, http::Request, routing::get};
use traffik::{
    DefaultIdentity, Rate, Throttle, ThrottleRejection, Throttled, Traffik,
    test::{ManualClock, RequestExt},
    web::ws::Messages,
};

use crate::http::{app::builder, server::Server};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const TWO: Rate = Rate::literal("2/hour");
const FIVE: Rate = Rate::literal("5/hour");

/// Returns a handle that knows `T`, on a clock that the test moves.
fn knowing<T: Throttle>() -> Result<(Traffik, ManualClock)> {
    let (builder, clock) = builder();
    Ok((builder.register::<T>().build()?, clock))
}

/// Serves a handler at each path that takes `T`.
async fn serving<T: Throttle<Identity = DefaultIdentity>>(traffik: &Traffik) -> Server {
    let app = Router::new().route("/", get(|_: Throttled<T>| async {})).fallback(|_: Throttled<T>| async {});
    Server::start(app.layer(traffik.layer())).await
}

/// Returns the rate and the cost of the next check, which charges nothing.
async fn in_force<T: Throttle>(traffik: &Traffik) -> Result<(Rate, u64)> {
    let limits = traffik.limiter::<T>("someone else").peek().await?;
    Ok((limits.tightest().rate(), limits.tightest().cost()))
}

/// Returns the limits of a connection whose handshake is over.
async fn sockets_of<T>(traffik: &Traffik) -> Result<Messages<T>>
where
    Messages<T>: FromRequestParts<(), Rejection = ThrottleRejection>,
{
    let (mut parts, ()) = Request::get("/").body(())?.with_peer("127.0.0.1:50000").into_parts();
    parts.extensions.insert(traffik.clone());
    Ok(Messages::from_request_parts(&mut parts, &()).await.map_err(|rejection| rejection.to_string())?)
}
