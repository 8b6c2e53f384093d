//! Limits whose cost is known later: the tokens of a language model, and logins of which only failures count.
//!
//! ```text
//! cargo run --example tokens                  # serves on 127.0.0.1:3000
//! cargo run --example tokens -- --port 8080   # or on another port
//! cargo run --example tokens -- --demo        # sends requests to itself, prints the responses, and stops
//! ```

mod demo;
mod model;
#[path = "../common/shutdown.rs"]
mod shutdown;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr},
};

use axum::{Router, body::Body, http::StatusCode, response::Response, routing::post};
use tokio::net::TcpListener;
use traffik::{MemoryBackend, SlidingWindowCounter, Throttle, Throttled, Traffik, refund_if, throttled};

/// Each answer reserves 1000 tokens. What it really took replaces them.
///
/// A token bucket would not do: it refills while an answer is written, so it gives back nothing of 1000 tokens after 6 s.
/// The sliding window remembers a charge for a minute.
#[derive(Throttle)]
#[limit("chat:tokens", "10000/min", strategy = SlidingWindowCounter, cost = 1000)]
struct Tokens;

/// Streams an answer. The stream settles the charge when it ends, or when the client disconnects.
async fn complete(permit: Throttled<Tokens>, prompt: String) -> Result<Response, StatusCode> {
    let Ok(length) = prompt.trim().parse::<u64>() else {
        // Nothing was written, so nothing counts.
        drop(permit.refund());
        return Err(StatusCode::BAD_REQUEST);
    };
    Ok(Response::new(Body::from_stream(model::Answer::new(length, permit))))
}

/// Only wrong passwords count. The charge is made before the password is checked, so concurrent guesses are counted too.
#[throttled("auth:login", "5/min", refund_if = refund_if::success)]
async fn login(password: String) -> StatusCode {
    if password == "correct horse" { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
}

fn app(traffik: &Traffik) -> Router {
    Router::new().route("/complete", post(complete)).route("/login", post(login)).layer(traffik.layer())
}

async fn serve(
    listener: TcpListener,
    traffik: Traffik,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    let app = app(&traffik).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(shutdown).await?;
    Ok(traffik.close().await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let port = match args.next().as_deref() {
        None => 3000,
        Some("--port") => args.next().ok_or("`--port` needs a number")?.parse()?,
        Some("--demo") => return demo::run().await,
        Some(other) => {
            return Err(format!("unknown argument `{other}`: there are `--port <number>` and `--demo`").into());
        }
    };

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}, until ctrl-c. Try:");
    println!("  curl -i -d 30 http://{address}/complete     # an answer of 30 tokens");
    println!("  curl -i -d 30 http://{address}/complete     # 970 of the first 1000 are back");
    println!("  curl -i -d guess http://{address}/login");

    let traffik = Traffik::builder(MemoryBackend::new("chat")).strict().build()?;
    serve(listener, traffik, shutdown::shutdown_signal()).await
}
