//! What a check in a handler charges, and how the response shows it.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
    routing::get,
};
use futures_util::{FutureExt, poll};
use tower::ServiceExt;
use traffik::{
    Concurrency, LeakyBucketWithQueue, Limiter, Permit, Rule, Settings, Settlement, ThrottleRejection, Throttled,
    refund_if, test::RequestExt,
};

use super::{Result, limiter_of, remaining};
use crate::http::{
    app::{HERE, throttle, traffik},
    server::Server,
};

throttle!(Search, "limiter:search", "10/min");
throttle!(Export, "limiter:export", "5/min");
throttle!(Writes, "limiter:writes", "10/min", Settings::new().rule(Rule::methods([axum::http::Method::POST])));
throttle!(Free, "limiter:free", "10/min", Settings::new().cost_of(|_| 0));
throttle!(Failures, "limiter:failures", "10/min", Settings::new().refund_if(refund_if::success));
throttle!(AtOnce, "limiter:at_once", "2/30s", Settings::new().strategy(Concurrency));
throttle!(Queue, "limiter:queue", "1/s", Settings::new().strategy(LeakyBucketWithQueue::new().queue(5)));

type Checked<T> = std::result::Result<T, ThrottleRejection>;

#[tokio::test]
async fn limiter_that_is_not_checked_charges_nothing() -> Result {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Limiter<Search>| async {})).layer(traffik.layer());
    let reply = Server::start(app).await.get("/").await;
    assert_eq!((reply.status, reply.state()), (200, None));
    assert_eq!(remaining::<Search>(&traffik, HERE).await?, 10);
    Ok(())
}

