//! What limits decide, as an app sees it.

mod counts;
mod dry_run;
mod dry_run_http;
mod dry_run_outages;
mod events;
mod health;
mod hook;
mod messages;
mod near;
mod paths;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use traffik::{
    Amount, DefaultIdentity, Rate, Settings, Throttle, Traffik, TraffikBuilder,
    backend::MemoryBackend,
    observe::{Decider, Event, EventOutcome},
    on_error,
    strategy::{Concurrency, LeakyBucketWithQueue},
    test::ManualClock,
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

throttles! {
    One: "observe:one", "1/min", Settings::new();
    Two: "observe:two", "2/min", Settings::new();
    Five: "observe:five", "5/min", Settings::new();
    Free: "observe:free", "5/min", Settings::new().cost(0);
    Near: "observe:near", "5/min", Settings::new().warn_at(0.8);
    Concurrent: "observe:concurrent", "1/30s", Settings::new().strategy(Concurrency);
    Local: "observe:local", "2/min", Settings::new().backend("local");
    Dry: "observe:dry", "1/min", Settings::new().dry_run();
    DryTwo: "observe:dry-two", "2/min", Settings::new().dry_run();
    DryFive: "observe:dry-five", "5/min", Settings::new().dry_run();
    DryNear: "observe:dry-near", "5/min", Settings::new().dry_run().warn_at(0.8);
    DryConcurrent: "observe:dry-concurrent", "1/30s", Settings::new().strategy(Concurrency).dry_run();
    DryQueue: "observe:dry-queue", "1/s", Settings::new().strategy(LeakyBucketWithQueue::new()).dry_run();
    DryRefused: "observe:dry-refused", "1/min", Settings::new().dry_run().on_error(on_error::Raise);
    DryWaiters: "observe:dry-waiters", "1/min", Settings::new().dry_run().max_waiters(0);
    Allowed: "observe:allowed", "1/min", Settings::new().on_error(on_error::Allow);
}

const MINUTE: Duration = Duration::from_secs(60);

/// An event that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    uid: String,
    outcome: EventOutcome,
    decided_by: Decider,
    backend: String,
    cost: u64,
    remaining: Amount,
    retry_after: Option<Duration>,
    duration: Duration,
    is_enforced: bool,
    is_near: bool,
    client: Option<String>,
    path: Option<String>,
}

/// The events of an app.
#[derive(Clone, Debug, Default)]
struct Events(Arc<Mutex<Vec<Seen>>>);

impl Events {
    fn observe(&self, builder: TraffikBuilder) -> TraffikBuilder {
        let events = self.clone();
        builder.on_event(move |event| events.lock().push(Seen::of(event)))
    }

    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.lock())
    }

    /// Returns the uid and the outcome of each event since the last call.
    fn outcomes(&self) -> Vec<(String, EventOutcome)> {
        self.take().into_iter().map(|event| (event.uid, event.outcome)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn of(event: &Event<'_>) -> Self {
        assert_eq!(event.label(), event.uid());
        Self {
            uid: event.uid().to_owned(),
            outcome: event.outcome(),
            decided_by: event.decided_by(),
            backend: event.backend().to_owned(),
            cost: event.cost(),
            remaining: event.remaining(),
            retry_after: event.retry_after(),
            duration: event.duration(),
            is_enforced: event.is_enforced(),
            is_near: event.is_near(),
            client: event.client().map(|client| format!("{client:?}")),
            path: event.parts().map(|parts| parts.uri.path().to_owned()),
        }
    }
}

/// Returns an app on a clock that the test moves, and its events.
fn app(set_up: impl FnOnce(TraffikBuilder) -> TraffikBuilder) -> Result<(Traffik, Events, ManualClock)> {
    let (clock, events) = (ManualClock::new(), Events::default());
    let builder = Traffik::builder(MemoryBackend::with_clock("test", clock.clone()));
    let builder = builder.backend("local", MemoryBackend::with_clock("local", clock.clone()));
    Ok((set_up(events.observe(builder)).build()?, events, clock))
}

/// Returns the uid and the outcome of an event.
fn event<T: Throttle>(outcome: EventOutcome) -> (String, EventOutcome) {
    (T::UID.to_owned(), outcome)
}
