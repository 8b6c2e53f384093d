//! The backends of an app: their deadlines, and the places that are held in them.

mod deadline;
mod handle;
mod leases;

pub(crate) use self::{
    deadline::within,
    handle::{Store, Stores},
    leases::Lease,
};
