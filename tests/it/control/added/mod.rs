//! Limits that are values: added, replaced and removed while the app runs.

mod checking;
mod layers;
mod lifetime;
mod listing;
mod moving;
mod races;

use traffik::{ConfigError, Settings, Traffik, test::ManualClock};

use super::{FIVE, Result, TWO};
use crate::http::app::{builder, throttle, traffik};

const UID: &str = "tenant:acme";

throttle!(Typed, "added:typed", "2/hour");

/// Returns a handle with one limit of two an hour, on a clock that the test moves.
fn with_limit() -> Result<(Traffik, ManualClock)> {
    let (builder, clock) = builder();
    Ok((builder.add_limit(UID, TWO, Settings::new()).build()?, clock))
}

/// Returns whether a client is admitted.
async fn admits(traffik: &Traffik, uid: &str, client: &'static str) -> Result<bool> {
    use traffik::CheckError;
    match traffik.limiter_of(uid, client).check().await {
        Ok(_) => Ok(true),
        Err(CheckError::Refused(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn is_unknown<T>(result: &std::result::Result<T, ConfigError>) -> bool {
    matches!(result, Err(ConfigError::UnknownUid { .. }))
}
