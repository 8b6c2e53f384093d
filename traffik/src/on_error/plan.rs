use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use super::{
    Failure, Kind, OnError, Resolution, Retry,
    asking::{ask, ask_now},
    budget::Budget,
    function::Function,
    guarded::Guarded,
    spare::Spare,
};
use crate::{
    app::{Asked, Error},
    backend::{BackendError, Store},
    decision::Hit,
    limits::{Judge, Limits},
    occasionally::Occasionally,
    one_or_more::OneOrMore,
};

/// What is done about one backend when it gives no answer.
#[derive(Debug)]
pub(crate) struct Plan {
    how: How,
    failures: Occasionally,
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
        Self { how, failures: Occasionally::default() }
    }

    /// The strictest of several, and of those that are alike the first. Where nothing is planned that is to refuse.
    pub(crate) fn strictest<'a>(plans: impl Iterator<Item = Option<&'a Self>> + Clone) -> Option<&'a Self> {
        static REFUSE: LazyLock<Plan> = LazyLock::new(|| Plan { how: How::Refuse, failures: Occasionally::default() });
        plans.clone().flatten().next()?;
        let plans = plans.map(|plan| plan.unwrap_or(&REFUSE));
        plans.reduce(|one, other| if other.how.strictness() > one.how.strictness() { other } else { one })
    }

    /// Decides, if that takes no waiting and nothing fails: nothing of it is boxed then.
    pub(crate) fn charge_now(&self, store: &Store, asked: &OneOrMore<Asked<'_>>) -> Option<Limits> {
        match &self.how {
            // Then the fallback decides, which knows whom it refused.
            How::Failover(guarded) if guarded.is_open() => guarded.charge_now(store, asked),
            _ if Self::spares(asked).any(|spare| spare.may_refuse(asked)) => None,
            How::Failover(guarded) => guarded.charge_now(store, asked),
            _ => ask_now(store, asked),
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

    /// Asks the backend, and does what is planned if it gives no answer.
    pub(crate) async fn charge(&self, store: &Store, asked: &OneOrMore<Asked<'_>>) -> Result<Limits, Error> {
        let budget = Budget::new(store.clock(), store.timeout());
        if let Some(refusal) = Self::still_refused(asked, budget).await {
            return Ok(refusal);
        }
        let answer = match &self.how {
            How::Failover(guarded) => {
                let failed = |error: &BackendError| self.log(asked, error, budget);
                return Ok(guarded.charge(store, asked, budget, failed).await?);
            }
            How::Retry(retry) => ask(store, asked, *retry, budget).await,
            How::Fallback(_) | How::Function(_) => ask(store, asked, Retry::NEVER, budget.but_a_quarter()).await,
            How::Allow | How::Refuse | How::Raise => ask(store, asked, Retry::NEVER, budget).await,
        };
        match answer {
            Ok(limits) => Ok(limits),
            Err(BackendError::Closed) => Err(BackendError::Closed.into()),
            Err(error) => self.resolve(error, asked, budget).await,
        }
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
            How::Raise => Err(Error::Raised(error.into())),
            How::Failover(_) | How::Retry(_) | How::Refuse => Err(error.into()),
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
            let mut decision = budget.hold(store.look(&Asked::hits(asked))).await?;
            Ok(Limits::peeked(asked, &mut decision, &Judge::Backend))
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
