//! Strategies of a user's own: decided in Rust, and stored only if nobody was faster.

#[path = "../../it/strategies/own/cool_down.rs"]
#[allow(dead_code, reason = "their models are for memory")]
mod cool_down;
mod exactly;
#[path = "../../it/strategies/own/leases.rs"]
#[allow(dead_code, reason = "their models are for memory")]
mod leases;
mod meddler;
mod panics;
#[path = "../../../examples/own_strategy/roll_over.rs"]
mod roll_over;
mod swapping;

use traffik::strategy::AnyStrategy;

pub(crate) use self::{cool_down::CoolDown, leases::Leases, panics::Fragile, roll_over::RollOver};

/// Each once, and what it is called.
fn strategies() -> Vec<AnyStrategy> {
    vec![AnyStrategy::custom(CoolDown), AnyStrategy::custom(Leases), AnyStrategy::custom(RollOver { saved: 0 })]
}
