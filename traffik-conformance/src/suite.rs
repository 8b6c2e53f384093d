use std::{error::Error, fmt, sync::Arc, time::Duration};

use traffik_core::{backend::Backend, clock::ManualClock, strategy::AnyStrategy};

use super::{
    Failure, Failures,
    bench::{Bench, Make, Making, Supports},
    cases::{self, Case},
    failure::Mismatch,
};

/// The longest time of a case. Most take a second or less.
const CASE_TIMEOUT: Duration = Duration::from_secs(120);

/// The cases, and a function that makes the backends to test. The crate describes what is checked.
#[derive(Clone)]
#[must_use]
pub struct Suite {
    make: Make,
    supports: Supports,
}

impl Suite {
    /// Creates a suite. `make` makes a backend with this namespace and this clock.
    ///
    /// Each case makes a backend with a namespace of its own, and some cases make several. Keep all of them in one store: the
    /// suite then checks that namespaces are kept apart. The store must be empty when a run begins.
    pub fn new<B, E, F>(make: impl Fn(String, ManualClock) -> F + Send + Sync + 'static) -> Self
    where
        B: Backend,
        E: Into<Box<dyn Error + Send + Sync>>,
        F: Future<Output = Result<B, E>> + Send + 'static,
    {
        let make = move |namespace: String, clock| -> Making {
            let (asked, making) = (format!("to make a backend of the namespace {namespace:?}"), make(namespace, clock));
            Box::pin(async move {
                let backend = making.await.map_err(Into::into);
                backend
                    .map(|backend| Arc::new(backend) as Arc<dyn Backend>)
                    .map_err(|error| Mismatch::unanswered_at_all(asked, &*error))
            })
        };
        Self { make: Arc::new(make), supports: Arc::new(|_| true) }
    }

    /// Restricts the suite to the strategies that the backend supports. Defaults to all of them.
    pub fn supports(self, supports: impl Fn(&AnyStrategy) -> bool + Send + Sync + 'static) -> Self {
        Self { supports: Arc::new(supports), ..self }
    }

    /// Returns all cases. [`run`](Self::run) runs one of them.
    pub fn cases() -> impl Iterator<Item = Case> {
        cases::ALL.iter().copied()
    }

    /// Runs one case, for at most two minutes.
    ///
    /// It needs a tokio runtime with its timer, since it spawns tasks. A runtime with several threads tests more orders of
    /// concurrent calls.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend fails the case.
    pub async fn run(&self, case: Case) -> Result<(), Failure> {
        let Self { make, supports } = self.clone();
        let bench = Bench { case: case.name(), make, supports };
        let late = || Mismatch::new("all of it", format_args!("an end within {CASE_TIMEOUT:?}"), "none");
        let done = tokio::time::timeout(CASE_TIMEOUT, (case.run)(bench)).await.unwrap_or_else(|_| Err(late()));
        done.map_err(|mismatch| Failure::new(case.name(), mismatch))
    }

    /// Runs all cases, one after the other.
    ///
    /// # Errors
    ///
    /// Returns all cases that the backend fails.
    pub async fn check(&self) -> Result<(), Failures> {
        let mut failures = Vec::new();
        for case in Self::cases() {
            failures.extend(self.run(case).await.err());
        }
        if failures.is_empty() { Ok(()) } else { Err(Failures(failures)) }
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite").finish_non_exhaustive()
    }
}
