//! The keys of the hits of one call.

use traffik_core::{Rate, backend::BackendError, decision::Hit, strategy::Strategy};

use crate::{keys::Keys, scripts::LuaStrategy};

#[derive(Default)]
pub(crate) struct Places {
    pub(crate) keys: Vec<String>,
    /// The position of the key of each hit. `None` at an unlimited rate.
    pub(crate) of_hits: Vec<Option<usize>>,
    /// The amount of each hit.
    pub(crate) amounts: Vec<Amount>,
}

/// The amount that a hit would charge.
#[derive(Clone, Copy)]
pub(crate) struct Amount {
    pub(crate) rate: Rate,
    pub(crate) cost: u64,
    pub(crate) at_least: u64,
    pub(crate) is_enforced: bool,
}

impl Amount {
    pub(crate) fn is_plain(&self) -> bool {
        self.is_enforced && self.at_least == self.cost
    }

    /// Returns the maximum that an enforced hit can have above its lowest cost, if it takes what fits.
    pub(crate) fn extra(&self) -> Option<u64> {
        self.cost.checked_sub(self.at_least).filter(|&extra| extra > 0 && self.is_enforced)
    }

    /// Returns the cost with `extra` above the lowest.
    pub(crate) fn granted(&self, extra: u64) -> u64 {
        self.at_least.saturating_add(extra).min(self.cost)
    }
}

impl From<&Hit<'_>> for Amount {
    fn from(hit: &Hit<'_>) -> Self {
        Self { rate: hit.rate, cost: hit.cost, at_least: hit.least(), is_enforced: hit.enforced }
    }
}

impl Places {
    pub(crate) fn of(hits: &[Hit<'_>], keys: &Keys) -> Result<Self, BackendError> {
        let mut places = Self::default();
        for hit in hits {
            // A new key comes last.
            let place = if hit.rate.is_unlimited() { None } else { Some(places.place(hit, keys)?) };
            places.of_hits.push(place);
            places.amounts.push(hit.into());
        }
        Ok(places)
    }

    /// Returns the maximum that hits at unlimited rates allow all hits that take what fits. Returns `u64::MAX` if there
    /// are none.
    pub(crate) fn max_extra(&self) -> u64 {
        let unlimited = self.amounts.iter().filter(|amount| amount.rate.is_unlimited());
        unlimited.filter_map(Amount::extra).min().unwrap_or(u64::MAX)
    }

    fn place(&mut self, hit: &Hit<'_>, keys: &Keys) -> Result<usize, BackendError> {
        // At higher rates the numbers would not be exact.
        hit.limit.strategy().check(hit.rate).map_err(BackendError::unavailable)?;
        let key = keys.of(hit).map_err(BackendError::misconfigured)?;
        Ok(self.keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.keys.push(key);
            self.keys.len() - 1
        }))
    }

    /// Returns whether only the custom strategy of the hit can decide about it, because it has no Lua form.
    pub(crate) fn is_own(hit: &Hit<'_>) -> bool {
        LuaStrategy::of(hit.limit.strategy()).is_none() && !hit.rate.is_unlimited()
    }
}
