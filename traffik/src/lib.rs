//! traffik
#[doc(hidden)]
pub mod __private;
pub mod app;
pub mod backend;
pub mod client;
pub mod clock;
pub mod decision;
pub mod limits;
mod one_or_more;
pub mod rate;
pub mod strategy;
pub mod test;
pub mod throttle;
#[cfg(feature = "axum")]
pub mod web;

#[cfg(feature = "macros")]
pub use traffik_macros::Throttle;
#[cfg(all(feature = "macros", feature = "axum"))]
pub use traffik_macros::throttled;

#[cfg(feature = "axum")]
pub use self::web::{Limited, Responder, ThrottleRejection, Throttled, TraffikLayer, client_ip, throttle_layer};
pub use self::{
    app::{Error, Traffik, TraffikBuilder},
    client::{Client, EXEMPTED},
    limits::{Limit, Limits},
    rate::{Rate, RateError},
    throttle::{ConfigError, DefaultIdentity, Settings, Throttle, Throttles},
};
