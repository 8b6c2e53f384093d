//! Everything that a user sees, through the public API.

mod decisions;
mod http;
mod memory;
mod model;
mod rate;
mod strategies;
