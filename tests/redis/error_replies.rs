//! Servers that answer with errors: out of memory, loading, with another password, or demoted to replicas.

use std::time::{Duration, Instant};

use tests::limit;
use tokio::{task::JoinSet, time::sleep};
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    decision::{Hit, LimitStatus},
    strategy::{AnyStrategy, FixedWindow, Gcra, SlidingWindowCounter, SlidingWindowLog, TokenBucket},
};
use traffik_redis::RedisBackend;

use crate::{
    Client, PLENTY, Result, builder,
    link::Link,
    log::Log,
    own::Leases,
    raw::{Raw, Reply},
    server::{Server, free_port},
};

const DEADLINE: Duration = Duration::from_millis(200);

/// The documented bound, with slack for a busy machine.
const BACK_WITHIN: Duration = Duration::from_millis(500);
const SLACK: Duration = Duration::from_millis(2500);

fn alice() -> Result<Client> {
    Client::new("alice", FixedWindow, "1000000/30d")
}

/// Makes calls, each of which fails within the deadline, until one has this error.
async fn until_error(backend: &RedisBackend, words: &str) -> Result {
    let began = Instant::now();
    loop {
        let error = error(backend).await?;
        if error.contains(words) {
            return Ok(());
        }
        assert!(began.elapsed() < PLENTY, "{error}");
        sleep(Duration::from_millis(2)).await;
    }
}

async fn error(backend: &RedisBackend) -> Result<String> {
    let asked = Instant::now();
    let error = alice()?.decide(backend, 1).await.err().ok_or("it was decided")?;
    assert!(asked.elapsed() < DEADLINE + SLACK, "{:?}", asked.elapsed());
    Ok(error.to_string())
}

async fn until_back(backend: &RedisBackend) -> Result {
    let back = Instant::now();
    while alice()?.decide(backend, 1).await.is_err() {
        assert!(back.elapsed() < BACK_WITHIN + SLACK, "the backend did not reconnect");
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Returns everything that is stored.
fn contents(raw: &mut Raw) -> Result<Vec<(String, Reply)>> {
    raw.keys()?.into_iter().map(|key| Ok((key.clone(), raw.call(&["GET", &key])?))).collect()
}

#[tokio::test]
async fn server_out_of_memory_writes_nothing_and_recovers() -> Result {
    let server = Server::start()?;
    let (backend, mut raw) = (builder(&server).connect().await?, server.raw()?);
    for strategy in [
        FixedWindow.into(),
        SlidingWindowCounter.into(),
        TokenBucket::new().into(),
        Gcra::new().burst(5).into(),
        SlidingWindowLog.into(),
        AnyStrategy::custom(Leases),
    ] {
        let client = Client::new("alice", strategy.clone(), "5/30d")?;
        // A further client without a stored state.
        let bob = Client::new("bob", strategy, "5/30d")?;
        client.decide(&backend, 1).await?;
        let before = contents(&mut raw)?;

        raw.call(&["CONFIG", "SET", "maxmemory", "1"])?;
        for hits in [&[client.hit(1), bob.hit(1)][..], &[client.hit(1)], &[bob.hit(1)]] {
            let error = backend.decide(hits).await.err().ok_or("it was decided")?.to_string();
            assert!(error.contains("out of memory"), "{error}");
        }
        raw.call(&["CONFIG", "SET", "maxmemory", "0"])?;

        assert_eq!(contents(&mut raw)?, before);
        let outcome = client.decide(&backend, 1).await?;
        assert_eq!(LimitStatus::new(&client.strategy, client.rate, &outcome).remaining(), 3);
        assert!(bob.decide(&backend, 5).await?.admitted);
        backend.clear().await?;
    }
    Ok(())
}

/// Memory runs out repeatedly, at any time: two limits that all tasks hit together always have equal counts, and the
/// callers' answers match the charges.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tuple_out_of_memory_charges_both_limits_or_neither() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let backend = backend.clone();
        callers.spawn(async move {
            let mut admitted = 0;
            for _ in 0..200 {
                admitted += u64::from(charge_both(&backend, 1).await.is_ok());
            }
            admitted
        });
    }
    let mut raw = server.raw()?;
    let (mut admitted, mut is_out) = (0, false);
    while !callers.is_empty() {
        is_out = !is_out;
        raw.call(&["CONFIG", "SET", "maxmemory", if is_out { "1" } else { "0" }])?;
        tokio::select! {
            Some(done) = callers.join_next() => admitted += done?,
            () = sleep(Duration::from_millis(3)) => {}
        }
    }
    raw.call(&["CONFIG", "SET", "maxmemory", "0"])?;
    assert_eq!(charge_both(&backend, 0).await?, [admitted; 2]);
    Ok(())
}

