//! Charges that are settled, refunded by the response, and collected in quotas, on real servers.

use std::{
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Command, Stdio},
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::post};
use traffik::{
    AdjustError, Concurrency, DefaultIdentity, FixedWindow, Gcra, LeakyBucket, MemoryBackend, Rate, Settings,
    Settlement, SlidingWindowCounter, SlidingWindowLog, Throttle, Throttled, TokenBucket, Traffik, backend::Backend,
    refund_if, strategy::AnyStrategy, test::ManualClock,
};

use traffik_redis::RedisBackend;

use crate::{PLENTY, Result, builder, cluster::Cluster, link::Link, own::RollOver, raw::Raw, server::Server};

/// The environment variable with the server address for the child process that settles a charge.
const CHILD: &str = "TRAFFIK_TEST_SETTLES";

// Periods are so long that nothing comes back during a test.
throttles! {
    Fixed: "accounting:fixed", "100/30d", Settings::new().strategy(FixedWindow);
    Counter: "accounting:counter", "100/30d", Settings::new().strategy(SlidingWindowCounter);
    Log: "accounting:log", "100/30d", Settings::new().strategy(SlidingWindowLog);
    Bucket: "accounting:bucket", "100/30d", Settings::new().strategy(TokenBucket::new());
    Leaky: "accounting:leaky", "100/30d", Settings::new().strategy(LeakyBucket::new());
    Even: "accounting:even", "100/30d", Settings::new().strategy(Gcra::new().burst(100));
    Own: "accounting:own", "100/30d", Settings::new().strategy(AnyStrategy::custom(RollOver { saved: 0 }));
    Held: "accounting:held", "5/30s", Settings::new().strategy(Concurrency);
    Login: "accounting:login", "5/30d", Settings::new().refund_if(refund_if::success);
}

/// Calls an async function with each strategy that counts amounts, and what it needs.
macro_rules! each {
    ($test:ident, $($argument:expr),*) => {
        $test::<Fixed>($($argument),*).await?;
        $test::<Counter>($($argument),*).await?;
        $test::<Log>($($argument),*).await?;
        $test::<Bucket>($($argument),*).await?;
        $test::<Leaky>($($argument),*).await?;
        $test::<Even>($($argument),*).await?;
        $test::<Own>($($argument),*).await?;
    };
}

fn app(backend: impl Backend) -> Result<Traffik> {
    Ok(Traffik::builder(backend).backend_timeout(PLENTY).build()?)
}

async fn remaining<T: Throttle>(traffik: &Traffik, client: &'static str) -> Result<u64> {
    let limits = traffik.limiter::<T>(client).peek().await?;
    Ok(limits.tightest().remaining().units().ok_or("unlimited")?)
}

/// Settles charges of one throttle, and checks what is left after each.
async fn settle<T: Throttle>(traffik: &Traffik) -> Result {
    let permit = traffik.limiter::<T>("alice").cost(50).check().await?;
    assert_eq!(permit.settle(20).await?, Settlement::Done, "{}", T::UID);
    assert_eq!((remaining::<T>(traffik, "alice").await?, permit.granted()), (80, 20), "{}", T::UID);

    let permit = traffik.limiter::<T>("alice").cost(10).check().await?;
    assert_eq!(permit.charge_more(5).await?, Settlement::Done, "{}", T::UID);
    assert_eq!(remaining::<T>(traffik, "alice").await?, 65, "{}", T::UID);
    assert_eq!(permit.refund().await?, Settlement::Done, "{}", T::UID);
    // Each part of a charge to a meter keeps what has drained meanwhile.
    assert!((79..=80).contains(&remaining::<T>(traffik, "alice").await?), "{}", T::UID);
    assert!(matches!(permit.settle(1).await, Err(AdjustError::Settled)), "{}", T::UID);

    let permit = traffik.limiter::<T>("alice").cost(10).check().await?;
    assert_eq!(permit.settle(200).await?, Settlement::Done, "{}", T::UID);
    let refusal = tests::refused(traffik.limiter::<T>("alice").check().await);
    assert_eq!(refusal.tightest().remaining(), 0, "{}", T::UID);
    Ok(())
}

#[tokio::test]
async fn settlements_leave_the_same_on_redis_and_in_memory() -> Result {
    let server = Server::start()?;
    let redis = app(builder(&server).connect().await?)?;
    each!(settle, &redis);
    let memory = app(MemoryBackend::with_clock("test", ManualClock::new()))?;
    each!(settle, &memory);
    Ok(())
}

