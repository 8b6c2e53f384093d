//! How long a program takes its time.

use std::{env, time::Duration};

use anyhow::{Result, bail};

/// How many rounds there are, and how long each side is timed in each.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How many rounds.
    pub rounds: usize,
    /// How long one side runs in one round, about.
    pub batch: Duration,
}

impl Effort {
    const FULL: Self = Self { rounds: 31, batch: Duration::from_millis(6) };
    const QUICK: Self = Self { rounds: 5, batch: Duration::from_millis(2) };

    /// Less with `--quick`.
    ///
    /// # Errors
    ///
    /// When an argument is unknown.
    pub fn from_args() -> Result<Self> {
        let mut effort = Self::FULL;
        for arg in env::args().skip(1) {
            match arg.as_str() {
                "--quick" => effort = Self::QUICK,
                // Cargo's own.
                "--bench" => {}
                unknown => bail!("unknown argument `{unknown}`: there is `--quick`"),
            }
        }
        Ok(effort)
    }

    /// How often something that takes so many nanoseconds is done in a batch.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    pub fn times(&self, nanoseconds: f64) -> usize {
        ((self.batch.as_secs_f64() * 1e9 / nanoseconds) as usize).max(1)
    }
}
