//! Sends commands to the servers of a cluster, and follows slots that move.
//!
//! Each server has its own connection, made by redis-rs. The connections are independent: a server that hangs delays no
//! call to another. Any server that answers reports the slots, and redirects report changes. Redirects are followed
//! here, so that only a command that certainly did not run is sent again.

mod connector;
mod node;
mod redirects;
mod refresh;
mod routing;
mod slot_map;
mod slots;

pub(super) use self::routing::Cluster;
