//! A layer that throttles whatever it is put around.

mod hold;
mod layer;
mod service;

pub use self::{
    layer::{ThrottleLayer, throttle_layer},
    service::ThrottleService,
};
