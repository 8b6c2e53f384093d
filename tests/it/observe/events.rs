//! What an event says.

use std::time::Duration;

use traffik::{
    Amount, EXEMPTED, MemoryBackend, Rate, Traffik,
    observe::{Decider, EventOutcome},
    on_error::{Allow, Fallback},
    test::ManualClock,
};

use super::{Events, Five, Free, Local, MINUTE, One, Result, Seen, Two, app, event};
use crate::on_error::backends::{Mood, Moody, app as moody};

#[tokio::test]
async fn admission_and_refusal_say_how_the_client_stands() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let _ = traffik.limiter::<Five>("alice").cost(4).check().await?;
    let refusal = tests::refused(traffik.limiter::<Five>("alice").cost(3).check().await);
    assert_eq!(refusal.retry_after(), Some(MINUTE));

    let admitted = Seen {
        uid: "observe:five".to_owned(),
        outcome: EventOutcome::Admitted,
        decided_by: Decider::Primary,
        backend: "default".to_owned(),
        cost: 4,
        remaining: Amount::Units(1),
        retry_after: None,
        duration: Duration::ZERO,
        is_enforced: true,
        is_near: false,
        client: Some("Client(Some(\"alice\"))".to_owned()),
        path: None,
    };
    let refused = Seen { outcome: EventOutcome::Refused, cost: 3, retry_after: Some(MINUTE), ..admitted.clone() };
    assert_eq!(events.take(), [admitted, refused]);
    Ok(())
}

#[tokio::test]
async fn skipped_limits_say_why() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let _ = traffik.limiter::<Five>(EXEMPTED).check().await?;
    let _ = traffik.limiter::<Free>("alice").check().await?;
    let _ = traffik.limiter::<Five>("alice").rate(Rate::UNLIMITED).check().await?;
    let seen = events.take();
    let outcomes: Vec<_> = seen.iter().map(|event| event.outcome).collect();
    assert_eq!(outcomes, [EventOutcome::Exempt, EventOutcome::NotApplied, EventOutcome::Unlimited]);
    for event in &seen {
        assert_eq!((event.decided_by, event.cost, event.remaining), (Decider::Nobody, 0, Amount::Unlimited));
    }
    assert_eq!(seen.iter().map(|event| event.client.is_some()).collect::<Vec<_>>(), [false, true, true]);
    Ok(())
}

#[tokio::test]
async fn refused_tuple_tells_limits_without_room_from_the_others() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let _ = traffik.limiter::<(One, Five)>("alice").check().await?;
    assert_eq!(events.outcomes(), [event::<One>(EventOutcome::Admitted), event::<Five>(EventOutcome::Admitted)]);
    let _ = tests::refused(traffik.limiter::<(One, Five)>("alice").check().await);
    assert_eq!(events.outcomes(), [event::<One>(EventOutcome::Refused), event::<Five>(EventOutcome::HadRoom)]);
    Ok(())
}

#[tokio::test]
async fn event_names_the_backend_that_decided() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let _ = traffik.limiter::<Local>("alice").check().await?;
    assert_eq!(
        events.take().pop().map(|event| (event.backend, event.decided_by)),
        Some(("local".to_owned(), Decider::Primary))
    );

    let events = Events::default();
    let observed = events.clone();
    let (traffik, backend, clock) = moody(move |builder, clock| {
        observed.observe(builder).on_error(Fallback::to(MemoryBackend::with_clock("fallback", clock.clone())))
    });
    backend.is(Mood::Fails);
    let _ = traffik.limiter::<Five>("alice").check().await?;
    let seen = events.take().pop().ok_or("no event")?;
    assert_eq!((&*seen.backend, seen.decided_by), ("default:fallback", Decider::Fallback));
    assert_eq!((seen.outcome, seen.remaining), (EventOutcome::Admitted, Amount::Units(4)));
    drop(clock);
    Ok(())
}

#[tokio::test]
async fn outage_is_an_error_or_unchecked_as_the_policy_says() -> Result {
    for (admits, outcome) in [(false, EventOutcome::Error), (true, EventOutcome::Unchecked)] {
        let events = Events::default();
        let observed = events.clone();
        let (traffik, backend, _) = moody(move |builder, _| {
            let builder = observed.observe(builder);
            if admits { builder.on_error(Allow) } else { builder }
        });
        backend.is(Mood::Fails);
        let checked = traffik.limiter::<(Two, Five)>("alice").cost(2).check().await;
        assert_eq!(checked.is_ok(), admits);
        let seen = events.take();
        assert_eq!(seen.iter().map(|event| event.outcome).collect::<Vec<_>>(), [outcome; 2]);
        assert!(seen.iter().all(|event| event.decided_by == Decider::Nobody && event.backend == "default"));
        assert!(seen.iter().all(|event| event.client.as_deref() == Some("Client(Some(\"alice\"))")));
    }
    Ok(())
}

#[tokio::test]
async fn duration_is_that_of_the_decision() -> Result {
    let (clock, events) = (ManualClock::new(), Events::default());
    let backend = Moody::new(&clock);
    let traffik = events.observe(Traffik::builder(backend.clone())).clock(clock.clone()).build()?;
    backend.is(Mood::Slow);
    let check = tokio::spawn(async move { traffik.limiter::<Five>("alice").check().await.map(drop) });
    tests::until_idle().await;
    clock.advance(Duration::from_millis(10));
    check.await??;
    assert_eq!(events.take().pop().map(|event| event.duration), Some(Duration::from_millis(10)));
    Ok(())
}

#[tokio::test]
async fn disabled_app_has_no_events_and_counts_nothing() -> Result {
    let traffik = Traffik::disabled();
    let _ = traffik.limiter::<Five>("alice").check().await?;
    let counts = traffik.counts_of("observe:five").ok_or("it is not known")?;
    assert_eq!(counts, traffik::observe::Counts::default());
    Ok(())
}

#[test]
fn names_of_outcomes_are_distinct_labels() {
    let outcomes = EventOutcome::ALL.iter().map(|outcome| outcome.as_str());
    let deciders = Decider::ALL.iter().map(|decider| decider.as_str());
    let names: Vec<_> = outcomes.chain(deciders).collect();
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())));
    assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), names.len());
    assert_eq!(format!("{:>8}|{}", EventOutcome::Error, Decider::LocalRefusal), "   error|local_refusal");
}
