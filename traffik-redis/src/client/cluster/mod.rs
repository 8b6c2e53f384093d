//! A cluster: which of its servers a command goes to, and how it follows its slot when that moves.
//!
//! Each server has a connection of its own, by redis-rs, and knows nothing of the others: one that hangs holds up no call to
//! another. Where the slots are is learnt from any server that answers, and from redirects. Redirects are followed here, so that
//! nothing but what surely did not run is ever sent twice.

mod connector;
mod node;
mod redirects;
mod refresh;
mod routing;
mod slot_map;
mod slots;

pub(super) use self::routing::Cluster;
