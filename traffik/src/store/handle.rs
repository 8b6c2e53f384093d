//! The backends of an app, each with a deadline for its answers.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use traffik_core::{
    backend::{Answer, Backend, BackendError, Control, ControlRequest, MaybeReady},
    client::Key,
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Decision, Hit, LimitId},
};

use super::{
    each, first_of,
    settlement::{AdjustResult, last},
    tasks::Tasks,
    upkeep::Upkeep,
    watchers::{Signal, Watch, Watchers},
    within, within_on_any_runtime,
};
use crate::observe::{Outage, OutageLog};

/// How often a text is replaced while other processes change the same one.
const ATTEMPTS: usize = 32;

/// A backend of an app, with a deadline for its answers.
pub(crate) struct Store {
    /// The name by which throttles select it, and in events and the health of the app.
    label: Box<str>,
    backend: Arc<dyn Backend>,
    /// Measures the deadlines.
    clock: AnyClock,
    timeout: Duration,
    /// Whether it has admitted a request without waiting.
    is_immediate: AtomicBool,
    /// Whether it has answered about shared settings without waiting.
    is_in_process: AtomicBool,
    /// Whether an adjustment had to wait. The task then makes those that follow.
    adjusts_later: AtomicBool,
    /// Renews permits and settles charges.
    pub(super) upkeep: Arc<Upkeep>,
    availability: Availability,
    /// Run the upkeep.
    pub(super) tasks: Arc<Tasks>,
    /// Those that wait for room in its entries.
    watchers: Arc<Watchers>,
    outage: OutageLog,
}

impl Store {
    /// The label of the app's own backend.
    pub(crate) const OWN: &'static str = "default";

    pub(crate) fn new(label: &str, backend: Arc<dyn Backend>, clock: AnyClock, timeout: Duration) -> Self {
        Self::with(label, Upkeep::new(backend, clock, timeout, Arc::default(), Arc::default()))
    }

    /// Returns a handle for a fallback of this backend, with the same clock and timeout. Both count lost settlements together.
    pub(crate) fn standby(&self, backend: Arc<dyn Backend>) -> Self {
        let (watchers, lost_settlements) = (Arc::clone(&self.watchers), Arc::clone(&self.upkeep.lost_settlements));
        let upkeep = Upkeep::new(backend, self.clock.clone(), self.timeout, watchers, lost_settlements);
        Self::with(&format!("{}:fallback", self.label), upkeep)
    }

    fn with(label: &str, upkeep: Upkeep) -> Self {
        Self {
            label: label.into(),
            backend: Arc::clone(&upkeep.backend),
            clock: upkeep.clock.clone(),
            timeout: upkeep.timeout,
            is_immediate: AtomicBool::new(false),
            is_in_process: AtomicBool::new(false),
            adjusts_later: AtomicBool::new(false),
            availability: Availability::default(),
            tasks: Arc::default(),
            watchers: Arc::clone(&upkeep.watchers),
            outage: OutageLog::default(),
            upkeep: Arc::new(upkeep),
        }
    }

    /// Returns the name in events and in the health of the app.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn clock(&self) -> &AnyClock {
        &self.clock
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn namespace(&self) -> &str {
        self.backend.namespace()
    }

