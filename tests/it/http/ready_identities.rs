//! Identities that the crate provides: everyone, headers, API keys, tokens, cookies and extensions.

use axum::{
    Extension, Router,
    extract::Request,
    http::{
        HeaderValue, StatusCode,
        request::{Builder, Parts},
    },
    routing::get,
};
use traffik::{
    Client, EXEMPTED, Settings, Throttled,
    identity::{
        ByApiKey, ByBearerToken, ByCookie, ByExtension, ByHeader, Everyone, Named, by_api_key, by_bearer_token,
        by_cookie, by_extension, by_header, everyone,
    },
    throttle_layer,
};

use super::{
    app::{throttle, traffik},
    logs::{Log, on_a_thread_of_its_own},
    server::{Reply, Server},
};

struct Tenant;

impl Named for Tenant {
    const NAME: &'static str = "x-tenant-id";
}

struct Key;

impl Named for Key {
    const NAME: &'static str = "x-api-key";
}

struct Session;

impl Named for Session {
    const NAME: &'static str = "session";
}

#[derive(Clone)]
struct User {
    id: u64,
}

impl From<User> for Client {
    fn from(user: User) -> Self {
        Self::from(("user", user.id))
    }
}

throttle!(Service, "ready:everyone", "2/min", Settings::new(), Everyone);
throttle!(ServiceToo, "ready:everyone:settings", "2/min", Settings::new().identity(everyone));
throttle!(OfTenant, "ready:header", "1/min", Settings::new(), ByHeader<Tenant>);
throttle!(OfTenantToo, "ready:header:settings", "1/min", Settings::new().identity(by_header("X-Tenant-Id")));
throttle!(OfKey, "ready:key", "1/min", Settings::new(), ByApiKey<Key>);
throttle!(OfKeyToo, "ready:key:settings", "1/min", Settings::new().identity(by_api_key("x-api-key")));
throttle!(OfToken, "ready:token", "1/min", Settings::new(), ByBearerToken);
throttle!(OfTokenToo, "ready:token:settings", "1/min", Settings::new().identity(by_bearer_token));
throttle!(OfSession, "ready:cookie", "1/min", Settings::new(), ByCookie<Session>);
throttle!(OfSessionToo, "ready:cookie:settings", "1/min", Settings::new().identity(by_cookie("session")));
throttle!(OfUser, "ready:extension", "1/min", Settings::new(), ByExtension<User>);
throttle!(
    OfUserToo,
    "ready:extension:settings",
    "1/min",
    Settings::new().identity(by_extension(|user: &User| match user.id {
        0 => EXEMPTED,
        id => Client::from(("user", id)),
    }))
);
throttle!(Unnamed, "ready:unnamed", "1/min", Settings::new().identity(by_header("x tenant")));
throttle!(OfAddress, "ready:address", "9/min");

/// Serves a route for each form.
macro_rules! server {
    ($($path:literal: $throttle:ty),+) => {{
        let (traffik, _) = traffik();
        let app = Router::new()
            $(.route($path, get(|permit: Throttled<$throttle>| async move { format!("{permit:?}") })))+
            .layer(traffik.layer());
        (Server::start(app).await, traffik)
    }};
}

async fn send(server: &Server, path: &str, headers: &[(&str, &str)]) -> Reply {
    let with = |request: Builder, (name, value): &(&str, &str)| request.header(*name, *value);
    server.send(headers.iter().fold(Request::get(path), with), "").await
}

fn assert_problem(reply: &Reply, status: u16, detail: &str) {
    assert_eq!((reply.status, reply.header("content-type")), (status, Some("application/problem+json")), "{reply:?}");
    assert_eq!((reply.problem("status"), reply.problem("detail")), (status.into(), detail.into()), "{reply:?}");
    assert_eq!((reply.problem("type"), reply.state()), ("about:blank".into(), None), "{reply:?}");
    assert!(!reply.body.contains("violated-policies"), "{reply:?}");
}

#[tokio::test]
async fn everyone_shares_one_limit() {
    let (server, traffik) = server!("/": Service, "/settings": ServiceToo);
    let another = server.from([127, 0, 0, 2].into());

    for path in ["/", "/settings"] {
        let statuses =
            [server.get(path).await, another.get(path).await, server.get(path).await].map(|reply| reply.status);
        assert_eq!(statuses, [200, 200, 429], "{path}");
    }
    let limits = traffik.limiter::<(Service, ServiceToo)>(Everyone).peek().await.unwrap();
    assert!(limits.iter().all(|limit| limit.remaining() == 0));
}

