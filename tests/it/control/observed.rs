//! Dry runs that begin and end while the app runs, and what events and counts say of changes.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tests::{admits, refused};
use traffik::{
    Limit, Traffik,
    control::{Source, Until},
    observe::{Decider, EventOutcome},
};

use super::{Result, knowing, serving};
use crate::http::app::{HERE, builder, throttle};

throttle!(Watched, "observed:watched", "2/hour");
throttle!(Dry, "observed:dry", "1/hour", traffik::Settings::new().dry_run());

type Events = Arc<Mutex<Vec<(EventOutcome, Decider)>>>;

fn watching() -> Result<(Traffik, Events)> {
    let events = Events::default();
    let seen = Arc::clone(&events);
    let record = move |event: &traffik::observe::Event<'_>| {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push((event.outcome(), event.decided_by()));
    };
    Ok((builder().0.on_event(record).register::<Watched>().build()?, events))
}

fn last(events: &Events) -> Option<(EventOutcome, Decider)> {
    events.lock().unwrap_or_else(PoisonError::into_inner).last().copied()
}

#[tokio::test]
async fn dry_run_begins_and_ends_with_a_change() -> Result {
    let (traffik, events) = watching()?;
    let server = serving::<Watched>(&traffik).await;
    let watched = traffik.limit("observed:watched")?;
    let _ = traffik.limiter::<Watched>(HERE).cost(2).check().await?;
    assert_eq!(server.get("/").await.status, 429);
    watched.set_dry_run(true);
    assert_eq!(server.get("/").await.status, 200);
    assert_eq!(last(&events), Some((EventOutcome::WouldRefuse, Decider::Primary)));
    assert_eq!(watched.info()?.dry_run().source(), Source::Local);
    watched.set_dry_run(false);
    assert_eq!(server.get("/").await.status, 429);
    Ok(())
}

#[tokio::test]
async fn declared_dry_run_is_enforced_by_a_change() -> Result {
    let (traffik, _) = knowing::<Dry>()?;
    let dry = traffik.limit("observed:dry")?;
    assert!(admits::<Dry>(&traffik, "alice").await? && admits::<Dry>(&traffik, "alice").await?);
    dry.set_dry_run(false);
    assert!(!admits::<Dry>(&traffik, "alice").await?);
    dry.clear();
    assert!(admits::<Dry>(&traffik, "alice").await?);
    dry.block("alice", Until::Removed, "stronger than a dry run")?;
    let refusal = refused(traffik.limiter::<Dry>("alice").check().await);
    assert!(refusal.exceeded().all(Limit::is_blocked));
    Ok(())
}

#[tokio::test]
async fn events_and_counts_name_what_is_blocked_and_disabled() -> Result {
    let (traffik, events) = watching()?;
    let server = serving::<Watched>(&traffik).await;
    let watched = traffik.limit("observed:watched")?;
    watched.disable();
    assert_eq!(server.get("/").await.status, 200);
    assert_eq!(last(&events), Some((EventOutcome::Disabled, Decider::Nobody)));
    watched.block(HERE, Duration::from_secs(60), "")?;
    assert_eq!(server.get("/").await.status, 429);
    assert_eq!(last(&events), Some((EventOutcome::Blocked, Decider::Nobody)));
    watched.unblock(HERE);
    watched.enable();
    watched.exempt(HERE, Until::Removed)?;
    assert_eq!(server.get("/").await.status, 200);
    assert_eq!(last(&events), Some((EventOutcome::Exempt, Decider::Nobody)));
    assert_eq!(watched.info()?.counts().blocked, 1);
    Ok(())
}