#[tokio::test]
async fn check_charges_its_cost_and_the_response_has_the_fields() -> Result {
    async fn search(search: Limiter<Search>) -> Checked<String> {
        let permit = search.cost(4).check().await?;
        Ok(format!("{} of {}", permit.granted(), permit.tightest().remaining()))
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(search)).layer(traffik.layer())).await;
    let reply = server.get("/").await;
    assert_eq!((reply.status, &*reply.body, reply.state()), (200, "4 of 6", Some(r#""limiter:search";r=6;t=60"#)));
    assert_eq!(remaining::<Search>(&traffik, HERE).await?, 6);
    Ok(())
}

#[tokio::test]
async fn refusal_is_that_of_an_argument() -> Result {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/check", get(|search: Limiter<Search>| async { search.check().await.map(drop) }))
        .route("/argument", get(|_: Throttled<Search>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    let _ = traffik.limiter::<Search>(HERE).cost(10).check().await?;
    let (by_check, by_argument) = (server.get("/check").await, server.get("/argument").await);
    assert_eq!((by_check.status, by_check.retry_after()), (429, Some("60")));
    assert_eq!((by_check.status, &by_check.body), (by_argument.status, &by_argument.body));
    let without_date = |mut headers: axum::http::HeaderMap| {
        headers.remove("date");
        headers
    };
    assert_eq!(without_date(by_check.headers), without_date(by_argument.headers));
    Ok(())
}

#[tokio::test]
async fn check_charges_a_request_that_was_charged_before() -> Result {
    async fn search(_: Throttled<Search>, more: Limiter<Search>) -> Checked<()> {
        more.cost(3).check().await.map(drop)
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(search)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.state(), Some(r#""limiter:search";r=6;t=60"#), "named once, as it stood last");
    Ok(())
}

#[tokio::test]
async fn later_refusal_gives_the_charge_back() -> Result {
    async fn export(search: Limiter<Search>, export: Limiter<Export>) -> Checked<()> {
        let _ = search.cost(3).check().await?;
        export.cost(6).check().await.map(drop)
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(export)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.status, 429);
    assert_eq!(remaining::<Search>(&traffik, HERE).await?, 10);
    Ok(())
}

#[tokio::test]
async fn throttle_that_does_not_apply_stays_free_at_any_cost() -> Result {
    async fn write(writes: Limiter<Writes>) -> Checked<String> {
        let permit = writes.client("alice").cost(10).check().await?;
        Ok(permit.granted().to_string())
    }
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(write).post(write)).layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.get("/").await.body, "0");
    assert_eq!(server.send(axum::http::Request::post("/"), "").await.body, "10");
    assert_eq!(remaining::<Writes>(&traffik, "alice").await?, 0);
    Ok(())
}

#[tokio::test]
async fn cost_replaces_that_of_the_throttle_even_if_it_is_nothing() -> Result {
    async fn free(free: Limiter<Free>) -> Checked<String> {
        let nothing = free.clone().check().await?.granted();
        Ok(format!("{nothing} {}", free.cost(2).check().await?.granted()))
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(free)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.body, "0 2");
    assert_eq!(remaining::<Free>(&traffik, HERE).await?, 8);
    Ok(())
}

#[tokio::test]
async fn response_refunds_the_charge_of_a_check() -> Result {
    async fn attempt(failures: Limiter<Failures>) -> Checked<StatusCode> {
        let permit = failures.cost(2).check().await?;
        Ok(if permit.granted() == 2 { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED })
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(attempt)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.state(), Some(r#""limiter:failures";r=10"#));
    assert_eq!(remaining::<Failures>(&traffik, HERE).await?, 10);

    // No layer sees the response.
    let app = Router::new().route("/", get(attempt)).layer(axum::Extension(traffik.clone()));
    let reply = Server::start(app).await.get("/").await;
    assert!(reply.status == 500 && reply.body.contains("traffik.layer()"), "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn check_takes_what_fits_and_settles() -> Result {
    async fn batch(both: Limiter<(Search, Export)>) -> Checked<String> {
        let permit = both.at_least(1).at_most(50).check().await?;
        let granted = permit.granted();
        let settled = permit.of::<Search>().settle(1).await;
        Ok(format!("{granted} {:?}", settled.ok()))
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(batch)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.body, format!("5 {:?}", Some(Settlement::Done)));
    assert_eq!((remaining::<Search>(&traffik, HERE).await?, remaining::<Export>(&traffik, HERE).await?), (9, 0));
    assert_eq!(server.get("/").await.status, 429);

    let app = |limiter: Limiter<Search>| async { limiter.at_least(3).at_most(2).check().await.map(drop) };
    let server = Server::start(Router::new().route("/", get(app)).layer(traffik.layer())).await;
    let reply = server.get("/").await;
    assert!(reply.status == 500 && reply.body.contains("at_least"), "{}", reply.body);
    Ok(())
}

#[tokio::test]
async fn check_waits_for_its_turn() -> Result {
    let (traffik, clock) = traffik();
    let _ = traffik.limiter::<Search>(HERE).cost(10).check().await?;
    let search = limiter_of::<Search>(&traffik).await?;
    assert!(search.clone().wait(Duration::from_secs(59)).check().await.is_err(), "its turn comes later");
    let mut waiting = Box::pin(search.wait(Duration::from_secs(60)).check());
    assert!(waiting.as_mut().now_or_never().is_none());
    clock.advance(Duration::from_secs(60));
    assert_eq!(waiting.await?.tightest().remaining(), 9);
    Ok(())
}

#[tokio::test]
async fn permit_of_a_check_is_held_and_given_back() -> Result {
    async fn hold(at_once: Limiter<AtOnce>) -> Checked<String> {
        let held: Vec<Permit<AtOnce>> = vec![at_once.clone().check().await?, at_once.clone().check().await?];
        let third = at_once.check().await;
        drop(held);
        Ok(third.is_err().to_string())
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(hold)).layer(traffik.layer())).await;
    for _ in 0..2 {
        assert_eq!(server.get("/").await.body, "true");
    }
    Ok(())
}

#[tokio::test]
async fn check_waits_in_the_queue_of_its_limit() -> Result {
    let (traffik, clock) = traffik();
    let queue = limiter_of::<Queue>(&traffik).await?;
    assert!(queue.clone().check().now_or_never().is_some_and(|first| first.is_ok()));
    let mut second = Box::pin(queue.check());
    assert!(second.as_mut().now_or_never().is_none());
    clock.advance(Duration::from_secs(1));
    assert!(second.await.is_ok());
    Ok(())
}

#[tokio::test]
async fn permit_that_the_handler_drops_is_free_before_the_response() -> Result {
    async fn hold(at_once: Limiter<AtOnce>) -> Checked<()> {
        for _ in 0..5 {
            let both = (at_once.clone().check().await?, at_once.clone().check().await?);
            drop(both);
        }
        Ok(())
    }
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", get(hold)).layer(traffik.layer())).await;
    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.state()), (200, Some(r#""limiter:at_once";r=0"#)), "as the last check found it");
    Ok(())
}

#[tokio::test]
async fn task_that_outlives_the_response_holds_no_permit_of_its_arguments() -> Result {
    let (traffik, _) = traffik();
    let (sender, mut limiters) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |_: Throttled<AtOnce>, search: Limiter<Search>| async move {
        let _ = sender.send(search);
    };
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.status, 200);
    let search = limiters.recv().await.ok_or("no limiter")?;
    assert_eq!(remaining::<AtOnce>(&traffik, HERE).await?, 2);
    assert!(search.check().await.is_ok(), "it goes on");
    Ok(())
}

#[tokio::test]
async fn task_that_outlives_a_cancelled_request_holds_no_permit_of_its_arguments() -> Result {
    let (traffik, _) = traffik();
    let (sender, mut limiters) = tokio::sync::mpsc::unbounded_channel();
    let handler = move |_: Throttled<AtOnce>, search: Limiter<Search>| async move {
        let _ = sender.send(search);
        std::future::pending::<()>().await;
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let mut request = Box::pin(app.oneshot(Request::get("/").body(Body::empty())?.with_peer("127.0.0.1:50000")));
    assert!(poll!(&mut request).is_pending());
    let search = limiters.recv().await.ok_or("no limiter")?;
    assert_eq!(remaining::<AtOnce>(&traffik, HERE).await?, 1);
    drop(request);
    assert_eq!(remaining::<AtOnce>(&traffik, HERE).await?, 2);
    assert!(search.check().await.is_ok(), "it goes on");
    Ok(())
}

#[tokio::test]
async fn lowest_cost_of_a_throttle_that_does_not_apply_is_no_error() -> Result {
    let (traffik, _) = traffik();
    let handler = |writes: Limiter<Writes>| async { writes.at_least(1).check().await.map(drop) };
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    assert_eq!(server.get("/").await.status, 200);
    Ok(())
}