#[tokio::test]
async fn header_identifies_the_client() {
    let (server, traffik) = server!("/": OfTenant, "/settings": OfTenantToo);

    for path in ["/", "/settings"] {
        for (tenant, status) in [("a", 200), ("b", 200), ("a", 429)] {
            assert_eq!(send(&server, path, &[("x-tenant-id", tenant)]).await.status, status, "{path}");
        }
        for headers in [&[][..], &[("x-tenant-id", "")]] {
            assert_problem(&send(&server, path, headers).await, 400, "the header `x-tenant-id` is missing");
        }
        let twice = send(&server, path, &[("x-tenant-id", "c"), ("x-tenant-id", "d")]).await;
        assert_problem(&twice, 400, "the header `x-tenant-id` occurs more than once");
    }
    assert!(traffik.limiter::<OfTenant>("a").check().await.is_err(), "the key is the value");
}

#[tokio::test]
async fn api_key_in_a_header_identifies_the_client() {
    let (server, traffik) = server!("/": OfKey, "/settings": OfKeyToo);

    for path in ["/", "/settings"] {
        for (key, status) in [("sk_live_1", 200), ("sk_live_2", 200), ("sk_live_1", 429)] {
            let reply = send(&server, path, &[("x-api-key", key)]).await;
            assert_eq!(reply.status, status, "{path}");
            assert!(!format!("{reply:?}").contains("sk_live"), "{reply:?}");
        }
        let missing = send(&server, path, &[]).await;
        assert_problem(&missing, 401, "the header `x-api-key` with an API key is missing");
        assert_eq!(missing.header("www-authenticate"), Some("ApiKey"));
    }
    assert!(traffik.limiter::<OfKey>(Client::secret("sk_live_1")).check().await.is_err());
}

#[tokio::test]
async fn bearer_token_identifies_the_client() {
    let (server, traffik) = server!("/": OfToken, "/settings": OfTokenToo);

    for path in ["/", "/settings"] {
        for (value, status) in
            [("Bearer hunter2", 200), ("Bearer hunter3", 200), ("bearer  hunter2", 429), ("BEARER hunter3", 429)]
        {
            let reply = send(&server, path, &[("authorization", value)]).await;
            assert_eq!(reply.status, status, "{path} {value}");
            assert!(!format!("{reply:?}").contains("hunter"), "{reply:?}");
        }
        for headers in [&[][..], &[("authorization", "Basic aHVudGVyMg==")], &[("authorization", "Bearer ")]] {
            let missing = send(&server, path, headers).await;
            assert_problem(&missing, 401, "the header `authorization` with a bearer token is missing");
            assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
        }
        let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
        assert_problem(&send(&server, path, &twice).await, 400, "the header `authorization` occurs more than once");
    }
    assert!(traffik.limiter::<OfToken>(Client::secret("hunter2")).check().await.is_err());
}

#[tokio::test]
async fn cookie_identifies_the_client_in_any_spelling() {
    let (server, traffik) = server!("/": OfSession, "/settings": OfSessionToo);

    for path in ["/", "/settings"] {
        for (cookies, status) in [
            (&[("cookie", "session=s-1")][..], 200),
            (&[("cookie", "theme=dark; session=s-2; other")], 200),
            (&[("cookie", "session=\"s-1\"")], 429),
            (&[("cookie", "a=b;session=%73-1")], 429),
            (&[("cookie", "%73ession=s-1")], 429),
            (&[("cookie", "theme=dark"), ("cookie", "session=s-1")], 429),
            (&[("cookie", "session=s-1; session=s-1")], 429),
        ] {
            let reply = send(&server, path, cookies).await;
            assert_eq!(reply.status, status, "{path} {cookies:?}");
            assert!(!format!("{reply:?}").contains("s-1"), "{reply:?}");
        }
        for cookies in [&[][..], &[("cookie", "sessions=s-1")], &[("cookie", "session=")], &[("cookie", "session")]] {
            let missing = send(&server, path, cookies).await;
            assert_problem(&missing, 401, "the cookie `session` is missing");
            assert_eq!(missing.header("www-authenticate"), Some("Cookie"));
        }
        let several = send(&server, path, &[("cookie", "session=s-1; session=s-3")]).await;
        assert_problem(&several, 400, "the cookie `session` occurs with different values");
    }
    assert!(traffik.limiter::<OfSession>(Client::secret("s-1")).check().await.is_err());
}

