//! The backends of an app: their deadlines, and the places that are held in them.

mod deadline;
mod handle;
mod leases;

pub(crate) use self::{
    deadline::within,
    handle::{Store, Stores},
    leases::Lease,
};

/// As many hits of one decision are kept without an allocation.
pub(crate) const HITS_INLINE: usize = 4;