    /// Starts a decision.
    pub(crate) fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        if self.is_immediate() { self.backend.decide(hits) } else { self.decide_first(hits) }
    }

    /// Starts a decision of a backend that has not admitted a request without waiting so far.
    #[inline(never)]
    fn decide_first<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let answer = self.backend.decide(hits);
        if self.tasks.has_waiting() {
            self.tasks.remember_runtime();
        }
        if matches!(&answer, MaybeReady::Ready(Ok(decision)) if decision.is_admitted()) {
            self.is_immediate.store(true, Ordering::Relaxed);
        }
        answer
    }

    /// Starts a peek.
    pub(crate) fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        self.backend.peek(hits)
    }

    /// Starts a call that changes nothing, to find out whether the backend answers.
    pub(crate) fn probe(&self) -> Answer<'_, Control> {
        self.backend.control(ControlRequest::Read { known: 0 })
    }

    /// Records that the backend answered, and logs the end of an outage.
    #[inline]
    pub(crate) fn answered(&self) {
        self.availability.answered(&self.clock);
        if self.outage.is_out() {
            self.log_end();
        }
    }

    /// Records a decision without an answer. `log` logs the start of an outage.
    pub(crate) fn log_outage(&self, log: impl FnOnce()) {
        if self.outage.failed(self.clock.now()) {
            log();
        }
    }

    #[cold]
    fn log_end(&self) {
        if let Some(Outage { lasted, failures }) = self.outage.answered(self.clock.now()) {
            let (backend, namespace) = (self.label(), self.namespace());
            tracing::info!(backend, namespace, ?lasted, failures, "the backend answers again: the outage is over");
        }
    }

    /// Returns whether there is an outage, which is then in the log.
    pub(crate) fn is_out(&self) -> bool {
        self.outage.is_out()
    }

    /// Records that the backend did not answer.
    #[cold]
    pub(crate) fn failed(&self, error: &BackendError) {
        self.availability.failed(error, self.clock.now());
    }

    /// Returns whether the backend answers.
    pub(crate) fn availability(&self) -> AvailabilityState {
        self.availability.state()
    }

    /// Starts adjustments. The answer only receives the result of the last one, or an error.
    pub(crate) fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> MaybeReady<'a, AdjustResult> {
        let expected = adjustments.len();
        match self.backend.adjust(adjustments) {
            MaybeReady::Ready(answer) => {
                self.watchers.adjusted(adjustments.iter().copied());
                MaybeReady::Ready(answer.map_err(Into::into).and_then(|all| last(&mut all.into_iter(), expected)))
            }
            MaybeReady::Pending(waiting) => {
                self.adjusts_later.store(true, Ordering::Relaxed);
                MaybeReady::pending(async move {
                    last(&mut self.in_time(MaybeReady::Pending(waiting)).await?.into_iter(), expected)
                })
            }
        }
    }

    /// Wakes `signal` when this process gives back a charge of an entry, as long as the returned value lives.
    pub(crate) fn watch(&self, limit: &Arc<LimitId>, key: &Key, signal: &Arc<Signal>) -> Watch {
        self.watchers.watch(limit, key, signal)
    }

    /// Returns a number that rises whenever this process gives back a charge.
    pub(crate) fn given_back(&self) -> u64 {
        self.watchers.given_back()
    }

    /// Returns `true` if it admits without waiting. It is then likely to give back without waiting.
    pub(crate) fn is_immediate(&self) -> bool {
        self.is_immediate.load(Ordering::Relaxed)
    }

    /// Returns `true` if it is likely to adjust without waiting.
    pub(crate) fn adjusts_at_once(&self) -> bool {
        self.is_immediate() && !self.adjusts_later.load(Ordering::Relaxed)
    }

    /// Starts a request to the settings that all processes share.
    pub(crate) fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        let answer = self.backend.control(request);
        if matches!(answer, MaybeReady::Ready(Ok(_))) {
            self.is_in_process.store(true, Ordering::Relaxed);
        }
        answer
    }

    /// Returns `true` if the backend has answered without waiting about shared settings. It belongs to this process then.
    #[cfg(feature = "admin")]
    pub(crate) fn is_in_process(&self) -> bool {
        self.is_in_process.load(Ordering::Relaxed)
    }

    /// Starts a task, which must not use resources of its runtime. Without a runtime it waits for the first decision in one.
    pub(crate) fn start_task(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.remember_runtime();
        self.tasks.start(Box::pin(task));
    }

    pub(crate) async fn reset(&self, hits: &[Hit<'_>]) -> Result<(), BackendError> {
        self.in_time(self.backend.reset(hits)).await?;
        self.watchers.changed(hits);
        Ok(())
    }

    /// Wakes those that wait for an entry.
    pub(crate) fn wake(&self, entry: Hit<'_>) {
        self.watchers.changed(&[entry]);
    }

    pub(crate) async fn clear(&self) -> Result<(), BackendError> {
        self.backend.clear().await?;
        self.watchers.clear();
        Ok(())
    }

    /// Waits until no settlement is left, but no longer than the timeout, and closes the backend.
    pub(crate) async fn close(&self) -> Result<(), BackendError> {
        first_of(self.upkeep.pending.none(), self.clock.sleep(self.timeout)).await;
        self.in_time(self.backend.close()).await
    }

    /// Receives an answer within the deadline.
    async fn in_time<T>(&self, answer: Answer<'_, T>) -> Result<T, BackendError> {
        within(&self.clock, self.timeout, answer).await
    }

    /// Sets or removes a shared text, whatever it is. It is `known` at first. `received` is called with each answer.
    pub(crate) async fn replace_text(
        &self,
        name: &str,
        mut known: Option<String>,
        value: Option<&str>,
        mut received: impl FnMut(Control),
    ) -> Result<(), BackendError> {
        for _ in 0..ATTEMPTS {
            let request = ControlRequest::Replace { name, expected: known.as_deref(), value };
            let control = within_on_any_runtime(self.clock(), self.timeout(), self.control(request)).await?;
            let is_replaced = control.is_replaced;
            let mut settings = control.settings.iter().flatten();
            known = settings.find(|(other, _)| other == name).map(|(_, value)| value.clone());
            received(control);
            if is_replaced {
                return Ok(());
            }
        }
        Err(BackendError::not_run("other processes change the same setting all the time: try again"))
    }
}