#[tokio::test]
async fn extension_identifies_the_client() {
    let (traffik, _) = traffik();
    let routes = |id| {
        Router::new()
            .route("/", get(|_: Throttled<OfUser>| async {}))
            .route("/settings", get(|_: Throttled<OfUserToo>| async {}))
            .layer(Extension(User { id }))
    };
    let app = Router::new().nest("/a", routes(1)).nest("/b", routes(2)).nest("/root", routes(0)).layer(traffik.layer());
    let server = Server::start(app).await;

    for path in ["/a", "/b", "/a/settings", "/b/settings"] {
        assert_eq!([server.get(path).await.status, server.get(path).await.status], [200, 429], "{path}");
    }
    for _ in 0..3 {
        assert_eq!(server.get("/root/settings").await.status, 200, "the function may exempt");
    }
    assert!(traffik.limiter::<OfUser>(("user", 1)).check().await.is_err());
}

#[test]
fn missing_extension_is_logged_and_names_the_fix() {
    on_a_thread_of_its_own(|| async {
        let (server, _) = server!("/": OfUser, "/settings": OfUserToo);
        let (log, _guard) = Log::begin();
        for path in ["/", "/settings"] {
            let reply = server.get(path).await;
            assert_eq!(reply.status, 500, "{path}");
            for part in ["ready_identities::User", "Add the middleware", "after the layers that throttle"] {
                assert!(reply.body.contains(part), "{path}: {}", reply.body);
            }
        }
        assert_eq!(log.text().matches("ready_identities::User").count(), 1, "{}", log.text());
    });
}

#[test]
fn name_of_no_header_is_logged_and_names_the_fix() {
    on_a_thread_of_its_own(|| async {
        let (server, _) = server!("/": Unnamed);
        let (log, _guard) = Log::begin();
        let reply = server.get("/").await;
        assert_eq!(reply.status, 500);
        assert!(reply.body.contains("\"x tenant\", which is not the name of a header"), "{}", reply.body);
        assert!(log.text().contains("x tenant"), "{}", log.text());
    });
}

#[tokio::test]
async fn request_without_credentials_is_not_charged() {
    let (server, traffik) = server!("/": (OfAddress, OfToken));

    for _ in 0..3 {
        assert_eq!(server.get("/").await.status, 401);
    }
    assert_eq!(traffik.limiter::<OfAddress>(super::app::HERE).peek().await.unwrap().tightest().remaining(), 9);
}

#[tokio::test]
async fn layer_uses_ready_identities() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|| async {}))
        .route_layer(throttle_layer::<(Service, OfTenant, OfToken)>())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let both = |tenant| [("x-tenant-id", tenant), ("authorization", "Bearer t")];
    assert_eq!(send(&server, "/", &both("a")).await.status, 200);
    assert_eq!(send(&server, "/", &both("b")).await.problem("violated-policies"), serde_json::json!(["ready:token"]));
    assert_eq!(send(&server, "/", &[("x-tenant-id", "a")]).await.status, 401);
}

#[test]
fn function_can_be_a_part_of_another() {
    let parts = |request: Builder| -> Parts { request.body(()).unwrap().into_parts().0 };
    let by_token_or_tenant = |parts: &Parts| by_bearer_token(parts).or_else(|_| by_header("x-tenant-id")(parts));
    let tenant = by_token_or_tenant(&parts(Request::get("/").header("x-tenant-id", "a"))).unwrap();
    assert_eq!(tenant, Client::from("a"));
    let token = by_token_or_tenant(&parts(Request::get("/").header("authorization", "Bearer t"))).unwrap();
    let binary = parts(Request::get("/").header("x-tenant-id", HeaderValue::from_bytes(b"\xff").unwrap()));
    let rejection = by_header("x-tenant-id")(&binary).unwrap_err();
    assert_eq!(
        (rejection.status(), rejection.body_text()),
        (StatusCode::BAD_REQUEST, "the header `x-tenant-id` is not text".to_owned())
    );
    assert_eq!((&token, format!("{token:?}")), (&Client::secret("t"), "Client(Some([secret]))".to_owned()));
}
