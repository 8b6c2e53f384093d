//! The router in a server, next to the routes that it changes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use axum::{Router, http::Request, routing::get};
use tokio::{net::TcpListener, sync::oneshot};
use traffik::{
    Throttled, Traffik,
    admin::{self, Guard},
};

use super::{Result, SECRET};
use crate::http::{
    app::{builder, throttle},
    server::{Reply, Server, read_to_end},
};

throttle!(Route, "admin:route", "2/hour");
throttle!(Busy, "admin:busy", "1000000/hour");

fn app(traffik: &Traffik) -> Result<Router> {
    let guard = Guard::bearer(SECRET)?;
    let app = Router::new().route("/", get(|_: Throttled<Route>| async {})).layer(traffik.layer());
    Ok(app.nest("/admin", admin::router(traffik, guard)))
}

async fn send(server: &Server, method: &str, path: &str, body: &'static str) -> Reply {
    let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {SECRET}"));
    server.send(request.header("content-type", "application/json"), body).await
}

#[tokio::test]
async fn routes_follow_the_changes_of_an_operator() -> Result {
    let (builder, clock) = builder();
    let traffik = builder.register::<Route>().build()?;
    let server = Server::start(app(&traffik)?).await;
    for status in [200, 200, 429] {
        assert_eq!(server.get("/").await.status, status);
    }
    assert_eq!(server.get("/admin/limits").await.status, 401);
    let changed = send(&server, "PATCH", "/admin/limits/admin:route", r#"{"rate": "10/hour"}"#).await;
    assert_eq!((changed.status, changed.header("cache-control")), (200, Some("no-store")));
    assert_eq!((server.get("/").await.status, changed.policy()), (200, None));
    let block = r#"{"client": "127.0.0.1", "for": "1m"}"#;
    assert_eq!(send(&server, "POST", "/admin/limits/admin:route/block", block).await.status, 200);
    assert_eq!((server.get("/").await.status, server.get("/").await.retry_after()), (429, Some("60")));
    clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(server.get("/").await.status, 200);
    // The operator has the address of a client that is blocked, and is let in.
    assert_eq!(send(&server, "POST", "/admin/limits/admin:route/block", block).await.status, 200);
    assert_eq!(send(&server, "GET", "/admin", "").await.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_that_run_meanwhile_see_all_of_a_change_or_nothing() -> Result {
    let traffik = builder().0.register::<Busy>().build()?;
    let server = Server::start(app(&traffik)?).await;
    traffik.limit("admin:busy")?.apply(traffik::control::Change::new().rate("1000000/hour".parse()?).cost(1))?;
    let stops = Arc::new(AtomicBool::new(false));
    let deciding = {
        let (traffik, stops) = (traffik.clone(), Arc::clone(&stops));
        tokio::spawn(async move {
            let mut seen = [0_u64; 2];
            while !stops.load(SeqCst) {
                let limits = traffik.limiter::<Busy>("alice").peek().await?;
                let (cost, millions) = (limits.tightest().cost(), limits.tightest().rate().limit() / 1_000_000);
                assert_eq!(cost, millions);
                seen[usize::try_from(millions - 1)?] += 1;
                tokio::task::yield_now().await;
            }
            Result::Ok(seen)
        })
    };
    for round in 0..40 {
        let change = if round % 2 == 0 {
            r#"{"rate": "2000000/hour", "cost": 2}"#
        } else {
            r#"{"rate": "1000000/hour", "cost": 1}"#
        };
        assert_eq!(send(&server, "PATCH", "/admin/limits/admin:busy?scope=local", change).await.status, 200);
    }
    stops.store(true, SeqCst);
    let seen = deciding.await??;
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn stream_ends_with_a_graceful_shutdown() -> Result {
    let traffik = builder().0.register::<Route>().build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let closing = traffik.clone();
    let service = app(&traffik)?.into_make_service_with_connect_info::<std::net::SocketAddr>();
    let serving = tokio::spawn(async move {
        let shutdown = async move {
            let _ = stopped.await;
            closing.close_event_streams();
        };
        axum::serve(listener, service).with_graceful_shutdown(shutdown).await
    });
    let request = format!(
        "GET /admin/events HTTP/1.1\r\nhost: admin\r\nconnection: close\r\nauthorization: Bearer {SECRET}\r\n\r\n"
    );
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.writable().await?;
    assert_eq!(stream.try_write(request.as_bytes())?, request.len());
    // The head of the response has come, so the stream is open.
    stream.readable().await?;
    assert_eq!(traffik.limiter::<Route>("alice").check().await?.tightest().remaining(), 1);
    let _ = stop.send(());
    let text = read_to_end(stream).await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("event: decision\ndata: {"), "{text}");
    serving.await??;
    Ok(())
}
