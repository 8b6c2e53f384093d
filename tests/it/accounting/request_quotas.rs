//! Quotas of the limiters of a request, whose charges are part of it.

use std::time::Duration;

use axum::{
    Router,
    extract::{FromRequestParts, Path},
    http::{StatusCode, request::Parts},
    routing::get,
};
use futures_util::FutureExt;
use traffik::{
    CheckError, Client, Concurrency, EXEMPTED, LeakyBucketWithQueue, Limited, Limiter, MemoryBackend, Rate,
    RequestQuota, Settings, Settlement, Throttle, ThrottleRejection, Throttled, Traffik, control::Until, refund_if,
    test::ManualClock, throttle_layer, web::set_fields,
};

use super::{Result, remaining};
use crate::http::{
    app::{HERE, throttle, traffik},
    server::Server,
};

throttle!(Reports, "request_quotas:reports", "3/hour");
throttle!(Rows, "request_quotas:rows", "1000/day");
throttle!(Once, "request_quotas:once", "1/day");
throttle!(Local, "request_quotas:local", "9/min", Settings::new().backend("local"));
throttle!(Failures, "request_quotas:failures", "5/hour", Settings::new().refund_if(refund_if::success));
throttle!(Held, "request_quotas:held", "2/30s", Settings::new().strategy(Concurrency));
throttle!(Queue, "request_quotas:queue", "1/s", Settings::new().strategy(LeakyBucketWithQueue::new().queue(5)));
throttle!(Plan, "request_quotas:plan", "1/day", Settings::new().rate_of(plan));
throttle!(Unknown, "request_quotas:unknown", "10/min", Settings::new(), Nobody);

fn plan(_: &Parts, client: &Client) -> Rate {
    if *client == Client::from("premium") { Rate::literal("100/day") } else { Rate::literal("10/day") }
}

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

type Checked<T> = std::result::Result<T, ThrottleRejection>;

/// A report counts for the client, and its rows count for a team.
async fn report(reports: Limiter<Reports>, rows: Limiter<Rows>, Path(cost): Path<u64>) -> Checked<String> {
    let mut quota = RequestQuota::new();
    quota.add(reports);
    let rows = quota.add(rows.client("acme").cost(cost));
    let fits = quota.peek().await?.is_admitted();
    let permit = quota.check().await?;
    let settled = match permit.part(&rows) {
        Some(rows) => rows.settle(cost / 2).await.ok(),
        None => None,
    };
    Ok(format!("{fits} {settled:?}"))
}

