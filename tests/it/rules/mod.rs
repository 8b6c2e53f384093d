//! Whether rules let a throttle apply, asked through a layer.

mod conditions;
mod disguises;
mod probe;
mod readers;
