//! The client of a check: that of the throttle, or one that the handler sets.

use axum::{
    Router,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    routing::get,
};
use traffik::{Client, EXEMPTED, Limiter, Rate, Settings, ThrottleRejection, Throttled};

use super::{Result, remaining};
use crate::http::{
    app::{HERE, throttle, traffik},
    server::Server,
};

/// Knows nobody.
#[derive(Debug)]
struct Nobody;

impl<S: Sync> FromRequestParts<S> for Nobody {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(_: &mut Parts, _: &S) -> std::result::Result<Self, Self::Rejection> {
        Err((StatusCode::UNAUTHORIZED, "log in first"))
    }
}

impl From<Nobody> for Client {
    fn from(Nobody: Nobody) -> Self {
        EXEMPTED
    }
}

throttle!(Gratis, "clients:gratis", "10/min", Settings::new().cost_of(|_| 0), Nobody);

/// Premium clients have more.
fn plan(_: &Parts, client: &Client) -> Rate {
    if *client == Client::from("premium") { Rate::literal("100/min") } else { Rate::literal("10/min") }
}

throttle!(Unknown, "clients:unknown", "10/min", Settings::new(), Nobody);
throttle!(Address, "clients:address", "10/min");
throttle!(Plan, "clients:plan", "1/min", Settings::new().rate_of(plan));
throttle!(Exempt, "clients:exempt", "10/min", Settings::new().identity(|_| EXEMPTED));

type Checked<T> = std::result::Result<T, ThrottleRejection>;

#[tokio::test]
async fn rejection_of_an_identity_is_returned_by_the_check_alone() -> Result {
    async fn unused(_: Limiter<Unknown>) -> &'static str {
        "the handler ran"
    }
    async fn checked(unknown: Limiter<Unknown>) -> Checked<()> {
        unknown.check().await.map(drop)
    }
    async fn peeked(unknown: Limiter<Unknown>) -> Checked<()> {
        unknown.peek().await.map(drop)
    }
    async fn twice(unknown: Limiter<Unknown>) -> Checked<()> {
        let first = unknown.clone().check().await;
        assert!(matches!(first, Err(ThrottleRejection::Unidentified(_))), "{first:?}");
        unknown.check().await.map(drop)
    }
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/unused", get(unused))
        .route("/checked", get(checked))
        .route("/peeked", get(peeked))
        .route("/twice", get(twice))
        .route("/argument", get(|_: Throttled<Unknown>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.get("/unused").await.body, "the handler ran");
    for path in ["/checked", "/peeked", "/argument"] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, &*reply.body), (401, "log in first"), "{path}");
    }
    assert_eq!(server.get("/twice").await.status, 401);
    Ok(())
}

#[tokio::test]
async fn client_of_the_handler_replaces_that_of_the_throttle() -> Result {
    async fn both(both: Limiter<(Unknown, Address)>) -> Checked<()> {
        both.client("alice").cost(3).check().await.map(drop)
    }
    async fn exempt(exempt: Limiter<Exempt>) -> Checked<()> {
        let _ = exempt.clone().check().await?;
        exempt.client("alice").check().await.map(drop)
    }
    let (traffik, _) = traffik();
    let app = Router::new().route("/both", get(both)).route("/exempt", get(exempt)).layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.get("/both").await.status, 200);
    assert_eq!(remaining::<Unknown>(&traffik, "alice").await?, 7);
    assert_eq!((remaining::<Address>(&traffik, "alice").await?, remaining::<Address>(&traffik, HERE).await?), (7, 10));
    assert_eq!(server.get("/exempt").await.status, 200);
    assert_eq!(remaining::<Exempt>(&traffik, "alice").await?, 9);
    Ok(())
}

#[tokio::test]
async fn function_for_the_rate_is_asked_about_the_client_of_the_handler() -> Result {
    async fn planned(plan: Limiter<Plan>) -> Checked<String> {
        let own = plan.clone().check().await?;
        let premium = plan.clone().client("premium").check().await?;
        let set = plan.client("premium").rate(Rate::literal("50/min")).check().await?;
        Ok([own, premium, set].map(|permit| permit.tightest().rate().limit().to_string()).join(" "))
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(planned)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.body, "10 100 50");
    Ok(())
}

#[tokio::test]
async fn addresses_that_the_handler_sets_are_counted_by_network() -> Result {
    async fn address(address: Limiter<Address>) -> Checked<()> {
        let one: std::net::IpAddr = [0x2001, 0xdb8, 0, 1, 0, 0, 0, 1].into();
        address.client(one).check().await.map(drop)
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(address)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.status, 200);
    let other: std::net::IpAddr = [0x2001, 0xdb8, 0, 1, 0, 0, 0, 2].into();
    assert_eq!(remaining::<Address>(&traffik, other).await?, 9);
    Ok(())
}

#[tokio::test]
async fn identity_of_a_throttle_without_a_cost_rejects_nobody() -> Result {
    async fn both(both: Limiter<(Gratis, Address)>) -> Checked<()> {
        both.check().await.map(drop)
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(both)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.status, 200);
    assert_eq!(remaining::<Address>(&traffik, HERE).await?, 9);
    Ok(())
}
