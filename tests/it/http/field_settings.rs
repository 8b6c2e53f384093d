//! Which fields an app and its throttles show, and in which responses.

use axum::{
    Extension, Router,
    body::Body,
    http::{
        HeaderValue, Request, Response, StatusCode,
        header::{CACHE_CONTROL, RETRY_AFTER},
    },
    response::IntoResponse,
    routing::get,
};
use tests::refused;
use traffik::{CheckError, Fields, Settings, Throttled, Traffik, throttle_layer, web::set_fields};

use super::{
    app::{HERE, builder, throttle, traffik},
    server::{Reply, Server},
};

throttle!(Search, "search", "1/min");
throttle!(Site, "site", "100/hour");
throttle!(Quiet, "quiet", "100/hour", Settings::new().fields(Fields::never()));
throttle!(Wary, "wary", "100/hour", Settings::new().fields(Fields::standard().on_refusal()));
throttle!(Old, "old", "50/hour", Settings::new().fields(Fields::x_ratelimit()));
throttle!(Older, "older", "20/hour", Settings::new().fields(Fields::x_ratelimit()));
throttle!(Unlimited, "unlimited", "0/0");

#[expect(clippy::unwrap_used, reason = "a test without an app fails")]
async fn app_with(fields: Fields) -> Server {
    let (builder, _) = builder();
    let traffik = builder.fields(fields).build().unwrap();
    let routes = Router::new()
        .route("/", get(|_: Throttled<Search>| async {}))
        .route("/quiet", get(|_: Throttled<(Site, Quiet)>| async {}))
        .route("/wary", get(|_: Throttled<(Wary, Site)>| async {}))
        .route("/wary-refused", get(|_: Throttled<Wary>, _: Throttled<Search>| async {}))
        .route("/old", get(|_: Throttled<(Old, Older, Site)>| async {}));
    Server::start(routes.layer(traffik.layer())).await
}

/// Returns the names of the RateLimit fields of a reply, without what they have in common.
fn names(reply: &Reply) -> Vec<&str> {
    let mut names: Vec<_> = reply.headers.keys().filter_map(|name| name.as_str().split_once("ratelimit")).collect();
    names.sort_unstable();
    names
        .into_iter()
        .map(|(before, after)| if before.is_empty() && after.is_empty() { "state" } else { after })
        .collect()
}

const STANDARD: [&str; 2] = ["state", "-policy"];
const X: [&str; 3] = ["-limit", "-remaining", "-reset"];

#[tokio::test]
async fn setting_of_the_app_selects_the_fields() {
    let both: Vec<_> = STANDARD.into_iter().chain(X).collect();
    for (fields, admitted, refused) in [
        (Fields::standard(), &STANDARD[..], &STANDARD[..]),
        (Fields::x_ratelimit(), &X, &X),
        (Fields::both(), &both, &both),
        (Fields::never(), &[], &[]),
        (Fields::standard().on_refusal(), &[], &STANDARD),
        (Fields::x_ratelimit().on_refusal(), &[], &X),
        (Fields::both().on_refusal(), &[], &both),
        (Fields::never().on_refusal(), &[], &[]),
    ] {
        let server = app_with(fields).await;
        let reply = server.get("/").await;
        assert_eq!((reply.status, names(&reply).as_slice()), (200, admitted), "{fields:?}");
        let reply = server.get("/").await;
        assert_eq!((reply.status, names(&reply).as_slice()), (429, refused), "{fields:?}");
        assert_eq!((reply.retry_after(), reply.problem("status")), (Some("60"), 429.into()), "{fields:?}");
    }
}

