//! The app's handle: one backend, and the defaults of every throttle.

mod ask;
mod builder;
mod charge;
mod deadline;
mod error;
mod known;
mod registry;
mod traffik;

pub(crate) use self::ask::Asked;
pub use self::{builder::TraffikBuilder, charge::Charge, error::Error, traffik::Traffik};
