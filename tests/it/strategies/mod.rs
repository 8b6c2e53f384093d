//! The strategies in the memory backend, compared with their models at random.

mod clock_goes_back;
mod edges;
mod jumping_clock;
mod own;
mod queue;
pub(crate) mod random;
mod rate_changes;
mod refunds;
mod refunds_of_logs;
mod refusals;
mod renewals;
mod rig;
mod saturated;
mod settlements;
mod traces;
mod two_rates;

use tests::configured_strategies;
use traffik::{Rate, backend::BackendError, strategy::AnyStrategy};

type Result = std::result::Result<(), BackendError>;

/// The rates of every property test: the slowest and the fastest that are supported, the bounds, primes, and common
/// ones.
const RATES: &[Rate] = &[
    Rate::literal("1/30d"),
    Rate::literal("10000000/s"),
    Rate::literal("1/50d"),
    Rate::literal("100000000000000/50d"),
    Rate::literal("1/us"),
    Rate::literal("3/us"),
    Rate::literal("9999991/s"),
    Rate::literal("97/10007us"),
    Rate::literal("999983/7h13m"),
    Rate::literal("2147483647/4319999999999us"),
    Rate::literal("1/s"),
    Rate::literal("7/s"),
    Rate::literal("5/10s"),
    Rate::literal("60/min"),
    Rate::literal("100/5m30s"),
    Rate::literal("1000/500ms"),
];

/// Returns every strategy with several settings, and custom strategies.
pub(crate) fn all_strategies(rate: Rate) -> Vec<AnyStrategy> {
    configured_strategies(rate).into_iter().chain(own::strategies(rate)).collect()
}