/// The task of the store may sleep. It ends once nothing is left to do.
impl Drop for Store {
    fn drop(&mut self) {
        self.upkeep.leases.lock().wake();
    }
}

/// Shows no clients.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (label, namespace) = (self.label(), self.namespace());
        f.debug_struct("Store").field("label", &label).field("namespace", &namespace).finish_non_exhaustive()
    }
}

/// Whether a backend answers.
#[derive(Debug, Default)]
struct Availability {
    /// Whether the last call got an answer. Calls then write nothing.
    answers: AtomicBool,
    state: Mutex<AvailabilityState>,
}

/// Whether a backend answers, and since when.
#[derive(Clone, Debug, Default)]
pub(crate) struct AvailabilityState {
    /// `None` until the first call.
    pub(crate) answers: Option<bool>,
    /// When `answers` changed last.
    pub(crate) since: Option<Timestamp>,
    pub(crate) last_error: Option<LastError>,
}

/// An error, and when it occurred.
#[derive(Clone, Debug)]
pub(crate) struct LastError {
    pub(crate) text: String,
    pub(crate) at: Timestamp,
}

impl Availability {
    /// A call got an answer.
    #[inline]
    fn answered(&self, clock: &AnyClock) {
        if !self.answers.load(Ordering::Relaxed) {
            self.changed(true, clock.now());
        }
    }

    /// A call got no answer. A backend that is set up wrong is no outage.
    #[cold]
    fn failed(&self, error: &BackendError, now: Timestamp) {
        if !matches!(error, BackendError::Misconfigured(_)) {
            self.changed(false, now);
        }
        self.state.lock().last_error = Some(LastError { text: error.to_string(), at: now });
    }

    fn state(&self) -> AvailabilityState {
        self.state.lock().clone()
    }

    #[cold]
    fn changed(&self, answers: bool, now: Timestamp) {
        let mut state = self.state.lock();
        self.answers.store(answers, Ordering::Relaxed);
        if state.answers != Some(answers) {
            (state.answers, state.since) = (Some(answers), Some(now));
        }
    }
}

/// All backends of an app.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    /// `None` if the app admits everything.
    own: Option<Arc<Store>>,
    named: Vec<Arc<Store>>,
}

impl Stores {
    pub(crate) fn new(own: Store, named: impl IntoIterator<Item = Store>) -> Self {
        Self { own: Some(Arc::new(own)), named: named.into_iter().map(Arc::new).collect() }
    }

    /// Returns the store of throttles that select none by name.
    pub(crate) fn own(&self) -> Option<&Arc<Store>> {
        self.own.as_ref()
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Store>> {
        self.named.iter().find(|store| store.label() == name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|store| store.label())
    }

    pub(crate) async fn clear(&self) -> Result<(), BackendError> {
        each(self.iter().map(|store| store.clear())).await
    }

    pub(crate) async fn close(&self) -> Result<(), BackendError> {
        each(self.iter().map(|store| store.close())).await
    }

    /// Returns the number of charges that may not have been settled.
    pub(crate) fn lost_settlements(&self) -> u64 {
        self.iter().map(|store| store.upkeep.lost_settlements.load(Ordering::Relaxed)).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Store>> {
        self.own.iter().chain(&self.named)
    }
}
