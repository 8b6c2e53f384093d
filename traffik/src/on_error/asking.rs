//! The backend is asked, and again if that is safe.

use super::{budget::Budget, retry::Retry};
use crate::{
    app::Asked,
    backend::{BackendError, Store},
    decision::{Decision, Hit},
    limits::{Judge, Limits},
    one_or_more::OneOrMore,
};

/// What the backend decides, within the budget.
pub(super) async fn ask(
    store: &Store,
    asked: &OneOrMore<Asked<'_>>,
    retry: Retry,
    budget: Budget<'_>,
) -> Result<Limits, BackendError> {
    let hits = Asked::hits(asked);
    let mut decision = budget.hold(again(store, &hits, retry, budget)).await?;
    Ok(Limits::new(asked, &mut decision, &Judge::Backend))
}

/// The same, if that takes no waiting. What fails is asked by whoever waits.
pub(super) fn ask_now(store: &Store, asked: &OneOrMore<Asked<'_>>) -> Option<Limits> {
    let mut decision = Asked::with_hits(asked, |hits| store.ask_now(hits))?.ok()?;
    Some(Limits::new(asked, &mut decision, &Judge::Backend))
}

/// Asks until there is an answer, or an attempt that may have run, or no time left for one more.
async fn again(store: &Store, hits: &[Hit<'_>], retry: Retry, budget: Budget<'_>) -> Result<Decision, BackendError> {
    let mut pauses = retry.pauses();
    loop {
        match store.ask(hits).await {
            Err(error @ BackendError::NotRun(_)) => match pauses.next().filter(|pause| *pause < budget.left()) {
                Some(pause) => budget.clock.sleep(pause).await,
                None => return Err(error),
            },
            answer => return answer,
        }
    }
}
