//! Custom strategies: decided in Rust, and stored only if the state did not change in between.

mod compare_and_swap;
#[path = "../../it/strategies/own/cool_down.rs"]
#[allow(dead_code, reason = "their models are for memory")]
mod cool_down;
mod exactly;
mod interference;
#[path = "../../it/strategies/own/leases.rs"]
#[allow(dead_code, reason = "their models are for memory")]
mod leases;
mod panics;
#[path = "../../../examples/own_strategy/roll_over.rs"]
mod roll_over;

use traffik::strategy::AnyStrategy;

pub(crate) use self::{cool_down::CoolDown, leases::Leases, panics::Fragile, roll_over::RollOver};

/// Returns each strategy once, with its name.
fn strategies() -> Vec<AnyStrategy> {
    vec![AnyStrategy::custom(CoolDown), AnyStrategy::custom(Leases), AnyStrategy::custom(RollOver { saved: 0 })]
}
