//! Limits on calls that this app makes: a [tower](https://docs.rs/tower) layer for HTTP clients.
//!
//! A third-party API has a limit, which all processes of an app share. The [`OutgoingLayer`] wraps a
//! client, such as that of `hyper-util`, a channel of `tonic`, or `reqwest`. Each call waits for its turn, in the order in which
//! the calls of a process came. With a backend such as Redis, the processes share the limit.
//!
//! ```
//! use std::{convert::Infallible, time::Duration};
//!
//! use axum::{body::Body, http::{Request, Response}};
//! use tower::{Layer, ServiceExt, service_fn};
//! use traffik::{DefaultIdentity, Gcra, MemoryBackend, Rate, Settings, Throttle, Traffik};
//!
//! /// What the API allows, evenly spaced.
//! struct Geocoding;
//!
//! impl Throttle for Geocoding {
//!     const UID: &'static str = "outgoing:geocoding";
//!     const RATE: Rate = Rate::literal("50/s");
//!     type Identity = DefaultIdentity;
//!
//!     fn settings() -> Settings {
//!         Settings::new().strategy(Gcra::new())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let client = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
//! let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
//! let client = traffik.outgoing::<Geocoding>().wait(Duration::from_secs(10)).layer(client);
//!
//! let request = Request::get("https://api.example.com/places?q=Rome").body(Body::empty())?;
//! let response = client.oneshot(request).await?;
//! assert!(response.status().is_success());
//! # Ok(())
//! # }
//! ```
//!
//! # The key
//!
//! | | calls share a limit |
//! |---|---|
//! | no setting | to one host: `api.example.com` |
//! | [`key`](OutgoingLayer::key) | of this layer, to any host |
//! | [`key_by`](OutgoingLayer::key_by) | with the same key by a function of the request: an account, a path, a region |
//!
//! # Retry-After
//!
//! A response with the status 429 or 503 and a `Retry-After`, in seconds or as a date, holds the calls with its key back until
//! then, in this process. The response itself is returned as it is: the layer repeats no call. A layer for retries goes around
//! this one, so that each attempt waits for its turn.
//!
//! # What a call is charged
//!
//! A call is charged when its turn has come, whatever its response is. The extensions of the response hold the
//! [`Permit`](crate::Permit), which can refund or settle the charge. Without a turn in time nothing is charged, and the error is
//! an [`OutgoingError`].

mod layer;
mod service;

pub use self::{
    layer::OutgoingLayer,
    service::{Outgoing, OutgoingError},
};
