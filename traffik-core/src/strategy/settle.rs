use thiserror::Error;

use super::{State, StoredState, Strategy};
use crate::{clock::Timestamp, rate::Rate};

/// The highest count that is stored: 2^47. Every limit is lower.
const MAX_COUNT: u64 = 1 << 47;

/// The reason why a charge was not settled. The charge stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The cost is further above the limit than the strategy can store.
    #[error("{strategy}: a cost of {actual} is too far above the limit to be stored: the most is {most}")]
    TooMuch {
        /// The name of the strategy.
        strategy: &'static str,
        /// The cost that was to be charged in total.
        actual: u64,
        /// What the strategy can store, in words.
        most: &'static str,
    },
    /// The strategy does not count amounts, so a charge can only be given back as a whole.
    #[error("{strategy}: a permit can be given back, but it cannot have another cost")]
    Indivisible {
        /// The name of the strategy.
        strategy: &'static str,
    },
}

/// Gives back or charges the difference of two costs.
pub(super) fn by_difference(
    strategy: &(impl Strategy + ?Sized),
    past: Option<StoredState>,
    rate: Rate,
    charged: u64,
    actual: u64,
    charged_at: Timestamp,
    now: Timestamp,
) -> State {
    match past {
        Some(past) if actual < charged => strategy.refund(past, charged - actual, charged_at, now),
        past => strategy.charge(past, rate, actual.saturating_sub(charged), now),
    }
}

/// Returns the same for a strategy whose second integer is a count.
pub(super) fn by_count(
    strategy: &impl Strategy,
    past: Option<StoredState>,
    rate: Rate,
    charged: u64,
    actual: u64,
    charged_at: Timestamp,
    now: Timestamp,
) -> Result<State, SettleError> {
    let state = by_difference(strategy, past, rate, charged, actual, charged_at, now);
    let [_, count] = state.words();
    if actual > charged && count > MAX_COUNT {
        return Err(SettleError::TooMuch { strategy: strategy.name(), actual, most: "2^47 in a window" });
    }
    Ok(state)
}
