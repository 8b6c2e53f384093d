use std::pin::Pin;

use traffik_core::{backend::Answer, decision::Decision};

use super::{Asked, Error};
use crate::{
    engine::{Judge, Limits},
    on_error::Planned,
    one_or_more::OneOrMore,
    store::Store,
};

/// A charge that was started.
#[derive(Debug)]
pub(crate) enum Started<'a> {
    /// Nothing has to be waited for.
    Done(Result<Limits, Error>),
    Waiting(Waiting<'a>),
}

/// What has to be waited for.
pub(crate) enum Waiting<'a> {
    /// The answer of a store that nothing is planned for.
    Store(&'a Store, Answer<'a, Decision>),
    Plan(Planned<'a>),
    /// A task that charges.
    Task(Pin<Box<dyn Future<Output = Result<Limits, Error>> + Send>>),
}

impl Waiting<'_> {
    /// Waits no longer than the store may take. `asked` is what the charge was started with.
    pub(crate) async fn finish(self, asked: &OneOrMore<Asked<'_>>) -> Result<Limits, Error> {
        match self {
            Self::Store(store, answer) => {
                let mut decision = store.in_time(answer).await?;
                Ok(Limits::decided(asked, &mut decision, &Judge::Backend)?)
            }
            Self::Plan(planned) => planned.finish(asked).await,
            Self::Task(task) => task.await,
        }
    }
}

impl std::fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting(..)")
    }
}
