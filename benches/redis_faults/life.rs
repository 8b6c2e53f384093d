//! A server, from when it began to count until it forgot.

use std::collections::BTreeSet;

use crate::{
    calls::{Call, Told},
    site::Began,
};

/// What a server that counted was told to do, and did.
#[derive(Default)]
pub(crate) struct Life {
    /// The numbers that callers were told.
    told: BTreeSet<u64>,
    /// Numbers that were told more than once.
    told_twice: u64,
    /// Calls that it may have executed.
    calls: u64,
    /// What it executed, as far as anybody knows.
    executed: u64,
}

impl Life {
    /// The one that counted until the end, and came to `executed`.
    pub(crate) fn last(calls: &[Call], began: &Began, executed: u64) -> Self {
        // Whoever heard before it began was not told by it.
        let calls = calls.iter().filter(|call| call.ended >= began.here && !call.was_told_before(began));
        Self { executed, ..Self::of(calls) }
    }

    /// The one before, of which only that is known that callers were told. There is none if nothing was forgotten.
    pub(crate) fn before(calls: &[Call], began: &Began) -> Self {
        let life = Self::of(calls.iter().filter(|call| call.was_told_before(began)));
        Self { executed: life.told.last().copied().unwrap_or_default(), calls: u64::MAX, ..life }
    }

    fn of<'a>(calls: impl Iterator<Item = &'a Call>) -> Self {
        let mut life = Self::default();
        for call in calls {
            life.calls += 1;
            if let Told::Admitted { number, .. } = call.told {
                life.told_twice += u64::from(!life.told.insert(number));
            }
        }
        life
    }

    /// Executed, and nobody was told. Below zero somebody was told of what was not executed.
    pub(crate) fn unheard(&self) -> i64 {
        i64::try_from(self.executed).unwrap_or(i64::MAX) - i64::try_from(self.told.len()).unwrap_or(i64::MAX)
    }

    /// Executed beyond one for each call, or told to two callers.
    pub(crate) fn twice(&self) -> u64 {
        self.told_twice + self.executed.saturating_sub(self.calls)
    }
}

impl Call {
    fn was_told_before(&self, began: &Began) -> bool {
        matches!(self.told, Told::Admitted { at, .. } if at < began.there)
    }
}
