//! Rate limiting for [axum](https://docs.rs/axum): exact under any concurrency, several limits as one decision, bounded
//! memory, and the standard header fields on every response.
//!
//! A limit is a uid and a rate, both checked while compiling. A handler is held to it by an attribute, or asks for it as
//! an argument:
//!
#![cfg_attr(all(feature = "axum", feature = "macros"), doc = "```no_run")]
#![cfg_attr(not(all(feature = "axum", feature = "macros")), doc = "```text")]
//! use std::net::SocketAddr;
//!
//! use axum::{Router, routing::{get, post}};
//! use tokio::net::TcpListener;
//! use traffik::{Throttle, Throttled, Traffik, backend::MemoryBackend, throttle_layer, throttled};
//!
//! // Over one of the limits the handler never runs, and the client gets a 429 that says when to come back.
//! #[throttled("search:burst", "5/min")]
//! #[throttled("search:sustained", "50/hour")]
//! async fn search() -> &'static str {
//!     "nothing found"
//! }
//!
//! // A limit that is used in several places is a type.
//! #[derive(Throttle)]
//! #[limit("uploads:burst", "10/min")]
//! struct Burst;
//!
//! #[derive(Throttle)]
//! #[limit("uploads:sustained", "100/hour")]
//! struct Sustained;
//!
//! // As an argument it tells how the client stands. A tuple is one decision: both are charged, or neither is.
//! async fn upload(permit: Throttled<(Burst, Sustained)>) -> String {
//!     format!("{} left", permit.tightest().remaining())
//! }
//!
//! #[derive(Throttle)]
//! #[limit("api:v1", "1000/min")]
//! struct ApiV1;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let traffik = Traffik::builder(MemoryBackend::new("myapp")).build()?;
//!
//!     let v1 = Router::new().route("/users", get(|| async { "users" }));
//!     let app = Router::new()
//!         .route("/search", get(search))
//!         .route("/upload", post(upload))
//!         .nest("/api/v1", v1.route_layer(throttle_layer::<ApiV1>())) // one limit for a whole router
//!         .layer(traffik.layer()); // last: it is where the limits find their backend
//!
//!     // Clients are told apart by their address, which the server hands on.
//!     let listener = TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
//!     Ok(traffik.close().await?)
//! }
//! ```
//!
//! # Where to read on
//!
//! | | |
//! |---|---|
//! | [`rate`] | how a rate is written, and its bounds |
//! | [`strategy`] | what happens within its period: windows, buckets, even spacing, queues; and how many are there [at once](strategy::Concurrency) |
//! | [`client`] | who a limit is kept for; `Settings::identifier` names them, and so does any extractor |
//! | [`throttle`] | everything about one limit |
//! | [`app`] | everything about all of them, and decisions without a request at hand |
//! | [`limits`] | what came of a decision, and how the client stands |
//! | [`backend`] | where they are kept |
//! | [`on_error`] | what happens when they are not to be reached |
//! | [`breaker`] | how what fails again and again is left alone |
//! | [`warning`] | what is probably set up wrong, by name |
//! | [`clock`] | the one clock that all of it goes by |
//! | `web` | extractors, layers, rules for which requests a limit is, clients behind proxies, and responses |
//! | `web::ws` | limits on the messages of WebSockets, beside those on their connections |
//! | [`test`](mod@test) | a clock that is moved by hand, requests with an address, and limits switched off |
//!
//! To call an attributed handler in a unit test, see the attribute `throttled`.
//!
//! # Features
//!
//! - `axum`, on by default: the module `web`. Without it the crate knows nothing of HTTP, and depends on nothing that
//!   does; [`Traffik::hit`] decides.
//! - `macros`, on by default: the attribute `throttled`, and the derive of [`Throttle`](trait@Throttle).
//!   They name this crate `::traffik`: one that depends on it by another name says `extern crate its_name as traffik;`
//!   in its root.
//! - `ws`: the module `web::ws`, limits on the messages of WebSockets.
//! - `serde`: a [`Rate`] as a string in configuration files.
//! - `regex`: `Rule::regex` and `Bypass::regex`, by the crate of that name.
//! - `http2`: `Rule::websocket` and its kin tell handshakes over HTTP/2 from other requests, as axum's feature of that name
//!   takes them.
//! - `conformance`: `backend::conformance`, the tests that any [`Backend`](backend::Backend) has to pass.

#[doc(hidden)]
pub mod __private;
pub mod app;
pub mod backend;
pub mod breaker;
pub mod client;
pub mod clock;
pub mod decision;
pub mod limits;
mod occasionally;
pub mod on_error;
mod one_or_more;
pub mod rate;
pub mod strategy;
pub mod test;
pub mod throttle;
pub mod warning;
#[cfg(feature = "axum")]
pub mod web;

#[cfg(feature = "macros")]
pub use traffik_macros::Throttle;
#[cfg(all(feature = "macros", feature = "axum"))]
pub use traffik_macros::throttled;

#[cfg(feature = "axum")]
pub use self::web::{
    Bypass, ClientIp, ForwardedHeader, Limited, Responder, Rule, ThrottleRejection, Throttled, TraffikLayer, client_ip,
    throttle_layer,
};
pub use self::{
    app::{Charge, Error, Traffik, TraffikBuilder},
    client::{Client, EXEMPTED},
    limits::{Limit, Limits},
    rate::{Rate, RateError},
    throttle::{ConfigError, DefaultIdentity, Settings, Throttle, Throttles},
};
