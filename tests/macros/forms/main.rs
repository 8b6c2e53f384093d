//! Checks each form of the macros in an app over TCP.

mod arguments;
mod at_once;
mod openapi;
mod places;
mod server;
mod settings;
mod together;
mod unit_test;
