//! The duration of a program.

use std::{env, time::Duration};

use anyhow::{Result, bail};

/// The number of rounds, and the time of each side in a round.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The number of rounds.
    pub rounds: usize,
    /// The approximate time of one side in one round.
    pub batch: Duration,
}

impl Effort {
    const FULL: Self = Self { rounds: 31, batch: Duration::from_millis(6) };
    const QUICK: Self = Self { rounds: 5, batch: Duration::from_millis(2) };

    /// Reads the arguments: `--quick` shortens the run.
    ///
    /// # Errors
    ///
    /// Returns an error if an argument is unknown.
    pub fn from_args() -> Result<Self> {
        let mut effort = Self::FULL;
        for arg in env::args().skip(1) {
            match arg.as_str() {
                "--quick" => effort = Self::QUICK,
                // Passed by Cargo.
                "--bench" => {}
                unknown => bail!("unknown argument `{unknown}`: use `--quick` or none"),
            }
        }
        Ok(effort)
    }

    /// Returns how often an operation that takes `nanoseconds` runs in a batch.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    pub fn times(&self, nanoseconds: f64) -> usize {
        ((self.batch.as_secs_f64() * 1e9 / nanoseconds) as usize).max(1)
    }
}
