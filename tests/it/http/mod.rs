//! What goes over HTTP, seen from the client's side of a socket.

mod app;
mod backends;
mod body_streams;
mod costs;
mod field_values;
mod fields;
mod forwarding;
mod giving_back;
mod identifiers;
mod identity_extractors;
mod layers;
mod load;
mod logs;
mod misconfigured;
mod once;
mod peers;
mod proxies;
mod refusals;
mod responders;
mod retry_after;
mod server;
mod state;
mod tuples;
mod two_backends;
mod unavailable;
mod wire;
