//! Changes for all processes.

mod app;
mod clients;
mod limit;

pub use self::{app::Shared, limit::SharedLimit};
