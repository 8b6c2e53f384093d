//! A layer that throttles the routes inside of it.

mod hold;
mod layer;
mod service;

pub(in crate::web) use self::service::{checked, take_ready};
pub use self::{
    layer::{ThrottleLayer, throttle_layer},
    service::ThrottleService,
};
