use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use traffik_core::{
    backend::{Answer, BackendError, MaybeReady},
    decision::{Decision, Hit},
};

use super::{
    Failure, Kind, OnError, Resolution, Retry,
    asking::{ask, decide},
    budget::Budget,
    function::Function,
    guarded::{Guarded, failed, succeeded},
    spare::Spare,
};
use crate::{
    engine::{Asked, Error, Judge, Limits, Started, Waiting},
    observe::LogThrottle,
    on_error::breaker::Attempt,
    one_or_more::OneOrMore,
    store::Store,
};

/// What is done about one backend when it gives no answer.
#[derive(Debug)]
pub(crate) struct Plan {
    how: How,
    failures: LogThrottle,
}

/// In order of strictness.
#[derive(Debug)]
enum How {
    Allow,
    Function(Function),
    Fallback(Spare),
    Failover(Box<Guarded>),
    Retry(Retry),
    Refuse,
    Raise,
}

impl Plan {
    pub(crate) fn new(OnError(kind): OnError, first: &Store) -> Self {
        let how = match kind {
            Kind::Allow => How::Allow,
            Kind::Refuse => How::Refuse,
            Kind::Raise => How::Raise,
            Kind::Retry(retry) => How::Retry(retry),
            Kind::Function(function) => How::Function(function),
            Kind::Fallback(fallback) => How::Fallback(Spare::new(fallback, first)),
            Kind::Failover(failover) => How::Failover(Box::new(Guarded::new(failover, first))),
        };
        Self { how, failures: LogThrottle::default() }
    }