#[tokio::test]
async fn settlements_of_a_tuple_are_one_call() -> Result {
    let server = Server::start()?;
    let traffik = app(builder(&server).connect().await?)?;
    // The server knows the programs afterwards.
    let first = traffik.limiter::<(Fixed, Counter)>("alice").cost(50).check().await?;
    assert_eq!(first.refund().await?, Settlement::Done);
    let permit = traffik.limiter::<(Fixed, Counter)>("alice").cost(50).check().await?;
    let scripts = |server: &Server| -> Result<u64> {
        let run = server.raw()?.commands_run()?;
        Ok(run.iter().filter(|(name, _)| name.starts_with("eval")).map(|(_, times)| times).sum())
    };
    let before = scripts(&server)?;
    assert_eq!(permit.refund().await?, Settlement::Done);
    assert_eq!(scripts(&server)? - before, 1);
    assert_eq!(
        (remaining::<Fixed>(&traffik, "alice").await?, remaining::<Counter>(&traffik, "alice").await?),
        (100, 100)
    );
    Ok(())
}

#[tokio::test]
async fn clients_in_several_slots_of_a_cluster_are_settled() -> Result {
    let cluster = Cluster::start()?;
    let traffik = app(cluster.builder().connect().await?)?;
    each!(settle, &traffik);

    let mut quota = traffik.quota();
    let parts: Vec<_> = ["alice", "bob", "carol", "dave", "erin"]
        .into_iter()
        .map(|client| (client, quota.add(traffik.limiter::<Held>(client))))
        .collect();
    let refused = quota.clone().check().await;
    // A decision over several slots charges all or none, whether or not the cluster supports it as one call.
    let permit = refused?;
    assert!(parts.iter().all(|(_, part)| permit.part(part).is_some()));
    assert_eq!(permit.refund().await?, Settlement::Done);
    for (client, _) in parts {
        assert_eq!(remaining::<Held>(&traffik, client).await?, 5, "{client}");
    }
    Ok(())
}

#[tokio::test]
async fn settlement_of_an_entry_that_cannot_be_read_fails_alone() -> Result {
    let server = Server::start()?;
    let traffik = app(builder(&server).connect().await?)?;
    let clients = ["alice", "bob", "carol"];
    let mut permits = Vec::new();
    for client in clients {
        permits.push(traffik.limiter::<Fixed>(client).cost(50).check().await?);
    }
    let mut raw = server.raw()?;
    let key = raw.keys()?.into_iter().find(|key| key.contains("bob")).ok_or("no key of bob")?;
    raw.call(&["SET", &key, "garbage"])?;
    let calls = |raw: &mut Raw| -> Result<u64> {
        Ok(raw
            .commands_run()?
            .iter()
            .filter(|(name, _)| name == "eval" || name == "evalsha")
            .map(|(_, calls)| calls)
            .sum())
    };
    // The server learns the program first.
    let first = traffik.limiter::<Fixed>("dave").check().await?;
    first.refund().await?;
    let before = calls(&mut raw)?;

    let answers: Vec<_> = permits.iter().map(|permit| permit.settle(20)).collect();
    let mut settled = Vec::new();
    for answer in answers {
        settled.push(answer.await);
    }
    let [Ok(Settlement::Done), Err(AdjustError::Backend(error)), Ok(Settlement::Done)] = &settled[..] else {
        return Err(format!("{settled:?}").into());
    };
    assert!(error.to_string().contains(&format!("the key {key} holds ")), "{error}");
    assert_eq!(calls(&mut raw)? - before, 1, "all three are one call");
    assert_eq!(traffik.lost_settlements(), 1);
    for client in ["alice", "carol"] {
        assert_eq!(remaining::<Fixed>(&traffik, client).await?, 80, "{client}");
    }
    assert_eq!(raw.call(&["GET", &key])?.text(), "garbage");
    Ok(())
}

