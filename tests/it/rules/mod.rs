//! Whether the rules of a throttle match a request, checked through a layer.

mod conditions;
mod disguises;
mod probe;
mod readers;