    /// The strictest of several, and of those that are alike the first. Where nothing is planned that is to refuse.
    pub(crate) fn strictest<'a>(plans: impl Iterator<Item = Option<&'a Self>> + Clone) -> Option<&'a Self> {
        static REFUSE: LazyLock<Plan> = LazyLock::new(|| Plan { how: How::Refuse, failures: LogThrottle::default() });
        plans.clone().flatten().next()?;
        let plans = plans.map(|plan| plan.unwrap_or(&REFUSE));
        plans.reduce(|one, other| if other.how.strictness() > one.how.strictness() { other } else { one })
    }

    /// Starts a charge.
    ///
    /// Where the breaker lets the first backend not be asked, the fallback decides, which knows whom it refused.
    pub(crate) fn start<'a>(&'a self, store: &'a Store, asked: &OneOrMore<Asked<'_>>) -> Started<'a> {
        let waiting = |step| Started::Waiting(Waiting::Plan(Planned { plan: self, store, step }));
        let attempt = match &self.how {
            How::Failover(guarded) => match guarded.breaker.enter_by(store.clock()) {
                Some(attempt) => Some(attempt),
                None => {
                    return match guarded.spare.start(asked) {
                        (parts, MaybeReady::Ready(answer)) => {
                            Started::Done(guarded.spare.conclude(&parts, answer).map_err(Error::from))
                        }
                        (_, answer) => waiting(Step::Fallback(&guarded.spare, answer)),
                    };
                }
            },
            _ => None,
        };
        if Self::spares(asked).any(|spare| spare.may_refuse(asked)) {
            return waiting(Step::Refusals(attempt));
        }
        match decide(store, asked) {
            MaybeReady::Ready(Ok(mut decision)) => match Limits::decided(asked, &mut decision, &Judge::Backend) {
                Ok(limits) => {
                    attempt.into_iter().for_each(|attempt| succeeded(attempt, store));
                    Started::Done(Ok(limits))
                }
                Err(error) => waiting(Step::First(attempt, MaybeReady::Ready(Err(error)))),
            },
            answer => waiting(Step::First(attempt, answer)),
        }
    }

    /// A refusal of those whom a fallback refused before, that of any of the throttles.
    async fn still_refused(asked: &OneOrMore<Asked<'_>>, budget: Budget<'_>) -> Option<Limits> {
        for spare in Self::spares(asked) {
            if let Some(refusal) = spare.still_refused(asked, budget).await {
                return Some(refusal);
            }
        }
        None
    }

    fn spares<'a>(asked: &OneOrMore<Asked<'a>>) -> impl Iterator<Item = &'a Spare> {
        asked.iter().filter_map(Asked::own_plan).filter_map(Self::spare)
    }

    async fn resolve(
        &self,
        error: BackendError,
        asked: &OneOrMore<Asked<'_>>,
        budget: Budget<'_>,
    ) -> Result<Limits, Error> {
        self.log(asked, &error, budget);
        match &self.how {
            How::Allow => Ok(Limits::unchecked(asked)),
            How::Function(function) => self.ask_function(function, error, asked, budget).await,
            How::Fallback(spare) => Ok(spare.charge(asked, budget).await?),
            How::Failover(guarded) => Ok(guarded.spare.charge(asked, budget).await?),
            How::Raise => Err(Error::Raised(error.into())),
            How::Retry(_) | How::Refuse => Err(error.into()),
        }
    }

    async fn ask_function(
        &self,
        function: &Function,
        error: BackendError,
        asked: &OneOrMore<Asked<'_>>,
        budget: Budget<'_>,
    ) -> Result<Limits, Error> {
        let error = Arc::new(error);
        let is_own = |asked: &&Asked<'_>| asked.own_plan().is_some_and(|plan| std::ptr::eq(plan, self));
        let mut own = asked.iter().filter(|asked| asked.is_counted()).filter(is_own);
        let failure = Failure::new(Arc::clone(&error), own.next().unwrap_or(asked.first()));
        match budget.hold(async { Ok(function.ask(failure).await) }).await {
            Ok(Ok(Resolution::Admit)) => Ok(Limits::unchecked(asked)),
            Ok(Ok(Resolution::RefuseFor(retry_after))) => Err(Error::Refused { error, retry_after }),
            Ok(Err(raised)) => Err(Error::Raised(raised)),
            Err(_too_late) => Err(Error::Refused { error, retry_after: Duration::from_secs(1) }),
        }
    }

    /// How a client stands, in the backend that would decide now.
    pub(crate) async fn peek(&self, store: &Store, asked: &OneOrMore<Asked<'_>>) -> Result<Limits, BackendError> {
        let budget = Budget::new(store.clock(), store.timeout());
        let first = async |budget: Budget<'_>| {
            let answer = Asked::with_hits(asked, |hits| store.peek(hits));
            Limits::peeked(asked, &mut budget.hold(answer).await?, &Judge::Backend)
        };
        let Some(spare) = self.spare() else { return first(budget).await };
        if matches!(&self.how, How::Failover(guarded) if guarded.fails_over()) {
            return spare.peek(asked, budget).await;
        }
        if let Some(refusal) = spare.still_refused(asked, budget).await {
            return Ok(refusal);
        }
        match first(budget.but_a_quarter()).await {
            Err(error) if !matches!(error, BackendError::Closed) => spare.peek(asked, budget).await,
            answer => answer,
        }
    }

    pub(crate) async fn reset(&self, hits: &[Hit<'_>]) -> Result<(), BackendError> {
        match self.spare() {
            Some(spare) => spare.store.reset(hits).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn clear(&self) -> Result<(), BackendError> {
        match self.spare() {
            Some(spare) => spare.clear().await,
            None => Ok(()),
        }
    }

    pub(crate) async fn close(&self) -> Result<(), BackendError> {
        match self.spare() {
            Some(spare) => spare.store.close().await,
            None => Ok(()),
        }
    }

    fn spare(&self) -> Option<&Spare> {
        match &self.how {
            How::Fallback(spare) => Some(spare),
            How::Failover(guarded) => Some(&guarded.spare),
            _ => None,
        }
    }

    /// Once a second, however many requests it is about. Those that are refused are logged where they are.
    fn log(&self, asked: &OneOrMore<Asked<'_>>, error: &BackendError, budget: Budget<'_>) {
        if matches!(self.how, How::Retry(_) | How::Refuse) || !self.failures.is_due(budget.clock.now()) {
            return;
        }
        let uids: Vec<_> = asked.iter().map(|asked| asked.definition.uid).collect();
        tracing::error!(?uids, %error, "a backend gives no answer: {}", self.how.in_words());
    }
}

/// A charge that was started, and what is planned for it.
pub(crate) struct Planned<'a> {
    plan: &'a Plan,
    store: &'a Store,
    step: Step<'a>,
}

enum Step<'a> {
    /// The first backend was asked.
    First(Option<Attempt<'a>>, Answer<'a, Decision>),
    /// A fallback has to be asked first whether it still refuses.
    Refusals(Option<Attempt<'a>>),
    /// The fallback was asked.
    Fallback(&'a Spare, Answer<'a, Decision>),
}

impl Planned<'_> {
    /// Waits for the answer, and does what is planned if there is none.
    ///
    /// If the request is given up meanwhile, the breaker learns nothing of its attempt. What was charged stays so.
    pub(crate) async fn finish(self, asked: &OneOrMore<Asked<'_>>) -> Result<Limits, Error> {
        let Self { plan, store, step } = self;
        let budget = Budget::new(store.clock(), store.timeout());
        let (attempt, first) = match step {
            Step::First(attempt, answer) => (attempt, answer),
            Step::Refusals(attempt) => {
                if let Some(refusal) = Plan::still_refused(asked, budget).await {
                    return Ok(refusal);
                }
                (attempt, decide(store, asked))
            }
            Step::Fallback(spare, answer) => return Ok(spare.receive(asked, answer, budget).await?),
        };
        let (retry, time) = match &plan.how {
            How::Failover(guarded) => (guarded.retry, budget.but_a_quarter()),
            How::Fallback(_) | How::Function(_) => (Retry::NEVER, budget.but_a_quarter()),
            How::Retry(retry) => (*retry, budget),
            How::Allow | How::Refuse | How::Raise => (Retry::NEVER, budget),
        };
        match ask(store, asked, retry, time, first).await {
            Ok(limits) => {
                attempt.into_iter().for_each(|attempt| succeeded(attempt, store));
                Ok(limits)
            }
            Err(BackendError::Closed) => Err(BackendError::Closed.into()),
            Err(error) => {
                attempt.into_iter().for_each(|attempt| failed(attempt, store, &error));
                plan.resolve(error, asked, budget).await
            }
        }
    }
}

impl How {
    const fn strictness(&self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Function(_) => 1,
            Self::Fallback(_) => 2,
            Self::Failover(_) => 3,
            Self::Retry(_) => 4,
            Self::Refuse => 5,
            Self::Raise => 6,
        }
    }

    const fn in_words(&self) -> &'static str {
        match self {
            Self::Allow => "requests are let through uncounted",
            Self::Function(_) => "a function says what becomes of requests",
            Self::Fallback(_) | Self::Failover(_) => "the fallback decides",
            Self::Retry(_) | Self::Refuse => "requests are refused",
            Self::Raise => "requests are answered with a 500",
        }
    }
}
