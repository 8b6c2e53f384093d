//! Backends that fail on demand, and apps that use them.

use std::{
    fmt,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tests::until_idle;
use traffik::{
    Traffik, TraffikBuilder,
    backend::{Adjusted, Answer, Backend, BackendError, Control, ControlRequest, MaybeReady, MemoryBackend},
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit},
    test::ManualClock,
};

use crate::owned::{adjustments_of, charges_of, hits_of, owned};

/// How a backend answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Answers,
    /// Decides and adjusts without waiting.
    AnswersNow,
    /// Fails with an error that says the call did not run.
    IsAway,
    /// Fails with an error that says the call may have run.
    Fails,
    /// Fails with an error that says a setting is missing.
    IsMisconfigured,
    /// Charges and never answers.
    ChargesAndHangs,
    Hangs,
    /// Answers after 10 ms.
    Slow,
    /// Charges, and answers after 10 ms.
    ChargesAndIsSlow,
    /// Refuses by what it knows, without a call.
    Repeats,
    /// Stores as many shared settings as may be, as it says after a change.
    IsFull,
}

/// Runs after a decision.
struct Then(Box<dyn FnOnce() + Send>);

impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Then(..)")
    }
}

/// A backend that fails on demand and counts its decisions.
#[derive(Clone, Debug)]
pub(crate) struct Moody {
    pub(crate) store: MemoryBackend,
    shared: Arc<Mutex<(Mood, usize)>>,
    then: Arc<Mutex<Option<Then>>>,
}

impl Moody {
    pub(crate) fn new(clock: &ManualClock) -> Self {
        Self { store: store(clock), shared: Arc::default(), then: Arc::default() }
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).0 = mood;
    }

    /// Runs `then` once, after the next decision that does not wait.
    pub(crate) fn then(&self, then: impl FnOnce() + Send + 'static) {
        *self.then.lock().unwrap_or_else(PoisonError::into_inner) = Some(Then(Box::new(then)));
    }

    pub(crate) fn asked(&self) -> usize {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn mood(&self) -> Mood {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    async fn answer<T>(&self, answer: impl Future<Output = Result<T, BackendError>>) -> Result<T, BackendError> {
        match self.mood() {
            Mood::Answers | Mood::AnswersNow | Mood::Repeats | Mood::IsFull => answer.await,
            Mood::IsAway => Err(BackendError::not_run("there is no connection")),
            Mood::Fails => Err(BackendError::unavailable("the connection was lost")),
            Mood::IsMisconfigured => Err(BackendError::misconfigured("call `.secret(..)`")),
            Mood::Hangs => pending().await,
            Mood::Slow => {
                Backend::clock(&self.store).sleep(Duration::from_millis(10)).await;
                answer.await
            }
            Mood::ChargesAndIsSlow => {
                let answer = answer.await;
                Backend::clock(&self.store).sleep(Duration::from_millis(10)).await;
                answer
            }
            Mood::ChargesAndHangs => {
                answer.await?;
                pending().await
            }
        }
    }
}

impl Backend for Moody {
    fn namespace(&self) -> &str {
        self.store.namespace()
    }

    fn clock(&self) -> AnyClock {
        Backend::clock(&self.store)
    }

    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        if self.mood() == Mood::AnswersNow {
            let answer = self.store.decide(hits);
            let then = self.then.lock().unwrap_or_else(PoisonError::into_inner).take();
            then.into_iter().for_each(|Then(then)| then());
            return answer;
        }
        let owned = owned(hits);
        MaybeReady::pending(async move {
            let hits = &hits_of(&owned)[..];
            self.shared.lock().unwrap_or_else(PoisonError::into_inner).1 += 1;
            let mut decision = self.answer(async { self.store.decide(hits).await }).await?;
            let is_repeated = self.mood() == Mood::Repeats;
            decision.outcomes_mut().iter_mut().for_each(|outcome| outcome.repeated = is_repeated);
            Ok(decision)
        })
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let owned = owned(hits);
        MaybeReady::pending(async move {
            let hits = &hits_of(&owned)[..];
            self.answer(async { self.store.peek(hits).await }).await
        })
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        if self.mood() == Mood::AnswersNow {
            return self.store.adjust(adjustments);
        }
        let owned = owned(adjustments);
        MaybeReady::pending(async move {
            let adjustments = &adjustments_of(&owned)[..];
            self.answer(async { self.store.adjust(adjustments).await }).await
        })
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        let owned = owned(charges);
        MaybeReady::pending(async move {
            let charges = &charges_of(&owned)[..];
            self.answer(async { self.store.renew(charges).await }).await
        })
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        match request {
            ControlRequest::Read { known } => MaybeReady::pending(async move {
                self.answer(async { self.store.control(ControlRequest::Read { known }).await }).await
            }),
            ControlRequest::Replace { .. } if self.mood() == Mood::IsAway => {
                MaybeReady::pending(self.answer(pending()))
            }
            other if self.mood() == Mood::IsFull => self.store.control(other).map(|control| {
                let Control { version, settings, .. } = control?;
                let mut settings = settings.unwrap_or_default();
                settings.resize_with(10_000, Default::default);
                Ok(Control::replaced(version, settings))
            }),
            other => self.store.control(other),
        }
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        let owned = owned(hits);
        MaybeReady::pending(async move {
            let hits = &hits_of(&owned)[..];
            self.answer(async { self.store.reset(hits).await }).await
        })
    }

    fn clear(&self) -> Answer<'_, ()> {
        self.store.clear()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.store.close()
    }
}

pub(crate) fn store(clock: &ManualClock) -> MemoryBackend {
    MemoryBackend::with_clock("test", clock.clone())
}

/// An app, its backend, and the clock of both.
pub(crate) fn app(
    set_up: impl FnOnce(TraffikBuilder, &ManualClock) -> TraffikBuilder,
) -> (Traffik, Moody, ManualClock) {
    let clock = ManualClock::new();
    let backend = Moody::new(&clock);
    let builder = set_up(Traffik::builder(backend.clone()), &clock);
    (builder.build().unwrap_or_else(|_| Traffik::disabled()), backend, clock)
}

/// Moves the clock while no task can run, and waits until the woken tasks have run.
pub(crate) async fn advance(clock: &ManualClock, duration: Duration) {
    until_idle().await;
    clock.advance(duration);
    until_idle().await;
}
