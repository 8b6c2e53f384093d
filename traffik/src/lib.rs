//! Rate limiting for [axum](https://docs.rs/axum): exact under any concurrency, several limits as one decision, bounded
//! memory, and the standard header fields on every response.
//!
//! A limit is a uid and a rate, both checked at compile time. A handler applies a limit with an attribute or takes it
//! as an argument:
//!
#![cfg_attr(feature = "macros", doc = "```no_run")]
#![cfg_attr(not(feature = "macros"), doc = "```text")]
//! use std::net::SocketAddr;
//!
//! use axum::{Router, routing::{get, post}};
//! use tokio::net::TcpListener;
//! use traffik::{MemoryBackend, Throttle, Throttled, Traffik, throttle_layer, throttled};
//!
//! // Over one of the limits the handler does not run. The client receives a 429 that says when to try again.
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
//! // The permit shows the state of the limits. A tuple is one decision: both are charged, or neither is.
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
//!     let traffik = Traffik::builder(MemoryBackend::new("myapp")).strict().build()?;
//!
//!     let v1 = Router::new().route("/users", get(|| async { "users" }));
//!     let app = Router::new()
//!         .route("/search", get(search))
//!         .route("/upload", post(upload))
//!         .nest("/api/v1", v1.route_layer(throttle_layer::<ApiV1>())) // one limit for a whole router
//!         .layer(traffik.layer()); // last, after everything that throttles
//!
//!     // Clients are identified by their address, which the server passes on.
//!     let listener = TcpListener::bind("127.0.0.1:3000").await?;
//!     axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
//!     Ok(traffik.close().await?)
//! }
//! ```
//!
//! # Where to read on
//!
//! | module | contents |
//! |---|---|
//! | [`rate`] | how a rate is written, and its bounds |
//! | [`strategy`] | the algorithms: windows, buckets, even spacing, queues, and [concurrency](strategy::Concurrency) |
//! | [`client`] | the client that a limit counts; `Settings::identity` names it, and so does any extractor |
//! | [`limit`] | throttles and their settings |
//! | [`engine`] | the handle of an app, and checks without a request at hand |
//! | [`health`] | health checks: whether the backends answer, and what decides now |
//! | [`control`] | changes of limits while the app runs |
//! | `admin` | changes of limits over HTTP |
//! | [`backend`] | the stores that decisions are made in |
//! | [`observe`] | events: what limits decide, for a hook |
//! | [`on_error`] | what happens while a backend does not answer |
//! | [`warning`] | what is probably set up wrong, by name |
//! | [`clock`] | the clock that decisions and deadlines go by |
//! | [`identity`] | ready identities: everyone, a header, an API key, a bearer token, a cookie, an extension |
//! | [`outgoing`] | limits on the calls that this app makes |
//! | [`web`] | extractors, layers, rules, clients behind proxies, and responses |
//! | `web::ws` | limits on the messages of WebSockets |
//! | [`test`](mod@test) | a clock that is moved by hand, and requests with an address |
//!
//! The modules of [`traffik_core`] are re-exported here. Crates that implement a backend or a strategy depend on that crate
//! alone, and test a backend with the crate `traffik-conformance`.
//!
//! To call an attributed handler in a unit test, see the attribute `throttled`.
//!
//! # Features
//!
//! - `macros`, on by default: the attribute `throttled`, and the derive of [`Throttle`](trait@Throttle).
//!   They name this crate `::traffik`: one that depends on it by another name says `extern crate its_name as traffik;`
//!   in its root.
//! - `ws`: the module `web::ws`, limits on the messages of WebSockets.
//! - `serde`: a [`Rate`] as a string in configuration files.
//! - `file`: [`TraffikBuilder::limits_file`], limits from a TOML file. It includes `serde`.
//! - `admin`: the module `admin`, changes of limits over HTTP. It includes `serde`.
//! - `uuid`: a [`Client`] from a `uuid::Uuid`.
//! - `regex`: `Rule::regex` and `Bypass::regex`, by the crate of that name.
//! - `matched-path`, on by default: the path of the route in the log of refusals, as axum's feature of that name has it.
//! - `metrics`: [metrics](https://docs.rs/metrics) of limits, for the recorder that the app installs. The guide lists them:
//!   `docs/metrics-and-logs.md`. Install the recorder before the first request: a series registers itself when it is first
//!   used.
//! - `http2`: `Rule::websocket` and its kin tell handshakes over HTTP/2 from other requests, as axum's feature of that name
//!   takes them.
//! - `aide`, `utoipa`: the 429 and the 503 in OpenAPI documents, with the uids and the rates of the limits. aide finds them in
//!   the arguments of a handler. For utoipa the attribute `throttled` adds them, or `Throttled<T>` is among the responses of a
//!   handler. `utoipa` requires Rust 1.88.

#[doc(hidden)]
pub mod __private;
#[cfg(feature = "admin")]
pub mod admin;
pub mod backend;
pub mod control;
pub mod engine;
mod fields;
pub mod limit;
mod memory;
pub mod observe;
pub mod on_error;
mod one_or_more;
pub mod outgoing;
mod request;
mod store;
pub mod test;
pub mod warning;
pub mod web;

pub use traffik_core::{
    Client, EXEMPTED, OutOfRange, Rate, RateError, client, clock,
    decision::{self, Amount},
    rate,
    strategy::{
        self, Concurrency, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SlidingWindowCounter,
        SlidingWindowLog, TokenBucket,
    },
};
#[cfg(feature = "macros")]
pub use traffik_macros::{Throttle, throttled};

pub use self::{engine::health, request::refund_if, web::identity};
pub use self::{
    engine::{
        AdjustError, CheckError, ClientLimiter, Error, Limit, Limits, Permit, Quota, Refusal, Settlement, Traffik,
        TraffikBuilder,
    },
    limit::{ByUid, ConfigError, DefaultIdentity, Settings, Throttle, Throttles},
    memory::MemoryBackend,
    on_error::breaker,
    web::{
        Bypass, ClientIp, Fields, ForwardedHeader, LimitLayer, Limited, Limiter, Peek, ProxyError, RequestQuota,
        Responder, Rule, ThrottleLayer, ThrottleRejection, Throttled, TraffikLayer, client_ip, limit_layer,
        limit_layer_of, throttle_layer,
    },
};
