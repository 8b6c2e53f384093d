//! Clients identified by an extractor.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{
    Router,
    extract::{FromRequestParts, Request},
    http::{StatusCode, request::Parts},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use traffik::{Client, Settings, ThrottleRejection, Throttled, client_ip, throttle_layer};

use super::{
    app::{throttle, traffik},
    server::{Reply, Server},
};

/// The user that the request names.
struct User(String);

#[derive(Debug)]
struct NoUser;

impl IntoResponse for NoUser {
    fn into_response(self) -> Response {
        (StatusCode::UNAUTHORIZED, [("www-authenticate", "Basic")], "log in first").into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = NoUser;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NoUser> {
        let user = parts.headers.get("x-user").and_then(|user| user.to_str().ok());
        user.map(|user| Self(user.to_owned())).ok_or(NoUser)
    }
}

impl From<User> for Client {
    fn from(User(name): User) -> Self {
        Self::from(("user", name))
    }
}

throttle!(Posts, "posts", "2/min", Settings::new(), User);
throttle!(Site, "site", "9/min");

async fn by(server: &Server, user: &'static str) -> Reply {
    server.send(Request::get("/").header("x-user", user), "").await
}

#[tokio::test]
async fn rejection_of_the_identity_extractor_is_the_response() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|User(name): User, _: Throttled<Posts>| async { name }))
        .route("/early", get(|_: Throttled<Posts>| async {}))
        .route("/late", get(|_: Throttled<Site>, _: Throttled<Posts>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    for (user, status) in [("ann", 200), ("ann", 200), ("bob", 200), ("ann", 429)] {
        assert_eq!(by(&server, user).await.status, status);
    }
    for path in ["/", "/early", "/late"] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.body.as_str()), (401, "log in first"));
        assert_eq!(reply.header("www-authenticate"), Some("Basic"));
    }
    assert_eq!(server.get("/late").await.state(), Some(r#""site";r=7;t=60"#), "the response is no refusal by traffik");
}

#[tokio::test]
async fn handler_may_answer_with_a_caught_extractor_rejection() {
    let (traffik, _) = traffik();
    let handler = |permit: Result<Throttled<Posts>, ThrottleRejection>| async {
        match permit {
            Err(ThrottleRejection::Unidentified(rejection)) => {
                assert_eq!(rejection.to_string(), "the client of the request could not be identified");
                rejection.into_response()
            }
            permit => permit.is_ok().to_string().into_response(),
        }
    };
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;

    assert_eq!(server.get("/").await.body, "log in first");
    assert_eq!(by(&server, "ann").await.body, "true");
}

/// Counts its calls. One test uses it.
struct Counted;

static ASKED: AtomicUsize = AtomicUsize::new(0);

impl<S: Sync> FromRequestParts<S> for Counted {
    type Rejection = NoUser;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, NoUser> {
        ASKED.fetch_add(1, Ordering::SeqCst);
        Ok(Self)
    }
}

impl From<Counted> for Client {
    fn from(_: Counted) -> Self {
        Self::from("everybody")
    }
}

throttle!(First, "first", "9/min", Settings::new(), Counted);
throttle!(Second, "second", "9/min", Settings::new(), Counted);
throttle!(Third, "third", "9/min", Settings::new(), Counted);

#[tokio::test]
async fn tuple_runs_the_identity_extractor_once() {
    let (traffik, _) = traffik();
    let app =
        Router::new().route("/", get(|_: Throttled<(First, Site, Second, Third)>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.status, 200);
    assert_eq!(ASKED.load(Ordering::SeqCst), 1);
}

/// The user once the request passed [`log_in`], and the address before that.
fn user_or_address(parts: &Parts) -> Client {
    match parts.extensions.get::<&'static str>() {
        Some(user) => ("user", *user).into(),
        None => client_ip(parts).map_or(traffik::EXEMPTED, Client::from),
    }
}

async fn log_in(mut request: Request, next: Next) -> Response {
    if request.headers().contains_key("x-user") {
        request.extensions_mut().insert("ann");
    }
    next.run(request).await
}

throttle!(Both, "both", "3/min", Settings::new().identity(user_or_address));

#[tokio::test]
async fn throttle_behind_authentication_charges_the_user_separately() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Both>| async {}))
        .layer(from_fn(log_in))
        .layer(throttle_layer::<Both>())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let (before, after) = (super::app::HERE, ("user", "ann"));
    let left =
        async |client: Client| traffik.limiter::<Both>(client).peek().await.unwrap().tightest().remaining().units();

    assert_eq!(server.get("/").await.status, 200);
    assert_eq!(
        (left(before.into()).await, left(after.into()).await),
        (Some(2), Some(3)),
        "the same client is charged once"
    );
    assert_eq!(by(&server, "ann").await.status, 200);
    assert_eq!((left(before.into()).await, left(after.into()).await), (Some(1), Some(2)));

    for _ in 0..2 {
        let _ = traffik.limiter::<Both>(after).check().await.unwrap();
    }
    assert_eq!(by(&server, "ann").await.status, 429, "the user is over the limit, the address is not");
    assert_eq!(
        (left(before.into()).await, left(after.into()).await),
        (Some(1), Some(0)),
        "the charge of the address is refunded"
    );
}
