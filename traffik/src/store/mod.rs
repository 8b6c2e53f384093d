//! The backends of an app: their deadlines, and the permits that are held in them.

mod deadline;
mod handle;
mod lease_table;
mod leases;
mod stores;
mod tasks;

pub(crate) use self::{deadline::within, handle::Store, leases::Lease, stores::Stores};

/// The number of hits of one decision that are kept without an allocation.
pub(crate) const HITS_INLINE: usize = 4;
