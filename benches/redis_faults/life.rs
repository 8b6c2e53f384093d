//! The life of a server, from its start until it lost its data.

use std::collections::BTreeSet;

use crate::{
    calls::{Call, CallResult},
    site::Began,
};

/// The calls to a server during its life, and the charges that it counted.
#[derive(Default)]
pub(crate) struct Life {
    /// The numbers that callers received.
    numbers: BTreeSet<u64>,
    /// The numbers that more than one caller received.
    duplicates: u64,
    /// The calls that the server may have executed.
    calls: u64,
    /// The calls that the server executed, as far as known.
    executed: u64,
}

impl Life {
    /// Creates the last life, in which the server executed `executed` calls.
    pub(crate) fn last(calls: &[Call], began: &Began, executed: u64) -> Self {
        // A result that arrived before the life began belongs to an earlier one.
        let calls = calls.iter().filter(|call| call.ended >= began.here && !call.ended_before(began));
        Self { executed, ..Self::of(calls) }
    }

    /// Creates the life before, of which only the results of callers are known. It is empty if no data was lost.
    pub(crate) fn before(calls: &[Call], began: &Began) -> Self {
        let life = Self::of(calls.iter().filter(|call| call.ended_before(began)));
        Self { executed: life.numbers.last().copied().unwrap_or_default(), calls: u64::MAX, ..life }
    }

    fn of<'a>(calls: impl Iterator<Item = &'a Call>) -> Self {
        let mut life = Self::default();
        for call in calls {
            life.calls += 1;
            if let CallResult::Admitted { number, .. } = call.result {
                life.duplicates += u64::from(!life.numbers.insert(number));
            }
        }
        life
    }

    /// Returns the number of executed calls whose callers received no result. A negative number is results without
    /// execution.
    pub(crate) fn unreported(&self) -> i64 {
        i64::try_from(self.executed).unwrap_or(i64::MAX) - i64::try_from(self.numbers.len()).unwrap_or(i64::MAX)
    }

    /// Returns the number of executions beyond one for each call, or results that two callers received.
    pub(crate) fn twice(&self) -> u64 {
        self.duplicates + self.executed.saturating_sub(self.calls)
    }
}

impl Call {
    fn ended_before(&self, began: &Began) -> bool {
        matches!(self.result, CallResult::Admitted { at, .. } if at < began.there)
    }
}