#[tokio::test]
async fn quota_of_a_request_is_one_decision_and_the_response_shows_it() -> Result {
    let (traffik, _) = traffik();
    let app = Router::new().route("/{cost}", get(report)).layer(traffik.layer());
    let server = Server::start(app).await;
    let reply = server.get("/600").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "true Some(Done)"));
    assert_eq!(reply.state(), Some(r#""request_quotas:reports";r=2;t=3600, "request_quotas:rows";r=700;t=86400"#));

    // The report would have fitted.
    let refused = server.get("/701").await;
    assert_eq!((refused.status, refused.retry_after()), (429, Some("86400")));
    assert_eq!(refused.state(), reply.state());
    assert!(refused.body.contains("request_quotas:rows"), "{}", refused.body);
    assert_eq!((remaining::<Reports>(&traffik, HERE).await?, remaining::<Rows>(&traffik, "acme").await?), (2, 700));
    Ok(())
}

#[tokio::test]
async fn later_refusal_gives_back_what_the_quota_stands_at() -> Result {
    async fn handler(reports: Limiter<Reports>, rows: Limiter<Rows>, once: Limiter<Once>) -> Checked<()> {
        let mut quota = RequestQuota::new();
        quota.add(reports);
        let rows = quota.add(rows.client("acme").cost(600));
        let permit = quota.check().await?;
        if let Some(rows) = permit.part(&rows) {
            let _ = rows.settle(200).await;
        }
        once.check().await.map(drop)
    }
    let (traffik, _) = traffik();
    let _ = traffik.limiter::<Once>(HERE).check().await?;
    let _ = traffik.limiter::<Rows>("acme").cost(50).check().await?;
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    let refused = server.get("/").await;
    assert_eq!(refused.status, 429);
    let state = refused.state().ok_or("no field")?;
    assert!(state.contains(r#"reports";r=3"#) && state.contains(r#"rows";r=950"#), "{state}");
    assert_eq!((remaining::<Reports>(&traffik, HERE).await?, remaining::<Rows>(&traffik, "acme").await?), (3, 950));
    Ok(())
}

#[tokio::test]
async fn refusal_of_a_quota_is_made_by_the_responder_and_in_the_format_of_the_client() -> Result {
    throttle!(Own, "request_quotas:own", "1/week", Settings::new().responder(own));
    fn own(limited: &Limited) -> String {
        let uri = limited.request().map(|request| request.uri().to_string());
        format!("{} of {uri:?}", limited.exceeded().count())
    }
    async fn handler(once: Limiter<Once>, own: Limiter<Own>, Path(cost): Path<u64>) -> Checked<()> {
        let mut quota = RequestQuota::new();
        quota.add(once.cost(cost));
        quota.add(own.cost(cost));
        quota.check().await.map(drop)
    }
    let (traffik, _) = traffik();
    let app = Router::new().route("/{cost}", get(handler)).route("/rows/{cost}", get(report)).layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.get("/1").await.status, 200);
    assert_eq!(server.get("/1").await.body, r#"2 of Some("/1")"#, "the one that refuses longest answers");
    let accepts = axum::http::Request::get("/rows/2000").header("accept", "text/html");
    let page = server.send(accepts, "").await;
    assert_eq!((page.status, page.header("content-type")), (429, Some("text/html; charset=utf-8")));
    let grpc = axum::http::Request::get("/rows/2000").header("content-type", "application/grpc");
    let status = server.send(grpc, "").await;
    assert_eq!((status.status, status.header("grpc-status")), (200, Some("8")));
    Ok(())
}

#[tokio::test]
async fn refusal_of_a_quota_gives_back_earlier_charges_of_the_request() -> Result {
    let (traffik, _) = traffik();
    let app = Router::new().route("/{cost}", get(report)).layer(throttle_layer::<Failures>()).layer(traffik.layer());
    assert_eq!(Server::start(app).await.get("/2000").await.status, 429);
    assert_eq!(remaining::<Failures>(&traffik, HERE).await?, 5);
    Ok(())
}

#[tokio::test]
async fn response_refunds_the_parts_whose_throttles_say_so() -> Result {
    async fn login(failures: Limiter<Failures>, rows: Limiter<Rows>, Path(status): Path<u16>) -> Checked<StatusCode> {
        let mut quota = RequestQuota::new();
        quota.add(failures.clone());
        quota.add(failures.client("alice"));
        quota.add(rows.cost(10));
        let _ = quota.check().await?;
        Ok(StatusCode::from_u16(status).unwrap_or_default())
    }
    let (traffik, _) = traffik();
    let app = Router::new().route("/{status}", get(login));
    let server = Server::start(app.clone().layer(traffik.layer())).await;
    let mut left = Vec::new();
    for status in [204, 401] {
        assert_eq!(server.get(&format!("/{status}")).await.status, status);
        left.push([remaining::<Failures>(&traffik, HERE).await?, remaining::<Failures>(&traffik, "alice").await?]);
    }
    assert_eq!(left, [[5, 5], [4, 4]]);
    assert_eq!(remaining::<Rows>(&traffik, HERE).await?, 980);

    // No layer sees the response.
    let reply = Server::start(app.layer(axum::Extension(traffik.clone()))).await.get("/204").await;
    assert!(reply.status == 500 && reply.body.contains("traffik.layer()"), "{}", reply.body);
    assert_eq!(remaining::<Rows>(&traffik, HERE).await?, 980);
    Ok(())
}

#[tokio::test]
async fn charges_of_one_throttle_to_one_client_add_up() -> Result {
    async fn handler(_: Throttled<Rows>, rows: Limiter<Rows>) -> Checked<()> {
        let mut quota = RequestQuota::new();
        for cost in [100, 200, 300] {
            quota.add(rows.clone().cost(cost));
        }
        quota.check().await.map(drop)
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.state(), Some(r#""request_quotas:rows";r=399;t=86400"#));
    assert_eq!(server.get("/").await.status, 429);
    assert_eq!(remaining::<Rows>(&traffik, HERE).await?, 399);
    Ok(())
}

#[tokio::test]
async fn throttle_of_several_clients_is_named_once_by_its_tightest_limit() -> Result {
    async fn own(reports: Limiter<Reports>) -> Checked<()> {
        let mut quota = RequestQuota::new();
        for (client, cost) in [("alice", 2), ("bob", 1), ("carol", 2)] {
            quota.add(reports.clone().client(client).cost(cost));
        }
        quota.check().await.map(drop)
    }
    async fn without_a_request(traffik: Traffik) -> Checked<()> {
        let mut quota = traffik.quota();
        for (client, cost) in [("alice", 2), ("bob", 1), ("carol", 2)] {
            quota.add(traffik.limiter::<Reports>(client).cost(cost));
        }
        match quota.check().await {
            Err(CheckError::Refused(refusal)) => Err(refusal.into()),
            _ => Ok(()),
        }
    }
    let (traffik, _) = traffik();
    let app = Router::new().route("/own", get(own)).route("/without", get(without_a_request));
    let with_layer = Server::start(app.clone().layer(traffik.layer())).await;
    assert_eq!(with_layer.get("/own").await.state(), Some(r#""request_quotas:reports";r=1;t=3600"#));
    let without_layer = Server::start(app.layer(axum::Extension(traffik.clone()))).await;
    for (server, path) in [(&with_layer, "/own"), (&with_layer, "/without"), (&without_layer, "/without")] {
        let refused = server.get(path).await;
        assert_eq!((refused.status, refused.retry_after()), (429, Some("3600")), "{path}");
        // Of the clients that refuse, not of bob, who has two left.
        assert_eq!(refused.state(), Some(r#""request_quotas:reports";r=1;t=3600"#), "{path}");
        assert_eq!(refused.problem("violated-policies"), serde_json::json!(["request_quotas:reports"]), "{path}");
    }

    let mut quota = traffik.quota();
    quota.add(traffik.limiter::<Reports>("alice"));
    quota.add(traffik.limiter::<Reports>("bob"));
    let mut response = axum::response::Response::new(());
    set_fields(&mut response, &quota.peek().await?);
    assert_eq!(response.headers()["ratelimit"], r#""request_quotas:reports";r=1;t=3600"#);
    Ok(())
}

#[tokio::test]
async fn rate_of_each_client_of_a_quota_is_its_own() -> Result {
    async fn handler(plan: Limiter<Plan>) -> Checked<String> {
        let mut quota = RequestQuota::new();
        quota.add(plan.clone().client("premium").cost(100));
        quota.add(plan.clone().client("free").cost(10));
        quota.add(plan.client("bought").rate(Rate::literal("1000/day")).cost(1000));
        let permit = quota.check().await?;
        Ok(permit.iter().map(|limit| limit.rate().to_string()).collect::<Vec<_>>().join(", "))
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.body, "100/day, 10/day, 1000/day");
    Ok(())
}

#[tokio::test]
async fn client_that_is_not_known_rejects_the_quota_unless_it_is_replaced() -> Result {
    async fn unknown(reports: Limiter<Reports>, unknown: Limiter<Unknown>) -> Checked<()> {
        let mut quota = RequestQuota::new();
        quota.add(reports);
        quota.add(unknown);
        quota.check().await.map(drop)
    }
    async fn known(unknown: Limiter<Unknown>) -> Checked<String> {
        let mut quota = RequestQuota::new();
        let part = quota.add(unknown.client("alice"));
        let permit = quota.check().await?;
        Ok(permit.part(&part).is_some().to_string())
    }
    let (traffik, _) = traffik();
    let app = Router::new().route("/unknown", get(unknown)).route("/known", get(known)).layer(traffik.layer());
    let server = Server::start(app).await;
    let reply = server.get("/unknown").await;
    assert_eq!((reply.status, reply.body.as_str()), (401, "log in first"));
    assert_eq!(remaining::<Reports>(&traffik, HERE).await?, 3);
    assert_eq!(server.get("/known").await.body, "true");
    assert_eq!(remaining::<Unknown>(&traffik, "alice").await?, 9);
    Ok(())
}

#[tokio::test]
async fn permits_of_a_quota_are_held_by_the_handler_alone() -> Result {
    async fn handler(held: Limiter<Held>) -> Checked<String> {
        let mut quota = RequestQuota::new();
        quota.add(held.clone());
        quota.add(held.clone());
        let both = quota.clone().check().await?;
        let third = quota.check().await.is_ok();
        drop(both);
        Ok(format!("{third} {}", held.check().await.is_ok()))
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    for _ in 0..2 {
        assert_eq!(server.get("/").await.body, "false true");
    }
    Ok(())
}

#[tokio::test]
async fn quota_waits_in_the_queue_of_its_limit() -> Result {
    let (traffik, clock) = traffik();
    let (mut parts, ()) = axum::http::Request::get("/").body(())?.into_parts();
    parts.extensions.insert(traffik);
    let queue = Limiter::<Queue>::from_request_parts(&mut parts, &()).await?.client("alice");
    let quota = || {
        let mut quota = RequestQuota::new();
        quota.add(queue.clone());
        quota
    };
    assert!(quota().check().now_or_never().is_some_and(|first| first.is_ok()));
    let mut second = Box::pin(quota().check());
    assert!(second.as_mut().now_or_never().is_none());
    clock.advance(Duration::from_secs(1));
    assert!(second.await.is_ok());
    Ok(())
}

#[tokio::test]
async fn part_of_a_client_that_is_exempted_or_whose_limit_is_off_settles_to_nothing() -> Result {
    let (traffik, _) = traffik();
    assert_eq!((remaining::<Reports>(&traffik, "alice").await?, remaining::<Rows>(&traffik, "acme").await?), (3, 1000));
    traffik.limit(Reports::UID)?.exempt("alice", Until::Removed)?;
    traffik.limit(Rows::UID)?.disable();
    let mut quota = traffik.quota();
    let reports = quota.add(traffik.limiter::<Reports>("alice"));
    let rows = quota.add(traffik.limiter::<Rows>("acme"));
    let permit = quota.check().await?;
    assert_eq!(permit.part(&reports).ok_or("no part")?.refund().await?, Settlement::NotCounted);
    assert_eq!(permit.part(&rows).ok_or("no part")?.settle(9).await?, Settlement::NotCounted);
    Ok(())
}

#[tokio::test]
async fn quota_that_cannot_be_decided_says_why_and_charges_nothing() -> Result {
    let clock = ManualClock::new();
    let local = MemoryBackend::with_clock("local", clock.clone());
    let backend = MemoryBackend::with_clock("test", clock);
    let traffik = Traffik::builder(backend).backend("local", local).build()?;
    let check = async |quota: RequestQuota| {
        let peeked = quota.peek().await.map(drop);
        (peeked, quota.check().await.map(drop))
    };
    let app = Router::new()
        .route("/empty", get(move || async move { check(RequestQuota::new()).await.1 }))
        .route(
            "/waiting",
            get(move |rows: Limiter<Rows>, reports: Limiter<Reports>| async move {
                let mut quota = RequestQuota::new();
                quota.add(reports);
                quota.add(rows.wait(Duration::from_secs(1)));
                check(quota).await.1
            }),
        )
        .route(
            "/backends",
            get(move |local: Limiter<Local>, reports: Limiter<Reports>| async move {
                let mut quota = RequestQuota::new();
                quota.add(reports);
                quota.add(local);
                check(quota).await.1
            }),
        )
        .route(
            "/least",
            get(move |rows: Limiter<Rows>, reports: Limiter<Reports>| async move {
                let mut quota = RequestQuota::new();
                quota.add(reports);
                quota.add(rows.at_least(3).at_most(2));
                check(quota).await.1
            }),
        )
        .layer(traffik.layer());
    let server = Server::start(app).await;
    for (path, says) in [("/empty", "quota"), ("/waiting", "wait"), ("/backends", "local"), ("/least", "at_least")] {
        let reply = server.get(path).await;
        assert!(reply.status == 500 && reply.body.contains(says), "{path}: {} {}", reply.status, reply.body);
    }
    assert_eq!((remaining::<Reports>(&traffik, HERE).await?, remaining::<Rows>(&traffik, HERE).await?), (3, 1000));

    let (other, _) = crate::http::app::traffik();
    let limiter = async |traffik: &Traffik| {
        let (mut parts, ()) = axum::http::Request::get("/").body(())?.into_parts();
        parts.extensions.insert(traffik.clone());
        Result::Ok(Limiter::<Reports>::from_request_parts(&mut parts, &()).await?.client("alice"))
    };
    let mut quota = RequestQuota::new();
    quota.add(limiter(&traffik).await?);
    quota.add(limiter(&other).await?);
    let failed = quota.check().await;
    assert!(matches!(&failed, Err(ThrottleRejection::Misconfigured(_))), "{failed:?}");
    Ok(())
}

throttle!(OfTeam, "request_quotas:of-team", "9/hour", Settings::new(), Team);

#[derive(Debug)]
struct Team;

impl<S: Sync> FromRequestParts<S> for Team {
    type Rejection = StatusCode;

    async fn from_request_parts(_: &mut Parts, _: &S) -> std::result::Result<Self, Self::Rejection> {
        Ok(Self)
    }
}

impl From<Team> for Client {
    fn from(Team: Team) -> Self {
        "acme".into()
    }
}

#[tokio::test]
async fn part_of_two_throttles_with_two_clients_is_settled_alone() -> Result {
    let (traffik, _) = traffik();
    let handler = async |both: Limiter<(Reports, OfTeam)>, rows: Limiter<Rows>| {
        let mut quota = RequestQuota::new();
        let both = quota.add(both.cost(2));
        quota.add(rows);
        let permit = quota.check().await?;
        let settled = match permit.part(&both) {
            Some(both) => both.refund().await.is_ok(),
            None => false,
        };
        Ok::<_, ThrottleRejection>(settled.to_string())
    };
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.body, "true");
    let left = [remaining::<Reports>(&traffik, HERE).await?, remaining::<OfTeam>(&traffik, "acme").await?];
    assert_eq!((left, remaining::<Rows>(&traffik, HERE).await?), ([3, 9], 999));
    Ok(())
}
