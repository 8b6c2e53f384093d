//! Permits that are held until they are dropped.
//!
//! An admitted request has a [`Lease`], and gives its permit back by dropping it. While any permit of a store is held, one task
//! renews all of them. The same task makes the settlements that need waiting for.

mod later;
mod lease;
mod renewal_task;

pub(crate) use self::lease::Lease;