#[tokio::test]
async fn settlement_in_the_slot_of_a_dead_server_fails_alone() -> Result {
    let mut cluster = Cluster::start()?;
    let redis = cluster.builder().command_timeout(Duration::from_millis(500)).connect().await?;
    let traffik = app(redis)?;
    let [dead, alive] = [client_on(&cluster, 0)?, client_on(&cluster, 1)?];
    let of_dead = traffik.limiter::<Fixed>(dead).cost(50).check().await?;
    let of_alive = traffik.limiter::<Fixed>(alive).cost(50).check().await?;
    cluster.kill(0)?;
    // Until the connection is known to be lost.
    while !matches!(traffik.limiter::<Fixed>(dead).peek().await, Err(error) if error.to_string().contains("not asked"))
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (failed, settled) = (of_dead.settle(20), of_alive.settle(20));
    assert_eq!(settled.await?, Settlement::Done);
    let left = traffik.limiter::<Fixed>(alive).peek().await?;
    assert_eq!(left.tightest().remaining(), 80);
    let failed = failed.await;
    assert!(matches!(&failed, Err(AdjustError::Backend(error)) if !error.may_have_run()), "{failed:?}");
    assert_eq!(traffik.lost_settlements(), 1);

    // The replica takes over, and the charge can still be settled.
    let began = std::time::Instant::now();
    while of_dead.settle(20).await.is_err() {
        assert!(began.elapsed() < 2 * PLENTY, "no replica took over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(of_dead.granted(), 20);
    Ok(())
}

/// Returns a client whose entry starts on a primary.
fn client_on(cluster: &Cluster, primary: usize) -> Result<u64> {
    for number in 0.. {
        if Cluster::home(cluster.slot(&format!("{{test:redis|number={number}}}"))?) == primary {
            return Ok(number);
        }
    }
    Err("no client".into())
}

#[tokio::test]
async fn settlement_that_redis_did_not_receive_is_an_error_and_the_charge_stays() -> Result {
    let mut server = Server::start()?;
    let redis = builder(&server).command_timeout(Duration::from_millis(200)).connect().await?;
    let traffik = app(redis)?;
    let permit = traffik.limiter::<Fixed>("alice").cost(50).check().await?;
    server.hang()?;
    let failed = permit.settle(20).await;
    server.go_on()?;
    assert!(matches!(failed, Err(AdjustError::Backend(_))), "{failed:?}");
    server.kill()?;
    let other = tokio::time::timeout(PLENTY, permit.refund()).await?;
    assert!(other.is_err(), "{other:?}");
    Ok(())
}

#[tokio::test]
async fn wrong_passwords_count_once_for_all_processes() -> Result {
    async fn login(_: Throttled<Login>, password: String) -> StatusCode {
        if password == "secret" { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
    }
    let server = Server::start()?;
    let mut addresses = Vec::new();
    for _ in 0..2 {
        let traffik = app(builder(&server).connect().await?)?;
        let app = Router::new().route("/", post(login)).layer(traffik.layer());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        addresses.push(listener.local_addr()?);
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await });
    }
    let client = reqwest::Client::builder().no_proxy().build()?;
    let send = |address: SocketAddr, password: &'static str| {
        let request = client.post(format!("http://{address}/")).body(password);
        async move { Ok::<_, reqwest::Error>(request.send().await?.status().as_u16()) }
    };
    let attempts = addresses.iter().cycle().take(40).map(|address| send(*address, "wrong"));
    let mut statuses = Vec::new();
    for status in futures_util::future::join_all(attempts).await {
        statuses.push(status?);
    }
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(401), count(429)), (5, 35));
    Ok(())
}

#[tokio::test]
async fn right_password_is_given_back_in_the_background() -> Result {
    let server = Server::start()?;
    let traffik = app(builder(&server).connect().await?)?;
    let handler = |_: Throttled<Login>| async { StatusCode::NO_CONTENT };
    let app = Router::new().route("/", post(handler)).layer(traffik.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = reqwest::Client::builder().no_proxy().build()?;
    for _ in 0..3 {
        let response = client.post(format!("http://{address}/")).send().await?;
        assert_eq!(response.status(), 204);
        let field = response.headers().get("ratelimit").ok_or("no field")?.to_str()?;
        assert!(field.starts_with(r#""accounting:login";r=5"#), "{field}");
        // The refund is made after the response.
        let begun = std::time::Instant::now();
        while traffik.limiter::<Login>(std::net::Ipv4Addr::LOCALHOST).peek().await?.tightest().remaining() != 5 {
            assert!(begun.elapsed() < PLENTY, "it is not refunded");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn charge_of_a_process_that_is_killed_before_its_settlement_arrives_stays() -> Result {
    let server = Server::start()?;
    let link = Link::to(server.port()).await?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "accounting::child_process_settles_a_charge", "--nocapture"])
        .env(CHILD, link.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (mut input, output) = (child.stdin.take().ok_or("its input")?, child.stdout.take().ok_or("its output")?);
    let mut lines = BufReader::new(output).lines();
    let mut says = |what: &str| lines.any(|line| line.is_ok_and(|line| line.contains(what)));
    assert!(says("it is charged"));
    link.cut();
    input.write_all(b"settle\n")?;
    assert!(says("the settlement has begun"));
    child.kill()?;
    child.wait()?;
    let traffik = app(builder(&server).connect().await?)?;
    assert_eq!(remaining::<Fixed>(&traffik, "alice").await?, 50);
    Ok(())
}

/// The child process. Does nothing in any other run of the tests.
#[tokio::test]
async fn child_process_settles_a_charge() -> Result {
    let Ok(url) = std::env::var(CHILD) else { return Ok(()) };
    let traffik = app(RedisBackend::builder(url).namespace("test:redis").command_timeout(PLENTY).connect().await?)?;
    let permit = traffik.limiter::<Fixed>("alice").cost(50).check().await?;
    println!("it is charged");
    std::io::stdin().read_line(&mut String::new())?;
    let settled = permit.settle(20);
    println!("the settlement has begun");
    assert_eq!(settled.await?, Settlement::Done);
    Ok(())
}
