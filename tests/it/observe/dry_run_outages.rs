//! Dry runs while the backend does not answer.

use std::{convert::Infallible, time::Duration};

use axum::{Router, routing::get};
use serde_json::json;
use traffik::{
    MemoryBackend, Throttled, Traffik,
    observe::{
        Decider,
        EventOutcome::{Admitted, Error, Unchecked, WouldRefuse},
    },
    on_error::{Allow, Failure, Fallback, Raise, Refuse, Resolution},
};

use super::{Allowed, Dry, DryConcurrent, DryRefused, Events, Five, Result, event};
use crate::{
    http::{logs::Log, server::get_from},
    on_error::backends::{Mood, app as moody},
};

async fn refuses(_: Failure) -> std::result::Result<Resolution, Infallible> {
    Ok(Resolution::RefuseFor(Duration::from_secs(30)))
}

#[tokio::test]
async fn outage_turns_no_request_of_a_dry_throttle_away() -> Result {
    for mood in [Mood::Fails, Mood::IsAway, Mood::IsMisconfigured] {
        for policy in 0..3 {
            let events = Events::default();
            let observed = events.clone();
            let (traffik, backend, _) = moody(move |builder, _| {
                let builder = observed.observe(builder);
                match policy {
                    0 => builder.on_error(Refuse),
                    1 => builder.on_error(Raise),
                    _ => builder.on_error(refuses),
                }
            });
            backend.is(mood);
            let permit = traffik.limiter::<(Dry, DryRefused)>("alice").check().await?;
            assert!(permit.is_unchecked() && permit.iter().all(|limit| limit.would_refuse() && !limit.is_counted()));
            permit.refund().await?;
            let seen = events.take();
            assert!(
                seen.iter().all(|event| event.outcome == WouldRefuse && event.decided_by == Decider::Nobody),
                "{seen:?}"
            );
            assert_eq!(seen.len(), 2);
            assert_eq!(traffik.counts_of("observe:dry").map(|counts| counts.would_refuse), Some(1));
        }
    }
    Ok(())
}

#[tokio::test]
async fn dry_run_passes_after_the_app_was_closed_and_holds_no_permit() -> Result {
    let (traffik, ..) = moody(|builder, _| builder);
    traffik.close().await?;
    let _ = traffik.limiter::<Dry>("alice").check().await?;
    let permit = traffik.limiter::<DryConcurrent>("alice").check().await?;
    assert!(permit.is_unchecked());
    Ok(())
}

#[tokio::test]
async fn policy_that_admits_makes_a_dry_limit_unchecked() -> Result {
    let events = Events::default();
    let observed = events.clone();
    let (traffik, backend, _) = moody(move |builder, _| observed.observe(builder).on_error(Allow));
    backend.is(Mood::Fails);
    let _ = traffik.limiter::<Dry>("alice").check().await?;
    assert_eq!(events.outcomes(), [event::<Dry>(Unchecked)]);
    Ok(())
}

#[tokio::test]
async fn policies_of_enforced_throttles_decide_in_a_tuple() -> Result {
    let events = Events::default();
    let observed = events.clone();
    let (traffik, backend, _) = moody(move |builder, _| observed.observe(builder));
    backend.is(Mood::Fails);
    // The dry one would raise an error, which is stricter.
    let _ = traffik.limiter::<(DryRefused, Allowed)>("alice").check().await?;
    assert_eq!(events.outcomes(), [event::<DryRefused>(Unchecked), event::<Allowed>(Unchecked)]);
    assert!(traffik.limiter::<(Dry, Five)>("alice").check().await.is_err());
    assert_eq!(events.outcomes(), [event::<Dry>(Error), event::<Five>(Error)]);
    Ok(())
}

#[tokio::test]
async fn refusal_for_an_outage_does_not_name_dry_limits() -> Result {
    let (traffik, backend, _) = moody(|builder, _| builder);
    let app = Router::new().route("/", get(|_: Throttled<(Dry, Five)>| async {})).layer(traffik.layer());
    backend.is(Mood::Fails);
    let reply = get_from(&app, "203.0.113.7:1", "/").await;
    assert_eq!((reply.status, reply.problem("violated-policies")), (503, json!(["observe:five"])));
    Ok(())
}

#[tokio::test]
async fn fallback_decides_about_a_dry_limit() -> Result {
    let events = Events::default();
    let observed = events.clone();
    let (traffik, backend, _) = moody(move |builder, clock| {
        observed.observe(builder).on_error(Fallback::to(MemoryBackend::with_clock("fallback", clock.clone())))
    });
    backend.is(Mood::Fails);
    for outcome in [Admitted, WouldRefuse] {
        let _ = traffik.limiter::<Dry>("alice").check().await?;
        let seen = events.take().pop().ok_or("no event")?;
        assert_eq!((seen.outcome, seen.decided_by), (outcome, Decider::Fallback));
    }
    // A client that a dry limit of the fallback would have refused is not refused later.
    backend.is(Mood::Answers);
    let _ = traffik.limiter::<Dry>("alice").check().await?;
    assert_eq!(events.take().pop().map(|event| event.decided_by), Some(Decider::Primary));
    Ok(())
}

#[tokio::test]
async fn undecided_dry_run_is_logged_once_a_second() -> Result {
    let (log, _guard) = Log::begin();
    let (traffik, backend, clock): (Traffik, _, _) = moody(|builder, _| builder);
    backend.is(Mood::Fails);
    for (pause, logged) in [(0, 1), (999, 1), (1, 2)] {
        clock.advance(Duration::from_millis(pause));
        let _ = traffik.limiter::<Dry>("alice").check().await?;
        let lines =
            log.text().lines().filter(|line| line.contains("in a dry run") && line.contains("observe:dry")).count();
        assert_eq!(lines, logged, "{}", log.text());
    }
    Ok(())
}
