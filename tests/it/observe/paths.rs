//! Every path to a limit makes one event for each limit of its decision.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
    routing::get,
};
use tower::{Layer, ServiceExt, service_fn};
use traffik::{
    Bypass, Client, DefaultIdentity, Limiter, Rate, RequestQuota, Rule, Settings, Throttle, ThrottleRejection,
    Throttled,
    observe::EventOutcome::{Admitted, Blocked, Exempt, HadRoom, NotApplied, Refused, Unlimited},
    throttle_layer, throttled,
};

use super::{Concurrent, Events, Five, MINUTE, One, Result, Two, app, event};
use crate::http::server::{Server, get_from};

throttles! {
    Ruled: "observe:ruled", "5/min", Settings::new().rule(Rule::path("/other"));
    Bypassed: "observe:bypassed", "5/min", Settings::new().bypass(Bypass::path("/**"));
    Exempted: "observe:exempted", "5/min", Settings::new().identity(|_| traffik::EXEMPTED);
    Costless: "observe:costless", "5/min", Settings::new().cost_of(|_| 0_u64);
    Boundless: "observe:boundless", "5/min", Settings::new().rate_of(|_, _| Rate::UNLIMITED);
    Denied: "observe:denied", "5/min", Settings::new().deny_networks(["203.0.113.0/24"]);
    Rated: "observe:rated", "5/min", Settings::new().rate_of(|_, _| Rate::literal("7/min"));
}

#[throttled("observe:attribute", "1/min")]
async fn attributed() {}

async fn limiter(one: Limiter<One>) -> std::result::Result<(), ThrottleRejection> {
    one.client("bob").check().await.map(drop)
}

fn outcomes(events: &Events) -> Vec<(String, traffik::observe::EventOutcome, Option<String>)> {
    events.take().into_iter().map(|event| (event.uid, event.outcome, event.path)).collect()
}

#[tokio::test]
async fn request_has_one_event_for_each_limit_with_its_parts() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let app = Router::new()
        .route("/argument", get(|_: Throttled<(One, Five)>| async {}))
        .route("/attribute", get(attributed))
        .route("/layer", get(|| async {}).layer(throttle_layer::<Two>()))
        .route("/limiter", get(limiter))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    let at = |uid: &str, outcome, path: &str| (uid.to_owned(), outcome, Some(path.to_owned()));

    server.get("/argument").await;
    assert_eq!(
        outcomes(&events),
        [at("observe:one", Admitted, "/argument"), at("observe:five", Admitted, "/argument")]
    );
    server.get("/attribute").await;
    assert_eq!(outcomes(&events), [at("observe:attribute", Admitted, "/attribute")]);
    assert_eq!(server.get("/attribute").await.status, 429);
    assert_eq!(outcomes(&events), [at("observe:attribute", Refused, "/attribute")]);
    server.get("/layer").await;
    assert_eq!(outcomes(&events), [at("observe:two", Admitted, "/layer")]);
    server.get("/limiter").await;
    assert_eq!(outcomes(&events), [at("observe:one", Admitted, "/limiter")]);
    Ok(())
}

#[tokio::test]
async fn limit_that_was_charged_in_the_request_has_no_second_event() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let app = Router::new()
        .route("/", get(|_: Throttled<(Five, Two)>, _: Throttled<Two>| async {}))
        .route_layer(throttle_layer::<Five>())
        .layer(traffik.layer());
    assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, 200);
    assert_eq!(events.outcomes(), [event::<Five>(Admitted), event::<Two>(Admitted)]);
    Ok(())
}

#[tokio::test]
async fn marked_request_has_the_event_of_each_decision() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let app =
        Router::new().route("/", get(|| async {})).route_layer(throttle_layer::<One>().mark()).layer(traffik.layer());
    for outcome in [Admitted, Refused] {
        assert_eq!(get_from(&app, "203.0.113.7:1", "/").await.status, 200);
        assert_eq!(events.outcomes(), [event::<One>(outcome)]);
    }
    Ok(())
}

#[tokio::test]
async fn limits_that_do_not_count_the_request_say_why() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let app = Router::new()
        .route("/a", get(|_: Throttled<(Ruled, Bypassed, Exempted, Costless, Boundless)>| async {}))
        .route("/denied", get(|_: Throttled<(Five, Denied)>| async {}))
        .layer(traffik.layer());
    get_from(&app, "203.0.113.7:1", "/a").await;
    let expected = [
        event::<Ruled>(NotApplied),
        event::<Bypassed>(NotApplied),
        event::<Exempted>(Exempt),
        event::<Costless>(NotApplied),
        event::<Boundless>(Unlimited),
    ];
    assert_eq!(events.outcomes(), expected);
    assert_eq!(get_from(&app, "203.0.113.7:1", "/denied").await.status, 403);
    assert_eq!(events.outcomes(), [event::<Denied>(Blocked)]);
    assert_eq!(traffik.counts_of("observe:denied").map(|counts| counts.blocked), Some(1));
    Ok(())
}

