//! Servers that are there, and answer that they will not: out of memory, loading, with another password, replicas by now.

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

/// What is promised, and what a busy machine may add to it.
const BACK_WITHIN: Duration = Duration::from_millis(500);
const SLACK: Duration = Duration::from_millis(2500);

fn alice() -> Result<Client> {
    Client::new("alice", FixedWindow, "1000000/30d")
}

/// Calls go on, each with an error within the deadline, until one says so.
async fn until_told(backend: &RedisBackend, words: &str) -> Result {
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
        assert!(back.elapsed() < BACK_WITHIN + SLACK, "it is not found again");
        sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// All that is stored.
fn contents(raw: &mut Raw) -> Result<Vec<(String, Reply)>> {
    raw.keys()?.into_iter().map(|key| Ok((key.clone(), raw.call(&["GET", &key])?))).collect()
}

#[tokio::test]
async fn out_of_memory_nothing_is_written_and_all_is_well_afterwards() -> Result {
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
        // Another client beside, of whom nothing is stored yet.
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

/// Memory that runs out again and again, in the middle of whatever: of two limits that everybody hits together neither is ever
/// ahead, and what was charged is what callers were told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn out_of_memory_two_limits_are_charged_both_or_neither() -> Result {
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

/// How much is charged of each by now.
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

/// What the server is given to load, and that it takes its time over each key.
const FILL: &str = "for key = 1, 30000 do redis.call('SET', 'filling:' .. key, key) end";
const LOADS_SLOWLY: [&str; 4] = ["--key-load-delay", "100", "--loading-process-events-interval-bytes", "1024"];

#[tokio::test]
async fn a_server_that_loads_its_data_is_an_error_and_joined_afterwards() -> Result {
    let mut server = Server::start()?;
    server.raw()?.call(&["EVAL", FILL, "0"])?;
    server.raw()?.call(&["SAVE"])?;
    let connect = || builder(&server).command_timeout(DEADLINE);
    let (backend, builder) = (connect().connect().await?, connect());
    let (log, _guard) = Log::begin();

    server.kill()?;
    server.spawn_with(&LOADS_SLOWLY)?;
    until_told(&backend, "loading").await?;
    // One that comes up meanwhile, and one that insists.
    let newcomer = builder.clone().connect_lazy()?;
    until_told(&newcomer, "loading").await?;
    let error = builder.connect().await.err().ok_or("it was connected to")?.to_string();
    assert!(error.contains("loading"), "{error}");

    server.wait_until_it_answers()?;
    until_back(&backend).await?;
    until_back(&newcomer).await?;
    assert!(!log.text().contains("ERROR"), "{}", log.text());
    Ok(())
}

#[tokio::test]
async fn a_password_that_is_wrong_after_a_restart_is_logged_once_and_joined_when_it_is_right() -> Result {
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
        until_told(&backend, words).await?;
        // Long enough for several attempts.
        let told = Instant::now();
        while told.elapsed() < Duration::from_secs(1) {
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
async fn a_server_that_was_made_a_replica_is_an_error_until_it_is_a_primary_again() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).command_timeout(DEADLINE).connect().await?;
    alice()?.decide(&backend, 1).await?;
    let (log, _guard) = Log::begin();

    // Of a primary that is not there, which leaves it as it is.
    server.raw()?.call(&["REPLICAOF", "127.0.0.1", &free_port()?.to_string()])?;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        until_told(&backend, "a replica").await?;
    }
    // Another may have its address by now, and so it is connected to anew.
    assert!(backend.stats().given_up > 0 && log.text().lines().count() < 10, "{}", log.text());

    server.raw()?.call(&["REPLICAOF", "NO", "ONE"])?;
    until_back(&backend).await?;
    let charged = alice()?.decide(&backend, 0).await?.past.ok_or("nothing was charged")?;
    assert!(charged.state.words()[1] >= 2);
    Ok(())
}

/// As where a name leads to the primary, whichever that is: the one that was replaced is still there, and not broken.
#[tokio::test]
async fn a_primary_that_was_replaced_behind_its_address_is_left() -> Result {
    let (old, new) = (Server::start()?, Server::start()?);
    let link = Link::to(old.port()).await?;
    let backend = RedisBackend::builder(link.url()).namespace("test:redis").command_timeout(DEADLINE).connect().await?;
    alice()?.decide(&backend, 1).await?;

    link.lead_to(new.port());
    assert!(alice()?.decide(&backend, 1).await?.admitted);
    assert!(new.raw()?.keys()?.is_empty(), "nothing was wrong with the connection that there is");
    old.raw()?.call(&["REPLICAOF", "127.0.0.1", &free_port()?.to_string()])?;
    until_back(&backend).await?;
    assert_eq!(new.raw()?.keys()?.len(), 1);
    Ok(())
}
