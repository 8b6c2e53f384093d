//! Costs of requests.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header::CONTENT_LENGTH, request::Parts},
    routing::get,
};
use traffik::{Client, Settings, ThrottleRejection, Throttled, client_ip, strategy::TokenBucket, throttle_layer};

use super::{
    app::{HERE, builder, throttle, traffik},
    server::{Reply, Server},
};

/// An identity function that must not be called.
fn reject_all(_: &Parts) -> Result<Client, (StatusCode, &'static str)> {
    Err((StatusCode::IM_A_TEAPOT, "who asks?"))
}

/// Reads the cost from a header. Defaults to 1.
fn stated(parts: &Parts) -> u64 {
    parts.headers.get("x-cost").and_then(|cost| cost.to_str().ok()?.parse().ok()).unwrap_or(1)
}

async fn stated_later(parts: &Parts) -> Result<u64, (StatusCode, &'static str)> {
    tokio::task::yield_now().await;
    match parts.headers.get("x-cost") {
        Some(_) => Ok(stated(parts)),
        None => Err((StatusCode::PAYMENT_REQUIRED, "what is it worth?")),
    }
}

throttle!(Free, "free", "1/min", Settings::new().cost(0).identity(reject_all));
throttle!(Paid, "paid", "3/min");
throttle!(Stated, "stated", "10/min", Settings::new().cost_of(stated));
throttle!(StatedLater, "stated-later", "10/min", Settings::new().async_cost_of(stated_later));
throttle!(FreeForAll, "free-for-all", "1/min", Settings::new().cost_of(|_| 0).identity(reject_all));
throttle!(Bucket, "bucket", "10/min", Settings::new().strategy(TokenBucket::new().burst(5)).cost_of(stated));
throttle!(Refusing, "refusing", "1/hour");

async fn at(server: &Server, path: &str, cost: u64) -> Reply {
    server.send(Request::get(path).header("x-cost", cost), "").await
}

#[tokio::test]
async fn free_request_calls_no_identity_and_no_backend() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|permit: Throttled<Free>| async move { permit.tightest().is_counted().to_string() }))
        .route("/function", get(|permit: Throttled<FreeForAll>| async move { permit.tightest().cost().to_string() }))
        .route(
            "/both",
            get(|permit: Throttled<(Free, Paid, FreeForAll)>| async move { permit.tightest().uid().to_owned() }),
        )
        .layer(traffik.layer());
    let server = Server::start(app).await;

    for _ in 0..3 {
        for (path, body) in [("/", "false"), ("/function", "0")] {
            let reply = server.get(path).await;
            assert_eq!((reply.status, reply.body.as_str(), reply.policy(), reply.state()), (200, body, None, None));
        }
        let reply = server.get("/both").await;
        assert_eq!((reply.status, reply.body.as_str(), reply.policy()), (200, "paid", Some(r#""paid";q=3;w=60"#)));
    }
    assert_eq!(server.get("/both").await.status, 429);
    assert_eq!([server.get("/").await.status, server.get("/function").await.status], [200, 200]);
}

#[tokio::test]
async fn cost_function_sets_the_cost() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|permit: Throttled<Stated>| async move { permit.tightest().cost().to_string() }))
        .route("/later", get(|permit: Throttled<StatedLater>| async move { permit.tightest().cost().to_string() }))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    for path in ["/", "/later"] {
        for (cost, status, left) in [(4, 200, 6), (0, 200, 6), (7, 429, 6), (6, 200, 0), (0, 200, 0), (1, 429, 0)] {
            let reply = at(&server, path, cost).await;
            assert_eq!(reply.status, status, "{path}, {cost}");
            match (cost, reply.state()) {
                (0, state) => assert_eq!(state, None),
                (_, state) => assert!(state.is_some_and(|state| state.contains(&format!(";r={left};"))), "{state:?}"),
            }
            if status == 200 {
                assert_eq!(reply.body, cost.to_string());
            }
        }
    }
    let reply = server.get("/later").await;
    assert_eq!((reply.status, reply.body.as_str(), reply.state()), (402, "what is it worth?", None));
}

