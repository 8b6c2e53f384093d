//! Callers that take what fits.

use std::time::Duration;

use super::{LONG, Result, Ten, exhaust, started, traffik, waits};

#[tokio::test]
async fn caller_waits_for_its_lowest_cost_and_takes_what_fits() -> Result {
    let (traffik, clock) = traffik()?;
    exhaust::<Ten>(&traffik).await?;
    let waiting = started::<Ten>(&traffik, |limiter| limiter.at_least(2).at_most(8).wait(LONG));
    clock.advance(Duration::from_secs(12));
    assert_eq!(waiting.await?.granted(), 2);

    let waiting = started::<Ten>(&traffik, |limiter| limiter.at_least(2).at_most(8).wait(LONG));
    let behind = waits::<Ten>(&traffik, LONG);
    // More has come when the task runs.
    clock.advance(Duration::from_secs(30));
    assert_eq!(waiting.await?.granted(), 5);
    clock.advance(Duration::from_secs(6));
    assert_eq!(behind.await?.granted(), 1);
    Ok(())
}
