//! Measures for how long the machine ran no thread of the program, which the program cannot influence.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{Builder, sleep},
    time::{Duration, Instant},
};

use crate::Result;

const NAP: Duration = Duration::from_millis(5);

/// The delay of a sleep that is not counted.
const LITTLE: Duration = Duration::from_millis(15);

/// A thread that sleeps and wakes until this is dropped. It is outside the runtime, so blocking the runtime is not
/// counted.
pub(super) struct Stalls {
    micros: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Stalls {
    pub(super) fn watch() -> Result<Self> {
        let stalls = Self { micros: Arc::default(), is_over: Arc::default() };
        let (micros, is_over) = (Arc::clone(&stalls.micros), Arc::clone(&stalls.is_over));
        Builder::new().spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let lay_down = Instant::now();
                sleep(NAP);
                let late = lay_down.elapsed().saturating_sub(NAP);
                if late > LITTLE {
                    micros.fetch_add(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
                }
            }
        })?;
        Ok(stalls)
    }

    /// Returns the sum of all stalls so far.
    pub(super) fn in_all(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed))
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
