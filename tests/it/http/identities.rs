//! Clients identified by functions.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, request::Parts},
    routing::get,
};
use tests::admits;
use traffik::{Client, EXEMPTED, Settings, Throttled, client_ip};

use super::{
    app::{HERE, builder, throttle, traffik},
    server::{Reply, Server},
};

fn by_user(parts: &Parts) -> Client {
    match parts.headers.get("x-user").and_then(|user| user.to_str().ok()) {
        Some("root") => EXEMPTED,
        Some(user) => ("user", user.to_owned()).into(),
        None => client_ip(parts).map_or(EXEMPTED, Client::from),
    }
}

async fn by_session(parts: &Parts) -> Result<Client, (StatusCode, &'static str)> {
    tokio::task::yield_now().await;
    match parts.headers.get("x-session").and_then(|session| session.to_str().ok()) {
        Some(session) => Ok(session.to_owned().into()),
        None => Err((StatusCode::UNAUTHORIZED, "who are you?")),
    }
}

fn by_key(parts: &Parts) -> Client {
    let key = parts.headers.get("x-api-key").and_then(|key| key.to_str().ok());
    Client::secret(key.unwrap_or_default().to_owned())
}

throttle!(ByAddress, "by-address", "1/min");
throttle!(ByUser, "by-user", "1/min", Settings::new().identity(by_user));
throttle!(Everyone, "everyone", "2/min", Settings::new().identity(|_: &Parts| Client::from("everyone")));
throttle!(BySession, "by-session", "1/min", Settings::new().async_identity(by_session));
throttle!(ByKey, "by-key", "1/min", Settings::new().identity(by_key));
throttle!(App, "app", "1/min");
throttle!(App2, "app2", "2/min");

async fn with(server: &Server, path: &str, name: &'static str, value: &'static str) -> Reply {
    server.send(Request::get(path).header(name, value), "").await
}

#[tokio::test]
async fn client_without_an_identity_function_is_its_address() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<ByAddress>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    let another = server.from([127, 0, 0, 2].into());

    assert_eq!([server.get("/").await.status, another.get("/").await.status], [200, 200]);
    assert_eq!([server.get("/").await.status, another.get("/").await.status], [429, 429]);
    assert_eq!(server.reconnected().get("/").await.status, 429, "the port does not matter");
    assert!(!admits::<ByAddress>(&traffik, HERE).await.unwrap(), "an address names the same client anywhere");
}

#[tokio::test]
async fn identity_function_of_the_throttle_identifies_the_client() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<ByUser>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;

    for (user, status) in [("ann", 200), ("bob", 200), ("ann", 429), ("127.0.0.1", 200)] {
        assert_eq!(with(&server, "/", "x-user", user).await.status, status, "{user}");
    }
    assert_eq!([server.get("/").await.status, server.get("/").await.status], [200, 429]);
}

#[tokio::test]
async fn identity_that_returns_one_key_is_one_limit_for_all_clients() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Everyone>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;

    let peers = [2, 3, 4].map(|last| server.from([127, 0, 0, last].into()));
    for (peer, status) in peers.iter().zip([200, 200, 429]) {
        assert_eq!(peer.get("/").await.status, status);
    }
}

#[tokio::test]
async fn exempt_client_is_never_refused_and_gets_no_fields() {
    let (traffik, _) = traffik();
    let handler = |permit: Throttled<ByUser>| async move {
        let limit = permit.tightest();
        format!("{} {} {} left", limit.uid(), limit.is_counted(), limit.remaining())
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let server = Server::start(app).await;

    for _ in 0..5 {
        let reply = with(&server, "/", "x-user", "root").await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "by-user false unlimited left"));
        assert_eq!((reply.policy(), reply.state()), (None, None));
    }
}

#[tokio::test]
async fn async_identity_function_may_reject_requests() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<BySession>| async {}))
        .route("/both", get(|_: Throttled<(ByAddress, BySession)>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    for (session, status) in [("a", 200), ("b", 200), ("a", 429)] {
        assert_eq!(with(&server, "/", "x-session", session).await.status, status);
    }
    for path in ["/", "/both", "/both"] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.body.as_str(), reply.state()), (401, "who are you?", None));
    }
    assert_eq!(with(&server, "/both", "x-session", "c").await.status, 200, "a rejected request is not charged");
}

#[tokio::test]
async fn secret_identity_appears_nowhere() {
    let (traffik, _) = traffik();
    let handler = |permit: Result<Throttled<ByKey>, traffik::ThrottleRejection>| async {
        (format!("{permit:?}"), permit.err().map(|rejection| rejection.to_string())).0
    };
    let app = Router::new()
        .route("/", get(|_: Throttled<ByKey>| async {}))
        .route("/debug", get(handler))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    for (path, key, status) in
        [("/", "sk_live_1", 200), ("/", "sk_live_2", 200), ("/", "sk_live_1", 429), ("/debug", "sk_live_1", 200)]
    {
        let reply = with(&server, path, "x-api-key", key).await;
        assert_eq!(reply.status, status);
        assert!(!format!("{reply:?}").contains("sk_live"), "{reply:?}");
    }
}

#[tokio::test]
async fn identity_function_of_the_app_is_the_default() {
    let (builder, _) = builder();
    let traffik = builder.identity(by_user).build().unwrap();
    let app = Router::new()
        .route("/app", get(|_: Throttled<App>| async {}))
        .route("/own", get(|_: Throttled<BySession>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    for (user, status) in [("ann", 200), ("bob", 200), ("ann", 429), ("root", 200), ("root", 200)] {
        assert_eq!(with(&server, "/app", "x-user", user).await.status, status, "{user}");
    }
    assert_eq!(with(&server, "/own", "x-user", "root").await.status, 401);
}

#[tokio::test]
async fn async_identity_function_of_the_app_is_awaited() {
    let (builder, _) = builder();
    let traffik = builder.async_identity(by_session).build().unwrap();
    let app = Router::new().route("/", get(|_: Throttled<(App, App2)>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.body, "who are you?");
    for (session, status) in [("a", 200), ("b", 200), ("a", 429)] {
        assert_eq!(with(&server, "/", "x-session", session).await.status, status);
    }
}

#[tokio::test]
async fn tuple_calls_the_identity_function_of_the_app_once() {
    let (builder, _) = builder();
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = {
        let asked = Arc::clone(&asked);
        move |parts: &Parts| {
            asked.fetch_add(1, Ordering::SeqCst);
            by_user(parts)
        }
    };
    let traffik = builder.identity(counting).build().unwrap();
    let app = Router::new()
        .route("/", get(|_: Throttled<(App, BySession, App2, ByAddress)>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(with(&server, "/", "x-session", "a").await.status, 200);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
