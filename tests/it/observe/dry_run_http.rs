//! Dry runs over HTTP.

use axum::{
    Router,
    http::{Request, StatusCode},
    response::IntoResponse,
    routing::get,
};
use http_body_util::BodyExt;
use serde_json::json;
use traffik::{
    CheckError, Client, DefaultIdentity, Limiter, Limits, Rate, Settings, Throttle, ThrottleRejection, Throttled,
    observe::EventOutcome::{Admitted, Blocked, WouldRefuse},
    refund_if, throttle_layer, throttled,
};

use super::{Dry, DryQueue, Five, One, Result, app, event};
use crate::http::server::{Server, get_from, get_from_nowhere};

throttles! {
    NoClient: "observe:no-client", "5/min", Settings::new().dry_run().identity(|_| Err::<Client, _>(StatusCode::UNAUTHORIZED));
    NoCost: "observe:no-cost", "5/min", Settings::new().dry_run().cost_of(|_| Err::<u64, _>(StatusCode::LENGTH_REQUIRED));
    NoRate: "observe:no-rate", "5/min", Settings::new().dry_run().rate_of(|_, _| Err::<Rate, _>(StatusCode::PAYMENT_REQUIRED));
    Denied: "observe:dry-denied", "5/min", Settings::new().dry_run().deny_networks(["203.0.113.0/24"]);
    Refunded: "observe:dry-refunded", "1/min", Settings::new().dry_run().refund_if(refund_if::success);
}

#[throttled("observe:dry-attribute", "1/min", dry_run)]
async fn attributed() {}

#[tokio::test]
async fn dry_limit_turns_no_request_away_and_shows_nothing() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let app = Router::new()
        .route("/", get(|_: Throttled<Dry>| async {}))
        .route("/both", get(|_: Throttled<(Dry, One)>| async {}))
        .route("/attribute", get(attributed))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    for outcome in [Admitted, WouldRefuse, WouldRefuse] {
        let reply = server.get("/").await;
        assert_eq!((reply.status, reply.policy(), reply.state(), reply.retry_after()), (200, None, None, None));
        assert_eq!(events.outcomes(), [event::<Dry>(outcome)]);
    }
    let reply = server.get("/both").await;
    assert_eq!((reply.status, reply.policy()), (200, Some(r#""observe:one";q=1;w=60"#)));
    let refused = server.get("/both").await;
    assert_eq!((refused.status, refused.problem("violated-policies")), (429, json!(["observe:one"])));
    assert!(!format!("{refused:?}").contains("observe:dry"), "{refused:?}");
    events.take();
    assert_eq!([server.get("/attribute").await.status, server.get("/attribute").await.status], [200, 200]);
    let outcomes: Vec<_> = events.outcomes().into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, [Admitted, WouldRefuse]);
    Ok(())
}

#[tokio::test]
async fn refusal_of_a_task_shows_no_dry_limit() -> Result {
    let (traffik, ..) = app(|builder| builder)?;
    let check = || async { traffik.limiter::<(One, Dry)>("alice").check().await };
    let _ = check().await?;
    let Err(CheckError::Refused(refusal)) = check().await else { return Err("it was admitted".into()) };
    let (head, ()) = Request::head("/").body(())?.into_parts();

    let response = ThrottleRejection::from(refusal).for_request(&head).into_response();
    assert_eq!(response.headers()["ratelimit-policy"], r#""observe:one";q=1;w=60"#);
    assert_eq!(response.headers()["ratelimit"], r#""observe:one";r=0;t=60"#);
    assert!(response.into_body().collect().await?.to_bytes().is_empty(), "it answers a HEAD request");
    Ok(())
}

#[tokio::test]
async fn handler_sees_dry_limits_and_what_they_would_do() -> Result {
    let (traffik, ..) = app(|builder| builder)?;
    let handler = |limits: Option<Limits>| async move {
        limits.map_or_else(String::new, |limits| {
            limits
                .iter()
                .map(|limit| format!("{} {} {};", limit.uid(), limit.is_hidden(), limit.would_refuse()))
                .collect()
        })
    };
    let app = Router::new().route("/", get(handler)).route_layer(throttle_layer::<Dry>()).layer(traffik.layer());
    assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.body, "observe:dry true false;");
    assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.body, "observe:dry true true;");
    Ok(())
}

#[tokio::test]
async fn dry_limit_over_which_a_request_passed_is_checked_once() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let app = Router::new()
        .route("/", get(|_: Throttled<Dry>| async {}))
        .route_layer(throttle_layer::<Dry>())
        .layer(traffik.layer());
    for outcome in [Admitted, WouldRefuse] {
        assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, 200);
        assert_eq!(events.outcomes(), [event::<Dry>(outcome)]);
    }
    Ok(())
}

