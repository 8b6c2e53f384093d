//! The backends of an app: their deadlines, the permits that are held in them, and the charges that are settled later.

mod availability;
mod deadline;
mod handle;
mod lease_table;
mod leases;
mod settlement;
mod shared_text;
mod stores;
mod tasks;
mod upkeep;
mod watchers;

pub use self::settlement::AdjustError;
pub(crate) use self::{
    availability::AvailabilityState,
    deadline::{first_of, within, within_on_any_runtime},
    handle::Store,
    leases::Lease,
    settlement::{AdjustResult, Done, Settles},
    stores::Stores,
    watchers::{Signal, Watch},
};

#[cfg(feature = "ws")]
pub(crate) use self::settlement::{Pending, Settlement};

/// The number of hits of one decision that are kept without an allocation.
pub(crate) const HITS_INLINE: usize = 4;
