//! Callers of several apps that wait for one limit on a server.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Waker},
    time::{Duration, Instant},
};

use tests::{admits, refused};
use tokio::{runtime::Builder, sync::mpsc, time::sleep};
use traffik::{
    CheckError, Concurrency, DefaultIdentity, Error, Gcra, Permit, Rate, Settings, Throttle, Throttles, Traffik,
    backend::BackendError, clock::Timestamp, on_error,
};

use crate::{PLENTY, Result, builder, server::Server};

throttles! {
    Calls: "waiting:calls", "40/s", Settings::new().strategy(Gcra::new());
    Slow: "waiting:slow", "2/s", Settings::new().strategy(Gcra::new());
    Daily: "waiting:daily", "1/30d", Settings::new();
    Allowed: "waiting:allowed", "1/30d", Settings::new().on_error(on_error::Allow);
}

struct Reports;

impl Throttle for Reports {
    const UID: &'static str = "waiting:reports";
    const RATE: Rate = Concurrency::at_once(1);
    type Identity = DefaultIdentity;

    fn settings() -> Settings {
        Settings::new().strategy(Concurrency)
    }
}

/// Longer than any wait of these tests.
const LONG: Duration = Duration::from_secs(60 * 24 * 3600);

type Waiting<T> = Pin<Box<dyn Future<Output = std::result::Result<Permit<T>, CheckError>> + Send>>;

async fn app(server: &Server) -> Result<Traffik> {
    Ok(Traffik::builder(builder(server).connect().await?).backend_timeout(PLENTY).build()?)
}

/// Starts a check that waits, by polling it once.
fn waits<T: Throttles>(traffik: &Traffik, max: Duration) -> Waiting<T> {
    let traffik = traffik.clone();
    let mut waiting: Waiting<T> = Box::pin(async move { traffik.limiter::<T>("alice").wait(max).check().await });
    assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it does not wait");
    waiting
}

/// An admission: the app, the place in its line, and the time on the server.
type Admission = (usize, usize, Timestamp);

#[tokio::test]
async fn apps_share_a_limit_in_order_and_none_starves() -> Result {
    const EACH: usize = 30;
    let server = Server::start()?;
    let (sender, mut receiver) = mpsc::unbounded_channel::<Admission>();
    for app_number in 0..3 {
        let traffik = app(&server).await?;
        for place in 0..EACH {
            let (waiting, sender) = (waits::<Calls>(&traffik, LONG), sender.clone());
            tokio::spawn(async move {
                let at = waiting.await.ok().and_then(|permit| permit.tightest().decided_at());
                at.map(|at| sender.send((app_number, place, at)))
            });
        }
    }
    drop(sender);
    let mut admissions = Vec::new();
    while let Some(admission) = receiver.recv().await {
        admissions.push(admission);
    }
    assert_eq!(admissions.len(), 3 * EACH);
    admissions.sort_by_key(|(_, _, at)| *at);
    for app_number in 0..3 {
        let places = admissions.iter().filter(|(app, ..)| *app == app_number).map(|(_, place, _)| *place);
        assert!(places.is_sorted(), "app {app_number} is out of order");
    }
    for ((_, _, earlier), (_, _, later)) in admissions.iter().zip(admissions.iter().skip(1)) {
        let apart = later.saturating_since(*earlier);
        assert!(apart >= Duration::from_millis(25), "{apart:?} apart");
    }
    // While all three apps have waiters, each gets about a third. Less than a tenth would take bad luck of 1 in 10 000.
    let contended = admissions.get(..EACH).unwrap_or_default();
    let shares = [0, 1, 2].map(|number| contended.iter().filter(|(app, ..)| *app == number).count());
    assert!(shares.iter().all(|share| *share >= EACH / 10), "{shares:?}");
    Ok(())
}

#[tokio::test]
async fn turn_comes_at_its_time_plus_a_tenth_at_most() -> Result {
    let server = Server::start()?;
    let traffik = app(&server).await?;
    assert!(admits::<Slow>(&traffik, "alice").await?);
    let first = waits::<Slow>(&traffik, LONG).await?;
    let second = waits::<Slow>(&traffik, LONG).await?;
    let at = |permit: &Permit<Slow>| permit.tightest().decided_at().ok_or("it was not counted");
    let apart = at(&second)?.saturating_since(at(&first)?);
    // A busy machine may be late, but never early.
    assert!(apart >= Duration::from_millis(500), "{apart:?}");
    Ok(())
}

