//! The app's handle: its backends, and the defaults of every throttle.

mod ask;
mod builder;
mod charge;
mod error;
mod inquiry;
mod known;
mod registry;
mod started;
mod task;
mod traffik;

#[cfg(feature = "ws")]
pub(crate) use self::task::in_a_task;
pub(crate) use self::{
    ask::Asked,
    registry::Registry,
    started::{Started, Waiting},
};
pub use self::{builder::TraffikBuilder, charge::Charge, error::Error, inquiry::Inquiry, traffik::Traffik};