/// Returns the charge of each limit.
async fn charge_both(backend: &RedisBackend, cost: u64) -> Result<[u64; 2]> {
    let (key, strategy) = (Key::from("everybody"), AnyStrategy::from(FixedWindow));
    let hits = ["one", "other"].map(|uid| {
        let rate = Rate::literal("1000000/30d");
        Hit::new(limit(uid, &strategy), &key, rate, cost)
    });
    let decision = backend.decide(&hits).await?;
    let [one, other] = decision.outcomes() else { return Err("not two outcomes".into()) };
    Ok([one, other].map(|outcome| outcome.past.as_ref().map_or(0, |past| past.state.words()[1])))
}

/// Data for the server to load, and a delay for each key.
const FILL: &str = "for key = 1, 30000 do redis.call('SET', 'filling:' .. key, key) end";
const LOADS_SLOWLY: [&str; 4] = ["--key-load-delay", "100", "--loading-process-events-interval-bytes", "1024"];

#[tokio::test]
async fn loading_server_is_an_error_and_connected_afterwards() -> Result {
    let mut server = Server::start()?;
    server.raw()?.call(&["EVAL", FILL, "0"])?;
    server.raw()?.call(&["SAVE"])?;
    let connect = || builder(&server).command_timeout(DEADLINE);
    let (backend, builder) = (connect().connect().await?, connect());
    let (log, _guard) = Log::begin();

    server.kill()?;
    server.spawn_with(&LOADS_SLOWLY)?;
    until_error(&backend, "loading").await?;
    // One backend that connects in the background, and one that requires a connection.
    let newcomer = builder.clone().connect_lazy()?;
    until_error(&newcomer, "loading").await?;
    let error = builder.connect().await.err().ok_or("it was connected to")?.to_string();
    assert!(error.contains("loading"), "{error}");

    server.wait_until_it_answers()?;
    until_back(&backend).await?;
    until_back(&newcomer).await?;
    assert!(!log.text().contains("ERROR"), "{}", log.text());
    Ok(())
}

#[tokio::test]
async fn wrong_password_after_a_restart_is_logged_once_and_recovers() -> Result {
    for (before, words) in [("", "requires a password"), ("right", "rejected the username")] {
        let mut server = Server::not_started::<&str>(&[])?;
        server.spawn_with(&["--requirepass", before])?;
        server.wait_until_it_answers()?;
        let builder = builder(&server).command_timeout(DEADLINE);
        let builder = if before.is_empty() { builder } else { builder.password(before) };
        let backend = builder.connect().await?;
        let (log, _guard) = Log::begin();

        server.kill()?;
        server.spawn_with(&["--requirepass", "another"])?;
        server.wait_until_it_answers()?;
        until_error(&backend, words).await?;
        // Long enough for several attempts.
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(1) {
            let error = error(&backend).await?;
            assert!(error.contains(words) && !error.contains("right"), "{error}");
            sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(log.text().matches(words).count(), 1, "{}", log.text());

        let mut raw = server.raw()?;
        raw.call(&["AUTH", "another"])?;
        raw.call(&["CONFIG", "SET", "requirepass", before])?;
        until_back(&backend).await?;
        assert_eq!(log.text().matches("connected to Redis again").count(), 1, "{}", log.text());
    }
    Ok(())
}

#[tokio::test]
async fn demoted_server_is_an_error_until_it_is_primary_again() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).command_timeout(DEADLINE).connect().await?;
    alice()?.decide(&backend, 1).await?;
    let (log, _guard) = Log::begin();

    // A replica of a primary that does not exist, which changes nothing else.
    server.raw()?.call(&["REPLICAOF", "127.0.0.1", &free_port()?.to_string()])?;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        until_error(&backend, "a replica").await?;
    }
    // Another server may have its address by now, so the backend reconnects.
    assert!(backend.stats().given_up > 0 && log.text().lines().count() < 10, "{}", log.text());

    server.raw()?.call(&["REPLICAOF", "NO", "ONE"])?;
    until_back(&backend).await?;
    let charged = alice()?.decide(&backend, 0).await?.past.ok_or("nothing was charged")?;
    assert!(charged.state.words()[1] >= 2);
    Ok(())
}

/// A name that leads to the current primary: the replaced server still runs without errors.
#[tokio::test]
async fn primary_replaced_behind_its_address_is_left() -> Result {
    let (old, new) = (Server::start()?, Server::start()?);
    let link = Link::to(old.port()).await?;
    let backend = RedisBackend::builder(link.url()).namespace("test:redis").command_timeout(DEADLINE).connect().await?;
    alice()?.decide(&backend, 1).await?;

    link.lead_to(new.port());
    assert!(alice()?.decide(&backend, 1).await?.admitted);
    assert!(new.raw()?.keys()?.is_empty(), "the existing connection works");
    old.raw()?.call(&["REPLICAOF", "127.0.0.1", &free_port()?.to_string()])?;
    until_back(&backend).await?;
    assert_eq!(new.raw()?.keys()?.len(), 1);
    Ok(())
}