#[tokio::test]
async fn functions_of_a_dry_throttle_reject_no_request() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let app = Router::new()
        .route("/client", get(|_: Throttled<(NoClient, Five)>| async {}))
        .route("/cost", get(|_: Throttled<NoCost>| async {}))
        .route("/rate", get(|_: Throttled<NoRate>| async {}))
        .route("/nowhere", get(|_: Throttled<Dry>| async {}))
        .layer(traffik.layer());
    assert_eq!(get_from(&app, "203.0.113.7:1", "/client").await.status, 200);
    assert_eq!(events.outcomes(), [event::<NoClient>(WouldRefuse), event::<Five>(Admitted)]);
    assert_eq!(get_from(&app, "203.0.113.7:1", "/cost").await.status, 200);
    assert_eq!(events.outcomes(), [event::<NoCost>(WouldRefuse)]);
    assert_eq!(get_from(&app, "203.0.113.7:1", "/rate").await.status, 200);
    assert_eq!(events.outcomes(), [event::<NoRate>(WouldRefuse)]);
    assert_eq!(get_from_nowhere(&app, "/nowhere").await.status, 200, "a request without an address has no client");
    assert_eq!(events.outcomes(), [event::<Dry>(WouldRefuse)]);
    Ok(())
}

#[tokio::test]
async fn limiter_of_a_dry_throttle_rejects_no_request() -> Result {
    async fn by<T: Throttle>(limiter: Limiter<T>) -> std::result::Result<(), ThrottleRejection> {
        limiter.check().await.map(drop)
    }
    let (traffik, events, _) = app(|builder| builder)?;
    let app = Router::new()
        .route("/client", get(by::<NoClient>))
        .route("/rate", get(by::<NoRate>))
        .route("/limit", get(by::<Dry>))
        .layer(traffik.layer());
    for path in ["/client", "/rate", "/limit", "/limit"] {
        assert_eq!(get_from(&app, "203.0.113.7:1", path).await.status, 200, "{path}");
    }
    let expected = [
        event::<NoClient>(WouldRefuse),
        event::<NoRate>(WouldRefuse),
        event::<Dry>(Admitted),
        event::<Dry>(WouldRefuse),
    ];
    assert_eq!(events.outcomes(), expected);
    Ok(())
}

#[tokio::test]
async fn denied_network_stays_denied_in_a_dry_run() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let app = Router::new().route("/", get(|_: Throttled<Denied>| async {})).layer(traffik.layer());
    assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, 403);
    assert_eq!(events.outcomes(), [event::<Denied>(Blocked)]);
    Ok(())
}

#[tokio::test]
async fn response_refunds_the_charge_of_a_dry_limit() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let app = Router::new().route("/", get(|_: Throttled<Refunded>| async {})).layer(traffik.layer());
    for _ in 0..3 {
        assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, 200);
        assert_eq!(events.outcomes(), [event::<Refunded>(Admitted)]);
    }
    Ok(())
}

#[tokio::test]
async fn request_does_not_wait_in_the_queue_of_a_dry_limit() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let app = Router::new().route("/", get(|_: Throttled<DryQueue>| async {})).layer(traffik.layer());
    // The clock stands still: a request that waited would not end.
    for _ in 0..3 {
        assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, 200);
    }
    assert_eq!(events.take().len(), 3);
    Ok(())
}