#[tokio::test]
async fn event_has_the_rate_of_the_decision() -> Result {
    let rates = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&rates);
    let (traffik, ..) = app(|builder| {
        builder.on_event(move |event| seen.lock().into_iter().for_each(|mut seen| seen.push(event.rate())))
    })?;
    let app = Router::new().route("/", get(|_: Throttled<Rated>| async {})).layer(traffik.layer());
    get_from(&app, "203.0.113.7:1", "/").await;
    assert_eq!(rates.lock().map_err(|_| "poisoned")?.as_slice(), [Rate::literal("7/min")]);
    Ok(())
}

#[tokio::test]
async fn quota_has_one_event_for_each_charge() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    for outcome in [Admitted, Refused] {
        let mut quota = traffik.quota();
        quota.add(traffik.limiter::<Five>("alice").cost(3));
        quota.add(traffik.limiter::<Five>("alice").cost(2));
        let _ = quota.check().await;
        assert_eq!(events.outcomes(), [event::<Five>(outcome), event::<Five>(outcome)]);
    }
    let _ = traffik.limiter::<Five>("alice").peek().await?;
    assert_eq!(events.outcomes(), [], "a peek has none");
    Ok(())
}

#[tokio::test]
async fn quota_of_a_request_has_one_event_for_each_charge_with_its_parts() -> Result {
    async fn handler(one: Limiter<One>, five: Limiter<Five>) -> std::result::Result<(), ThrottleRejection> {
        let mut quota = RequestQuota::new();
        quota.add(five.client("bob"));
        quota.add(one);
        quota.check().await.map(drop)
    }
    let (traffik, events, _) = app(|builder| builder)?;
    let app = Router::new().route("/quota", get(handler)).layer(traffik.layer());
    let at = |uid: &str, outcome| (uid.to_owned(), outcome, Some("/quota".to_owned()));
    for (status, five, one) in [(200, Admitted, Admitted), (429, HadRoom, Refused)] {
        assert_eq!(get_from(&app, "203.0.113.7:1", "/quota").await.status, status);
        assert_eq!(outcomes(&events), [at("observe:five", five), at("observe:one", one)]);
    }
    Ok(())
}

#[tokio::test]
async fn waiting_callers_have_one_event_each_once_they_are_decided() -> Result {
    let (traffik, events, clock) = app(|builder| builder)?;
    let _ = traffik.limiter::<One>("alice").check().await?;
    events.take();
    let wait = |max| {
        let traffik = traffik.clone();
        tokio::spawn(async move { traffik.limiter::<One>("alice").wait(max).check().await.is_ok() })
    };
    let first = wait(MINUTE * 2);
    tests::until_idle().await;
    // They want the same, and the answer for the first of them is that for all.
    let late = [wait(MINUTE), wait(MINUTE)];
    tests::until_idle().await;
    assert_eq!(events.outcomes(), [], "questions have none");
    clock.advance(MINUTE);
    tests::until_idle().await;
    let mut decided = vec![first.await?];
    for one in late {
        decided.push(one.await?);
    }
    assert_eq!(decided, [true, false, false]);
    let mut outcomes = events.outcomes();
    outcomes.sort_by_key(|(_, outcome)| *outcome != Admitted);
    assert_eq!(outcomes, [event::<One>(Admitted), event::<One>(Refused), event::<One>(Refused)]);
    Ok(())
}

#[tokio::test]
async fn caller_that_finds_no_place_in_the_line_has_one_event() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let _ = traffik.limiter::<One>("alice").check().await?;
    events.take();
    let _ = tests::refused(traffik.limiter::<One>("alice").wait(Duration::from_secs(1)).check().await);
    assert_eq!(events.outcomes(), [event::<One>(Refused)]);
    Ok(())
}

#[tokio::test]
async fn permit_of_a_task_has_one_event_also_if_the_check_failed() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let permit = traffik.limiter::<Concurrent>("alice").check().await?;
    let _ = tests::refused(traffik.limiter::<Concurrent>("alice").check().await);
    drop(permit);
    assert_eq!(events.outcomes(), [event::<Concurrent>(Admitted), event::<Concurrent>(Refused)]);
    traffik.close().await?;
    assert!(traffik.limiter::<Concurrent>("alice").check().await.is_err());
    assert_eq!(events.outcomes(), [event::<Concurrent>(traffik::observe::EventOutcome::Error)]);
    Ok(())
}

#[tokio::test]
async fn outgoing_call_has_one_event_with_its_parts() -> Result {
    let (traffik, events, _) = app(|builder| builder)?;
    let api = service_fn(|_: Request<Body>| async { Ok::<_, std::convert::Infallible>(Response::new(Body::empty())) });
    let client = traffik.outgoing::<One>().wait(Duration::ZERO).layer(api);
    for outcome in [Admitted, Refused] {
        let call = Request::get("http://api.example.com/places").body(Body::empty())?;
        assert_eq!(client.clone().oneshot(call).await.is_ok(), outcome == Admitted);
        let seen = events.take();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen.first().map(|event| (event.outcome, event.path.as_deref())), Some((outcome, Some("/places"))));
        assert_eq!(
            seen.first().and_then(|event| event.client.clone()),
            Some(format!("{:?}", Client::from("api.example.com")))
        );
    }
    Ok(())
}
