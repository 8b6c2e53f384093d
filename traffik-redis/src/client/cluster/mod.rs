//! Sends commands to the servers of a cluster, and follows slots that move.
//!
//! Each server has its own connection, made by redis-rs. The connections are independent: a server that hangs delays no
//! call to another. Any server that answers reports the slots, and redirects report changes. Redirects are followed
//! here, so that only a command that certainly did not run is sent again. (The cluster client of redis-rs does neither:
//! it reads no answer while it reconnects to one server, and with retries, which its redirects count as, it sends a
//! command again whose connection was lost.)

mod node;
mod routing;
mod slot_map;

pub(super) use self::routing::Cluster;
