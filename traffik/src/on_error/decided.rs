//! The backend is asked, and again if that is safe.

use traffik_core::{
    backend::{Answer, BackendError},
    decision::Decision,
};

use super::{budget::Budget, retry::Retry};
use crate::{
    engine::{Asked, Judge, Limits},
    one_or_more::OneOrMore,
    store::Store,
};

/// Starts a decision.
pub(super) fn decide<'a>(store: &'a Store, asked: &OneOrMore<Asked<'_>>) -> Answer<'a, Decision> {
    Asked::with_hits(asked, |hits| store.decide(hits))
}

/// What the backend decides within the budget, where it was asked once and `first` is its answer.
pub(super) async fn ask(
    store: &Store,
    asked: &OneOrMore<Asked<'_>>,
    retry: Retry,
    budget: Budget<'_>,
    first: Answer<'_, Decision>,
) -> Result<Limits, BackendError> {
    let mut decision = budget.hold(again(store, asked, retry, budget, first)).await?;
    Limits::decided(asked, &mut decision, &Judge::Backend)
}

/// Asks until there is an answer, or an attempt that may have run, or no time left for one more.
async fn again<'a>(
    store: &'a Store,
    asked: &OneOrMore<Asked<'_>>,
    retry: Retry,
    budget: Budget<'_>,
    first: Answer<'a, Decision>,
) -> Result<Decision, BackendError> {
    let (mut pauses, mut next) = (retry.pauses(), first);
    loop {
        match next.await {
            Err(error @ BackendError::NotRun(_)) => match pauses.next().filter(|pause| *pause < budget.left()) {
                Some(pause) => budget.clock.sleep(pause).await,
                None => return Err(error),
            },
            answer => return answer,
        }
        next = decide(store, asked);
    }
}
