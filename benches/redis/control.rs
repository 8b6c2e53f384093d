//! What changes of limits cost Redis: each process reads their version once a second.

use std::time::{Duration, Instant};

use benches::rounds::{Spread, rounds};
use tokio::{
    runtime::Handle,
    task::{JoinHandle, JoinSet, block_in_place},
    time::sleep,
};
use traffik::{
    DefaultIdentity, Rate, Throttle, Traffik,
    backend::{Backend, ControlRequest},
    client::Key,
    strategy::{AnyStrategy, FixedWindow},
};
use traffik_redis::RedisBackend;

use crate::{Result, decide, server::Server, usage::Usage};

const ROUNDS: usize = 21;
const BATCH: Duration = Duration::from_secs(1);
const CALLERS: usize = 64;
const CLIENTS: usize = 10_000;
const READS: u32 = 5000;

const SIDES: [&str; 5] = [
    "decisions of a backend",
    ".. and a read each second",
    ".. and 100 reads each second, as by 100 more processes",
    "decisions of an app, which reads each second",
    ".. with a shared rate, and 1000 shared blocks",
];

struct Busy;

impl Throttle for Busy {
    const UID: &'static str = "busy";
    const RATE: Rate = Rate::literal("1000000000/h");
    type Identity = DefaultIdentity;
}

pub(crate) async fn run() -> Result {
    let server = Server::start()?;
    let (plain, changed, others) =
        (connect(&server, "plain").await?, connect(&server, "changed").await?, connect(&server, "plain").await?);
    let shared = app(&changed)?.shared().limit(Busy::UID)?;
    shared.set_rate(Rate::literal("2000000000/h")).await?;
    for client in 0..1000 {
        shared.block(("blocked", client), Duration::from_secs(86_400), "").await?;
    }
    drop(shared);

    println!("What changes of limits cost Redis, with {CALLERS} concurrent callers:\n");
    let mut usages = [Usage::default(); SIDES.len()];
    let side = async |at: usize| match at {
        0 => batch(&server, &plain, decided).await,
        1 => with_reads(&plain, 1, batch(&server, &plain, decided)).await,
        2 => with_reads(&others, 100, batch(&server, &plain, decided)).await,
        3 => batch(&server, &app(&plain)?, checked).await,
        _ => batch(&server, &app(&changed)?, checked).await,
    };
    let samples = block_in_place(|| {
        rounds::<{ SIDES.len() }>(ROUNDS, |at| match Handle::current().block_on(side(at)) {
            Ok(usage) => {
                usages.iter_mut().skip(at).take(1).for_each(|sum| *sum = *sum + usage);
                usage.server / usage.calls
            }
            Err(error) => {
                eprintln!("{error}");
                f64::NAN
            }
        })
    });
    println!("| | thousand a second | server, µs | of the row without |\n|---|--:|--:|--:|");
    for (at, (name, usage)) in SIDES.iter().zip(usages).enumerate() {
        let without = if at < 3 { 0 } else { 3 };
        let ratio = Spread::of(samples.iter().filter_map(|round| Some(round.get(at)? / round.get(without)?)));
        let Usage { calls, seconds, server, .. } = usage;
        println!(
            "| {name} | {:.1} | {:.2} | {:.3} ({:.3}..{:.3}) |",
            calls / seconds / 1e3,
            server * 1e6 / calls,
            ratio.median,
            ratio.lower,
            ratio.upper
        );
    }
    one_read(&server, &plain).await
}

async fn connect(server: &Server, namespace: &str) -> Result<RedisBackend> {
    let builder = RedisBackend::builder(server.url()).namespace(namespace).command_timeout(Duration::from_secs(10));
    Ok(builder.refusal_max_age(Duration::ZERO).connect().await?)
}

/// Returns an app. It reads changes until it is dropped.
fn app(backend: &RedisBackend) -> Result<Traffik> {
    let builder = Traffik::builder(backend.clone()).backend_timeout(Duration::from_secs(10));
    Ok(builder.register::<Busy>().build()?)
}

async fn decided(backend: RedisBackend, key: Key) -> Result {
    decide(&backend, &key, &AnyStrategy::from(FixedWindow), Busy::RATE, 1).await.map(drop)
}

async fn checked(app: Traffik, key: Key) -> Result {
    Ok(app.limiter::<Busy>(key).check().await.map(drop)?)
}

/// Runs callers for a while, each with one call at a time, and returns the usage.
async fn batch<H, F>(server: &Server, handle: &H, call: fn(H, Key) -> F) -> Result<Usage>
where
    H: Clone + Send + 'static,
    F: Future<Output = Result> + Send + 'static,
{
    let (before, started) = (Usage::now(server)?, Instant::now());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let handle = handle.clone();
        callers.spawn(async move {
            let mut calls = 0_u32;
            while started.elapsed() < BATCH {
                // Each caller has clients of its own, in turn.
                let client = caller + CALLERS * usize::try_from(calls)? % CLIENTS;
                call(handle.clone(), Key::from(client)).await?;
                calls += 1;
            }
            Result::Ok(calls)
        });
    }
    let mut calls = 0.0;
    while let Some(caller) = callers.join_next().await {
        calls += f64::from(caller??);
    }
    Ok(Usage { calls, ..Usage::now(server)? - before })
}

/// Reads the version of the changes at this rate while something runs.
async fn with_reads<T>(backend: &RedisBackend, each_second: u32, running: impl Future<Output = T>) -> T {
    let (backend, pause) = (backend.clone(), Duration::from_secs(1) / each_second);
    let reading: JoinHandle<Result> = tokio::spawn(async move {
        loop {
            sleep(pause / 2).await;
            read(&backend).await?;
            sleep(pause / 2).await;
        }
    });
    let done = running.await;
    reading.abort();
    done
}

/// Reads the version, which is the known one.
async fn read(backend: &RedisBackend) -> Result {
    backend.control(ControlRequest::Read { known: 0 }).await?;
    Ok(())
}

/// Prints the processor time of Redis for one read.
async fn one_read(server: &Server, backend: &RedisBackend) -> Result {
    let before = Usage::now(server)?;
    for _ in 0..READS {
        read(backend).await?;
    }
    let micros = (Usage::now(server)? - before).server * 1e6 / f64::from(READS);
    println!("\nA read takes {micros:.1} µs of Redis. Once a second that is {:.4} % of its time.\n", micros / 1e4);
    Ok(())
}
