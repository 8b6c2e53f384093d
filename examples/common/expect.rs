//! Compares what a demo shows with what it must show.

use std::{error::Error, fmt::Debug};

pub(crate) fn expect<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Result<(), Box<dyn Error>> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}").into()) }
}
