//! Charges whose cost becomes known after the decision.

mod bodies;
mod grants;
mod hang_ups;
mod later;
mod messages;
mod quotas;
mod refund_if;
mod request_quotas;
mod settling;

use traffik::{Client, Throttle, Traffik};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Returns what remains of a limit.
async fn remaining<T: Throttle>(traffik: &Traffik, client: impl Into<Client>) -> Result<u64> {
    let limits = traffik.limiter::<T>(client).peek().await?;
    Ok(limits.tightest().remaining().units().ok_or("unlimited")?)
}
