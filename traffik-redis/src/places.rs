//! Where the hits of one call are stored.

use traffik_core::{Rate, backend::BackendError, decision::Hit, strategy::Strategy};

use crate::{keys::Keys, scripts::LuaStrategy};

#[derive(Default)]
pub(crate) struct Places {
    pub(crate) keys: Vec<String>,
    /// For each hit the place of its key; `None` at an unlimited rate.
    pub(crate) of_hits: Vec<Option<usize>>,
    /// The rate and the cost of each hit.
    pub(crate) amounts: Vec<(Rate, u64)>,
}

impl Places {
    pub(crate) fn of<'a>(hits: impl IntoIterator<Item = &'a Hit<'a>>, keys: &Keys) -> Result<Self, BackendError> {
        let mut places = Self::default();
        for hit in hits {
            places.add(hit, keys)?;
        }
        Ok(places)
    }

    /// Adds a hit: the place of its key, which comes last if it was not there.
    pub(crate) fn add(&mut self, hit: &Hit<'_>, keys: &Keys) -> Result<Option<usize>, BackendError> {
        let place = if hit.rate.is_unlimited() { None } else { Some(self.place(hit, keys)?) };
        self.of_hits.push(place);
        self.amounts.push((hit.rate, hit.cost));
        Ok(place)
    }

    fn place(&mut self, hit: &Hit<'_>, keys: &Keys) -> Result<usize, BackendError> {
        // Beyond what it checks the numbers would not be exact.
        hit.limit.strategy().check(hit.rate).map_err(BackendError::unavailable)?;
        let key = keys.of(hit).map_err(BackendError::unavailable)?;
        Ok(self.keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.keys.push(key);
            self.keys.len() - 1
        }))
    }

    /// Whether it is a hit that only its own strategy can decide about, since no program can.
    pub(crate) fn is_own(hit: &Hit<'_>) -> bool {
        LuaStrategy::of(hit.limit.strategy()).is_none() && !hit.rate.is_unlimited()
    }
}
