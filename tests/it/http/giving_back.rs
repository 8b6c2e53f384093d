//! What a request keeps of its earlier charges when it is turned away later.

use axum::{
    Extension, Json, Router,
    extract::Request,
    routing::{get, post},
};
use serde_json::Value;
use traffik::{Throttle, ThrottleRejection, Throttled, Traffik, throttle_layer};

use super::{
    app::{HERE, throttle, traffik},
    server::Server,
};

throttle!(Wide, "wide", "9/min");
throttle!(Middle, "middle", "9/min");
throttle!(Narrow, "narrow", "1/min");

async fn remaining<T: Throttle>(traffik: &Traffik) -> u64 {
    traffik
        .limiter::<T>(HERE)
        .peek()
        .await
        .map_or(u64::MAX, |limits| limits.tightest().remaining().units().unwrap_or(u64::MAX))
}

#[tokio::test]
async fn a_later_refusal_gives_back_the_earlier_charges() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Wide>, _: Throttled<Middle>, _: Throttled<Narrow>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let admitted = server.get("/").await;
    assert_eq!(admitted.state(), Some(r#""wide";r=8;t=60, "middle";r=8;t=60, "narrow";r=0;t=60"#));
    for _ in 0..3 {
        let refused = server.get("/").await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.state(), admitted.state());
        assert_eq!((remaining::<Wide>(&traffik).await, remaining::<Middle>(&traffik).await), (8, 8));
    }
}

#[tokio::test]
async fn arguments_run_in_order_so_a_refusal_first_charges_nothing_after_it() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Narrow>, _: Throttled<Wide>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.status, 200);
    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.state()), (429, Some(r#""narrow";r=0;t=60"#)), "the other was not met");
    assert_eq!(remaining::<Wide>(&traffik).await, 8);
}

#[tokio::test]
async fn the_charges_of_layers_are_given_back_too() {
    let (traffik, _) = traffik();
    let inner = Router::new().route("/", get(|_: Throttled<Narrow>| async {})).route_layer(throttle_layer::<Middle>());
    let app = Router::new().nest("/inner", inner).layer(throttle_layer::<Wide>()).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/inner").await.status, 200);
    assert_eq!(server.get("/inner").await.status, 429);
    assert_eq!((remaining::<Wide>(&traffik).await, remaining::<Middle>(&traffik).await), (8, 8));
}

#[tokio::test]
async fn a_throttle_that_is_twice_in_a_tuple_gets_back_what_it_was_charged_and_no_more() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<(Wide, Wide)>, _: Throttled<Narrow>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.status, 200);
    let charged = remaining::<Wide>(&traffik).await;
    for _ in 0..5 {
        let refused = server.get("/").await;
        assert_eq!(
            (refused.status, refused.state()),
            (429, Some(&*format!(r#""wide";r={charged};t=60, "narrow";r=0;t=60"#)))
        );
        assert_eq!(remaining::<Wide>(&traffik).await, charged);
    }
}

#[tokio::test]
async fn with_the_extension_alone_a_429_has_its_fields_and_nothing_else_is_done() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Wide>, _: Throttled<Narrow>| async {}))
        .layer(Extension(traffik.clone()));
    let server = Server::start(app).await;

    let admitted = server.get("/").await;
    assert_eq!((admitted.status, admitted.policy(), admitted.state()), (200, None, None));
    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.retry_after()), (429, Some("60")));
    assert_eq!(refused.policy(), Some(r#""wide";q=9;w=60, "narrow";q=1;w=60"#));
    assert_eq!(refused.state(), Some(r#""wide";r=7;t=60, "narrow";r=0;t=60"#));
    assert_eq!(remaining::<Wide>(&traffik).await, 7);
}

#[tokio::test]
async fn a_handler_that_makes_do_keeps_the_charge() {
    let (traffik, _) = traffik();
    let handler = |_: Throttled<Wide>, permit: Result<Throttled<Narrow>, ThrottleRejection>| async move {
        match permit {
            Ok(_) => Ok("everything"),
            Err(ThrottleRejection::Limited(limited)) if limited.retry_after().is_some() => Ok("what is in the cache"),
            Err(other) => Err(other),
        }
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.body, "everything");
    let less = server.get("/").await;
    assert_eq!((less.status, less.body.as_str(), less.retry_after()), (200, "what is in the cache", None));
    assert_eq!(less.state(), Some(r#""wide";r=7;t=60, "narrow";r=0;t=60"#));
    assert_eq!(remaining::<Wide>(&traffik).await, 7);
}

#[tokio::test]
async fn a_handler_that_returns_the_refusal_it_caught_gives_back() {
    let (traffik, _) = traffik();
    let handler = |_: Throttled<Wide>, permit: Result<Throttled<Narrow>, ThrottleRejection>| async move {
        permit.map(|_| "everything")
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.status, 200);
    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.retry_after()), (429, Some("60")));
    assert_eq!(refused.state(), Some(r#""wide";r=8;t=60, "narrow";r=0;t=60"#));
    assert_eq!(remaining::<Wide>(&traffik).await, 8);
}

#[tokio::test]
async fn a_rejection_that_is_not_ours_gives_nothing_back() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", post(|_: Throttled<Wide>, _: Json<Vec<u8>>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;

    let json = || Request::post("/").header("content-type", "application/json");
    for (body, status, remains) in [("[1]", 200, 8), ("[", 400, 7), ("{}", 422, 6)] {
        let reply = server.send(json(), body).await;
        assert_eq!((reply.status, reply.state()), (status, Some(&*format!(r#""wide";r={remains};t=60"#))));
        assert_eq!(remaining::<Wide>(&traffik).await, remains);
    }
    assert_eq!(server.send(Request::post("/"), "[1]").await.status, 415);
    assert_eq!(remaining::<Wide>(&traffik).await, 5);
}

#[tokio::test]
async fn a_rejection_ahead_of_the_throttle_charges_nothing() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: axum::extract::Query<Vec<(String, u8)>>, _: Throttled<Wide>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let reply = server.get("/?a=many").await;
    assert_eq!((reply.status, reply.state()), (400, None));
    assert_eq!(remaining::<Wide>(&traffik).await, 9);
}

#[tokio::test]
async fn a_429_of_the_handlers_own_making_keeps_the_charge() {
    let (traffik, _) = traffik();
    let own = axum::http::StatusCode::TOO_MANY_REQUESTS;
    let app = Router::new().route("/", get(move |_: Throttled<Wide>| async move { (own, Json(Value::Null)) }));
    let server = Server::start(app.layer(traffik.layer())).await;

    assert_eq!(server.get("/").await.status, 429);
    assert_eq!(remaining::<Wide>(&traffik).await, 8);
}