#[tokio::test]
async fn dropped_waiter_gives_its_permit_to_the_next() -> Result {
    let server = Server::start()?;
    let traffik = app(&server).await?;
    let (first, second) = (waits::<Daily>(&traffik, LONG), waits::<Daily>(&traffik, LONG));
    // Until the first has its permit.
    let began = Instant::now();
    while traffik.limiter::<Daily>("alice").peek().await?.tightest().remaining() != 0 {
        assert!(began.elapsed() < PLENTY);
        sleep(Duration::from_millis(5)).await;
    }
    drop(first);
    assert!(tokio::time::timeout(PLENTY, second).await??.tightest().is_counted());
    Ok(())
}

#[tokio::test]
async fn permit_that_another_app_drops_is_noticed_soon() -> Result {
    let server = Server::start()?;
    let (here, elsewhere) = (app(&server).await?, app(&server).await?);
    let held = elsewhere.limiter::<Reports>("alice").check().await?;
    let waiting = waits::<Reports>(&here, LONG);
    sleep(Duration::from_millis(50)).await;
    drop(held);
    let dropped = Instant::now();
    let _permit = tokio::time::timeout(PLENTY, waiting).await??;
    // The lease would end after 30 s.
    assert!(dropped.elapsed() < PLENTY, "{:?}", dropped.elapsed());
    Ok(())
}

#[tokio::test]
async fn permits_go_around_between_apps() -> Result {
    let server = Server::start()?;
    let mut tasks = tokio::task::JoinSet::new();
    let running = Arc::new(AtomicUsize::new(0));
    // Kept until the end: an app that is dropped gives back nothing more.
    let apps = [app(&server).await?, app(&server).await?, app(&server).await?];
    for traffik in &apps {
        for _ in 0..3 {
            let (waiting, running) = (waits::<Reports>(traffik, LONG), Arc::clone(&running));
            tasks.spawn(async move {
                let permit = waiting.await.map_err(|error| error.to_string())?;
                assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "two reports run");
                sleep(Duration::from_millis(5)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
                std::result::Result::<(), String>::Ok(())
            });
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

#[tokio::test]
async fn policy_decides_about_waiters_while_the_server_is_away() -> Result {
    let mut server = Server::start()?;
    let backend = builder(&server).command_timeout(Duration::from_millis(300)).connect().await?;
    let traffik = Traffik::builder(backend).backend_timeout(Duration::from_millis(300)).build()?;
    server.kill()?;
    let (allowed, refused_by_policy) = (waits::<Allowed>(&traffik, LONG), waits::<Daily>(&traffik, LONG));
    assert!(allowed.await?.is_unchecked());
    assert!(matches!(refused_by_policy.await, Err(CheckError::Failed(Error::Backend(_)))));
    server.start_again()?;
    let began = Instant::now();
    while traffik.limiter::<Daily>("alice").wait(LONG).check().await.is_err() {
        assert!(began.elapsed() < PLENTY, "the server is back");
    }
    let refusal = refused(traffik.limiter::<Daily>("alice").wait(Duration::from_secs(1)).check().await);
    assert!(refusal.retry_after().is_some_and(|wait| wait > Duration::from_secs(1)));
    Ok(())
}

#[tokio::test]
async fn closed_app_tells_its_waiters_immediately() -> Result {
    let server = Server::start()?;
    let traffik = app(&server).await?;
    assert!(admits::<Daily>(&traffik, "alice").await?);
    let line = [waits::<Daily>(&traffik, LONG), waits::<Daily>(&traffik, LONG)];
    sleep(Duration::from_millis(50)).await;
    traffik.close().await?;
    for waiting in line {
        let checked = waiting.await;
        assert!(matches!(checked, Err(CheckError::Failed(Error::Backend(BackendError::Closed)))), "{checked:?}");
    }
    Ok(())
}

#[test]
fn line_goes_on_when_a_runtime_ends_during_its_question() -> Result {
    let server = Server::start()?;
    let runtime = || Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let (ends, stays) = (runtime()?, runtime()?);
    let traffik = stays.block_on(app(&server))?;
    server.hang()?;
    // Joined in the runtime that ends, and kept.
    let first = {
        let _entered = ends.enter();
        waits::<Slow>(&traffik, LONG)
    };
    ends.block_on(async { sleep(Duration::from_millis(50)).await });
    let second = {
        let _entered = stays.enter();
        stays.spawn(waits::<Slow>(&traffik, LONG))
    };
    ends.shutdown_timeout(PLENTY);
    server.go_on()?;
    stays.block_on(async {
        let _ = tokio::time::timeout(PLENTY, first).await??;
        let _ = tokio::time::timeout(PLENTY, second).await???;
        Ok(())
    })
}
