//! The layer that puts the handle into every request, and tells in every response what was met.

mod future;
mod layer;
mod service;

pub use self::{future::ResponseFuture, layer::TraffikLayer, service::TraffikService};
