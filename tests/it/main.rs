//! Tests of the public API.
//!
//! With the environment variable `TRAFFIK_LONG`, random tests run a hundred times as many cases or more. That takes
//! minutes, and less with `--release`.

#[macro_use]
mod throttles;

mod accounting;
mod admin;
mod client_ip;
mod collisions;
mod conformance;
mod control;
mod decisions;
mod gated;
mod http;
mod limiter;
mod memory;
mod metrics;
mod model;
mod observe;
mod on_error;
mod openapi;
mod out_of_range;
mod outgoing;
#[path = "../../traffik-redis/src/owned.rs"]
mod owned;
mod patience;
mod permits;
mod rate;
mod rules;
mod strategies;
mod traps;
mod waiting;
mod ws;
