//! Checks that published crates and their modules use each other in one direction.

mod check;
mod circles;
mod mentions;
mod modules;
mod table;

pub(crate) use self::check::check;
