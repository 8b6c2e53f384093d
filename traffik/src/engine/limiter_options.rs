use std::time::Duration;

use traffik_core::{OutOfRange, rate::Rate};

use super::{Check, Checks};
use crate::limit::ConfigError;

/// What a caller sets of its checks in place of what the throttles say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LimiterOptions {
    pub(crate) cost: Option<u64>,
    pub(crate) at_least: Option<u64>,
    pub(crate) rate: Option<Rate>,
    /// How long a check may wait for its turn.
    pub(crate) wait: Option<Duration>,
}

impl LimiterOptions {
    pub(crate) fn apply(&self, checks: &mut Checks<'_>) -> Result<(), ConfigError> {
        checks.iter_mut().try_for_each(|check| self.apply_to(check))
    }

    pub(crate) fn apply_to(&self, check: &mut Check<'_>) -> Result<(), ConfigError> {
        if let Some(cost) = self.cost {
            (check.cost, check.own.cost) = (cost, true);
        }
        if let Some(at_least) = self.at_least {
            OutOfRange::check("Limiter::at_least", at_least, 0..=check.cost)?;
            check.at_least = at_least;
        }
        if let Some(rate) = self.rate {
            check.definition.check_rate(rate)?;
            (check.rate, check.own.rate) = (rate, true);
        }
        Ok(())
    }
}