#[tokio::test]
async fn setting_of_a_throttle_precedes_that_of_the_app() {
    let server = app_with(Fields::both()).await;

    let quiet = server.get("/quiet").await;
    assert_eq!(quiet.state(), Some(r#""site";r=99;t=3600"#));
    let wary = server.get("/wary").await;
    assert_eq!(wary.state(), Some(r#""site";r=98;t=3600"#));
    let old = server.get("/old").await;
    assert_eq!(old.policy(), Some(r#""site";q=100;w=3600"#));
    // The tightest of those with these fields.
    assert_eq!((old.header("x-ratelimit-limit"), old.header("x-ratelimit-remaining")), (Some("20"), Some("19")));
}

#[tokio::test]
async fn refusal_shows_limits_that_are_shown_on_refusals_only() {
    let server = app_with(Fields::standard()).await;

    assert_eq!(server.get("/wary-refused").await.state(), Some(r#""search";r=0;t=60"#));
    let refused = server.get("/wary-refused").await;
    assert_eq!((refused.status, refused.state()), (429, Some(r#""wary";r=99;t=3600, "search";r=0;t=60"#)));
}

#[tokio::test]
async fn refusal_without_the_layer_goes_by_the_same_setting() {
    for (fields, shown) in [(Fields::x_ratelimit().on_refusal(), &X[..]), (Fields::never(), &[])] {
        let (builder, _) = builder();
        let traffik = builder.fields(fields).build().unwrap();
        let routes = Router::new().route("/", get(|_: Throttled<Search>| async {})).layer(Extension(traffik));
        let server = Server::start(routes).await;
        server.get("/").await;
        let reply = server.get("/").await;
        assert_eq!((reply.status, names(&reply).as_slice()), (429, shown), "{fields:?}");
    }
}

/// A handler that checks and responds by itself.
async fn search(traffik: Traffik) -> Response<Body> {
    let checked = traffik.limiter::<(Search, Wary, Unlimited)>(HERE).check().await;
    let (mut response, limits) = match &checked {
        Ok(permit) => ("found".into_response(), &**permit),
        Err(CheckError::Refused(refusal)) => (StatusCode::TOO_MANY_REQUESTS.into_response(), &**refusal),
        Err(error) => return error.to_string().into_response(),
    };
    // That of another server.
    response.headers_mut().insert("ratelimit", HeaderValue::from_static("\"upstream\";r=1"));
    response.headers_mut().insert("x-ratelimit-limit", HeaderValue::from_static("1"));
    set_fields(&mut response, limits);
    response
}

#[tokio::test]
async fn fields_are_set_outside_of_the_layer() {
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(search)).layer(Extension(traffik))).await;

    let admitted = server.get("/").await;
    assert_eq!((admitted.status, admitted.policy()), (200, Some(r#""search";q=1;w=60"#)));
    assert_eq!(admitted.state(), Some(r#""search";r=0;t=60"#));
    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.state()), (429, Some(r#""search";r=0;t=60, "wary";r=99;t=3600"#)));
    assert_eq!(names(&refused), STANDARD);
}

#[tokio::test]
async fn layer_keeps_fields_that_the_handler_has_set() {
    let (traffik, _) = traffik();
    let routes = Router::new().route("/", get(search)).layer(throttle_layer::<Site>()).layer(traffik.layer());
    let server = Server::start(routes).await;

    assert_eq!(server.get("/").await.policy(), Some(r#""search";q=1;w=60"#));
}

#[tokio::test]
async fn response_that_a_shared_cache_may_store_gets_no_fields() {
    let (traffik, _) = traffik();
    let limits = traffik.limiter::<Search>(HERE).peek().await.unwrap();
    let mut response = Response::new(());
    response.headers_mut().insert(CACHE_CONTROL, "max-age=60".parse().unwrap());
    set_fields(&mut response, &limits);
    assert_eq!(response.headers().len(), 1);

    response.headers_mut().insert(CACHE_CONTROL, "private".parse().unwrap());
    set_fields(&mut response, &limits);
    assert_eq!(response.headers()["ratelimit"], r#""search";r=1"#);
}

#[tokio::test]
async fn other_fields_of_a_response_are_left() {
    let (traffik, _) = traffik();
    let _permit = traffik.limiter::<Search>(HERE).check().await.unwrap();
    let refusal = refused(traffik.limiter::<Search>(HERE).check().await);
    let mut response = Response::new(Request::new(()));
    response.headers_mut().insert(RETRY_AFTER, "5".parse().unwrap());
    set_fields(&mut response, &refusal);
    assert_eq!(response.headers()[RETRY_AFTER], "5");
    assert_eq!(response.headers()["ratelimit-policy"], r#""search";q=1;w=60"#);
}
