//! The layer that puts the handle into every request, and completes every response.

mod future;
mod layer;
mod service;

pub use self::{future::ResponseFuture, layer::TraffikLayer, service::TraffikService};
