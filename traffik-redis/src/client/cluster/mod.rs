//! Sends commands to the servers of a cluster, and follows slots that move.
//!
//! Each server has its own connection. The connections are independent: a server that hangs delays no call to another.
//! Any server that answers reports the slots, and redirects report changes. Redirects are followed here, so that only a
//! command that certainly did not run is sent again. (The cluster client of fred may give one caller the answer of another
//! after a redirect to a slot that moves.)

mod node;
mod routing;
mod slot_map;

pub(super) use self::routing::Cluster;
