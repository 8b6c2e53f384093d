//! How a server is reached, what is said of one that will not do, and one that is not there yet.

mod addresses;
mod later;
mod runtimes;
mod secured;
mod unsuitable;
