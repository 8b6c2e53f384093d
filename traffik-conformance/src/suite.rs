use std::{error::Error, fmt, pin::Pin, sync::Arc, time::Duration};

use traffik_core::{backend::Backend, clock::ManualClock, strategy::AnyStrategy};

use super::{
    Failure, Failures,
    bench::{Bench, Subject},
    cases,
    failure::Mismatch,
};

/// How long a case may take: one takes a second or so.
const PATIENCE: Duration = Duration::from_secs(120);

/// The cases, and how the backends are made that are put to them. See the [module](self::super) for what is checked.
#[derive(Clone)]
#[must_use]
pub struct Suite {
    make: Make,
    supports: Supports,
}

type Make = Arc<dyn Fn(String, ManualClock) -> Making + Send + Sync>;
type Making = Pin<Box<dyn Future<Output = Result<Arc<dyn Backend>, Mismatch>> + Send>>;
pub(super) type Supports = Arc<dyn Fn(&AnyStrategy) -> bool + Send + Sync>;

/// One of the things that are expected of a backend.
#[derive(Clone, Copy)]
pub struct Case {
    pub(super) name: &'static str,
    pub(super) run: fn(Bench) -> Pin<Box<dyn Future<Output = Result<(), Mismatch>> + Send>>,
}

impl Suite {
    /// `make` makes a backend of a namespace that goes by a clock. Each case asks for one of its own, and some for several, which
    /// are best kept in one store, to see that they are kept apart there.
    ///
    /// The store is empty when a run begins.
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

    /// Asks about these strategies only, for a backend that does not know all of them.
    pub fn supports(self, supports: impl Fn(&AnyStrategy) -> bool + Send + Sync + 'static) -> Self {
        Self { supports: Arc::new(supports), ..self }
    }

    /// The cases, to be [run](Self::run) one by one.
    pub fn cases() -> impl Iterator<Item = Case> {
        cases::ALL.iter().copied()
    }

    /// Puts the backend to one case.
    ///
    /// It spawns tasks and waits no longer than two minutes, so it needs a runtime of tokio, with its time. If that has several
    /// threads, tasks meet in more ways.
    ///
    /// # Errors
    ///
    /// When the backend does something else than is expected of it.
    pub async fn run(&self, case: Case) -> Result<(), Failure> {
        let bench = Bench::new(self.clone(), case.name);
        let late = || Mismatch::new("all of it", format_args!("an end within {PATIENCE:?}"), "none");
        let done = tokio::time::timeout(PATIENCE, (case.run)(bench)).await.unwrap_or_else(|_| Err(late()));
        done.map_err(|mismatch| Failure::new(case.name, mismatch))
    }

    /// Puts the backend to all cases, one after the other.
    ///
    /// # Errors
    ///
    /// All cases that it fails.
    pub async fn check(&self) -> Result<(), Failures> {
        let mut failures = Vec::new();
        for case in Self::cases() {
            failures.extend(self.run(case).await.err());
        }
        if failures.is_empty() { Ok(()) } else { Err(Failures(failures)) }
    }

    pub(super) fn is_supported(&self, strategy: &AnyStrategy) -> bool {
        (self.supports)(strategy)
    }

    pub(super) async fn make(&self, namespace: String) -> Result<Subject, Mismatch> {
        let clock = ManualClock::new();
        Ok(Subject::new((self.make)(namespace, clock.clone()).await?, clock))
    }
}

impl Case {
    /// What is expected, as the name of a test.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite").finish_non_exhaustive()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}
