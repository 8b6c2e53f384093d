//! Rejections in the format that the client accepts.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
    routing::get,
};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use traffik::{
    Limiter, MemoryBackend, ThrottleRejection, Throttled, Traffik, on_error::Raise, test::RequestExt, throttle_layer,
    web::ProblemDetails,
};

use super::{
    app::{builder, throttle, traffik},
    backends::Unsteady,
    server::{Reply, Server},
};

throttle!(Search, "search", "5/min");
throttle!(Markup, "<b>&\"'", "1/min");

/// The fields of a browser.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Too Many Requests</title>
</head>
<body>
<h1>Too Many Requests</h1>
<p>&quot;&lt;b&gt;&amp;\&quot;&#39;&quot; allows 1 request per minute; try again in 1m</p>
</body>
</html>
"#;

async fn accepting(server: &Server, path: &str, accept: &str) -> Reply {
    server.send(Request::get(path).header("accept", accept), "").await
}

#[tokio::test]
async fn browser_gets_a_page_with_the_fields_of_the_refusal() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Markup>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    server.get("/").await;

    let page = accepting(&server, "/", BROWSER).await;
    assert_eq!((page.status, page.body.as_str()), (429, PAGE));
    let json = accepting(&server, "/", "application/json").await;
    assert_eq!((json.status, json.problem("status")), (429, 429.into()));
    for (name, value) in &json.headers {
        if !["content-type", "content-length", "date"].contains(&name.as_str()) {
            assert_eq!(page.headers.get(name), Some(value));
        }
    }
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!((page.retry_after(), page.header("cache-control")), (Some("60"), Some("no-store")));
}

#[tokio::test]
async fn client_without_a_preference_gets_problem_details() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Markup>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    server.get("/").await;

    for accept in ["*/*", "text/plain", "application/json, text/html", "text/html;q=0.3, application/*;q=0.4"] {
        let reply = accepting(&server, "/", accept).await;
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{accept}");
    }
    let reply = accepting(&server, "/", "text/html;q=0.4, application/*;q=0.3").await;
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
}

#[tokio::test]
async fn problem_details_can_be_set_for_every_client() {
    let (builder, _) = builder();
    let traffik = builder.responder(ProblemDetails).build().unwrap();
    let app = Router::new().route("/", get(|_: Throttled<Markup>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    server.get("/").await;

    let reply = accepting(&server, "/", BROWSER).await;
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
}

#[tokio::test]
async fn outage_is_reported_in_the_format_of_the_client() {
    let backend = Unsteady::new(MemoryBackend::new("test"));
    let app = |traffik: &Traffik| Router::new().route("/", get(|_: Throttled<Search>| async {})).layer(traffik.layer());
    let refusing = Server::start(app(&Traffik::new(backend.clone()).unwrap())).await;
    let raising = Traffik::builder(backend.clone()).on_error(Raise).build().unwrap();
    let raising = Server::start(app(&raising)).await;
    backend.fails();

    let page = accepting(&refusing, "/", BROWSER).await;
    assert_eq!((page.status, page.retry_after()), (503, Some("1")));
    assert!(page.body.contains("<h1>Service Unavailable</h1>"), "{}", page.body);
    let page = accepting(&raising, "/", BROWSER).await;
    assert_eq!((page.status, page.retry_after()), (500, None));
    assert!(page.body.contains("<p>the limits of this request cannot be checked</p>"), "{}", page.body);
}

#[tokio::test]
async fn misconfiguration_is_a_page_for_browsers_and_a_text_for_others() {
    let app = Router::new().route("/", get(|_: Throttled<Search>| async {}));
    let server = Server::start(app).await;

    let page = accepting(&server, "/", BROWSER).await;
    assert_eq!((page.status, page.header("content-type")), (500, Some("text/html; charset=utf-8")));
    assert!(page.body.contains("found no `Traffik` in the request"), "{}", page.body);
    assert_eq!(server.get("/").await.header("content-type"), Some("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn check_of_a_handler_is_refused_in_the_format_of_the_client() {
    async fn search(search: Limiter<Markup>) -> Result<(), ThrottleRejection> {
        search.check().await.map(drop)
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(search)).layer(traffik.layer())).await;
    server.get("/").await;

    assert_eq!(accepting(&server, "/", BROWSER).await.body, PAGE);
    assert_eq!(server.get("/").await.problem("status"), 429);
}

#[tokio::test]
async fn response_to_a_head_request_has_the_same_fields_and_no_body() {
    let (traffik, _) = traffik();
    // Without a router or a server, which remove the bodies of such responses themselves.
    let handler = service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::empty())) });
    let app = traffik.layer().layer(throttle_layer::<Markup>().layer(handler));
    let send = async |method: &str, accept: &str| {
        let request = Request::builder().method(method).header("accept", accept);
        let request = request.body(Body::empty()).unwrap().with_peer("203.0.113.7:50000");
        let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
        (parts, body.collect().await.unwrap().to_bytes())
    };
    send("GET", "*/*").await;

    for accept in ["*/*", BROWSER] {
        let ((get, body), (mut head, nothing)) = (send("GET", accept).await, send("HEAD", accept).await);
        assert_eq!((get.status, head.status, nothing.len()), (429.try_into().unwrap(), get.status, 0));
        let length = head.headers.remove("content-length").unwrap();
        assert_eq!((length, head.headers), (body.len().into(), get.headers));
    }
}