#[tokio::test]
async fn cost_above_the_limit_is_refused_without_retry_after() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Stated>| async {}))
        .route("/bucket", get(|_: Throttled<Bucket>| async {}))
        .route("/both", get(|_: Throttled<(Stated, Bucket)>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    for (path, cost, uid) in
        [("/", 11, "stated"), ("/", u64::MAX, "stated"), ("/bucket", 6, "bucket"), ("/both", 8, "bucket")]
    {
        let reply = at(&server, path, cost).await;
        assert_eq!((reply.status, reply.retry_after()), (429, None), "{path}, {cost}");
        assert_eq!(
            reply.problem("detail"),
            format!("{uid:?} allows 10 requests per minute; a request that costs {cost} is never admitted")
        );
    }
    // None of the requests was charged.
    assert_eq!(at(&server, "/both", 5).await.status, 200);
    assert_eq!(at(&server, "/", 5).await.status, 200);
}

#[tokio::test]
async fn refund_returns_the_charged_cost() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Refusing>| async {}).route_layer(throttle_layer::<Stated>()))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(at(&server, "/", 2).await.status, 200);
    for cost in [8, 3, 1] {
        let reply = at(&server, "/", cost).await;
        assert_eq!(reply.status, 429);
        assert!(reply.state().unwrap().starts_with(r#""stated";r=8;t=60, "refusing";r=0"#), "{reply:?}");
    }
    assert_eq!(traffik.limiter::<Stated>(HERE).peek().await.unwrap().tightest().remaining(), 8);
}

static ASKED: AtomicUsize = AtomicUsize::new(0);

fn counted(_: &Parts) -> u64 {
    ASKED.fetch_add(1, Ordering::SeqCst);
    2
}

static NAMED: AtomicUsize = AtomicUsize::new(0);

async fn named_later(parts: &Parts) -> Client {
    NAMED.fetch_add(1, Ordering::SeqCst);
    tokio::task::yield_now().await;
    client_ip(parts).map_or(traffik::EXEMPTED, Client::from)
}

throttle!(Counted, "counted", "100/min", Settings::new().cost_of(counted));
throttle!(CountedToo, "counted-too", "100/min", Settings::new().cost_of(counted).async_identity(named_later));

#[tokio::test]
async fn cost_function_runs_once_per_decision() {
    let (traffik, _) = traffik();
    let inner = get(|_: Throttled<CountedToo>| async {}).route_layer(throttle_layer::<(Counted, CountedToo)>());
    let app = Router::new()
        .route("/one", get(|_: Throttled<CountedToo>| async {}))
        .route("/two", get(|_: Throttled<(Counted, CountedToo)>| async {}))
        .route("/inner", inner)
        .layer(traffik.layer());
    let server = Server::start(app).await;

    // A sync cost function with an async identity.
    for (path, asked, named) in [("/one", 1, 1), ("/two", 1, 1), ("/inner", 2, 2)] {
        assert_eq!(server.get(path).await.status, 200);
        let counts = [&ASKED, &NAMED].map(|count| count.swap(0, Ordering::SeqCst));
        assert_eq!(counts, [asked, named], "{path}");
    }
}

/// A handler may set a higher cost than the layer did. The throttle keeps the cost that was charged first.
#[tokio::test]
async fn throttle_met_twice_charges_its_first_cost() {
    async fn raise(mut request: Request, next: axum::middleware::Next) -> axum::response::Response {
        request.headers_mut().insert("x-cost", 5.into());
        next.run(request).await
    }
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|permit: Throttled<Stated>| async move { permit.tightest().cost().to_string() }))
        .route_layer(axum::middleware::from_fn(raise))
        .route_layer(throttle_layer::<Stated>())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let reply = at(&server, "/", 2).await;
    assert_eq!((reply.body.as_str(), reply.state()), ("2", Some(r#""stated";r=8;t=60"#)));
    // A throttle that was free in the layer is charged when its cost is above 0 in the handler.
    let reply = at(&server, "/", 0).await;
    assert_eq!((reply.body.as_str(), reply.state()), ("5", Some(r#""stated";r=3;t=60"#)));
}

#[tokio::test]
async fn handler_gets_the_rejection_of_a_cost_function() {
    let handler = |permit: Result<Throttled<StatedLater>, ThrottleRejection>| async move {
        match permit {
            Err(ThrottleRejection::Declined(declined)) => format!("{declined:?}: {declined}"),
            other => format!("{other:?}"),
        }
    };
    let (builder, _) = builder();
    let traffik = builder.register::<StatedLater>().build().unwrap();
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.body, "Declined(402): a function of the throttle rejected the request");
}

#[tokio::test]
async fn content_length_can_be_the_cost() {
    throttle!(
        Uploads,
        "uploads",
        "1000/min",
        Settings::new().cost_of(|parts| match parts.headers.get(CONTENT_LENGTH) {
            Some(length) => length.to_str().ok().and_then(|bytes| bytes.parse().ok()).ok_or(StatusCode::BAD_REQUEST),
            None => Err(StatusCode::LENGTH_REQUIRED),
        })
    );
    let (traffik, _) = traffik();
    let app = Router::new().route("/", axum::routing::post(|_: Throttled<Uploads>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;

    let long: &'static str = "x".repeat(600).leak();
    for (status, state) in [(200, "r=400"), (429, "r=400")] {
        let reply = server.send(Request::post("/"), long).await;
        assert_eq!(reply.status, status);
        assert!(reply.state().unwrap().contains(state));
    }
}
