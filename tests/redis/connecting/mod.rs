//! Connecting to servers: addresses, unsuitable servers, and servers that start later.

mod addresses;
mod later;
mod runtimes;
mod secured;
mod unsuitable;
