//! Everything that a user sees, through the public API.
//!
//! Where the environment variable `TRAFFIK_LONG` is set, what is tried at random is tried a hundred times as often and
//! more. That takes minutes, and less with `--release`.

#[macro_use]
mod throttles;

mod client_ip;
mod collisions;
mod conformance;
mod decisions;
mod http;
mod memory;
mod model;
mod on_error;
mod out_of_range;
#[path = "../../traffik-redis/src/owned.rs"]
mod owned;
mod patience;
mod places;
mod rate;
mod rules;
mod strategies;
mod traps;
mod ws;
