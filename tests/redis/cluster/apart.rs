//! Decisions about several clients on different servers.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tests::{limit, refunds};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use traffik::{
    Rate,
    backend::{AdjustmentError, Backend, BackendError},
    client::Key,
    decision::{Charge, Decision, Hit, LimitStatus},
    strategy::AnyStrategy,
};

use super::{Cluster, clients_of};
use crate::{Result, own::Fragile};

const DEADLINE: Duration = Duration::from_millis(500);

/// Slack for a busy machine.
const SLACK: Duration = Duration::from_millis(1500);

/// One client on each primary, with a limit of three.
struct Three {
    cluster: Cluster,
    keys: Vec<Key>,
    strategy: AnyStrategy,
}

impl Three {
    fn start() -> Result<Self> {
        let cluster = Cluster::start()?;
        let one_of = |primary| clients_of(&cluster, primary, 1).map(|clients| clients.into_iter().map(Key::from));
        let keys = [one_of(0)?, one_of(1)?, one_of(2)?].into_iter().flatten().collect();
        Ok(Self { cluster, keys, strategy: AnyStrategy::default() })
    }

    fn hits(&self) -> Result<Vec<Hit<'_>>> {
        let rate = "3/30d".parse()?;
        Ok(self.keys.iter().map(|key| Hit::new(limit("limit", &self.strategy), key, rate, 1)).collect())
    }

    /// Returns the charges of each client, from its server.
    async fn charged(&self) -> Result<[u64; 3]> {
        let backend = self.cluster.builder().connect().await?;
        let mut charged = [0; 3];
        for (hit, charged) in self.hits()?.iter().zip(&mut charged) {
            let decision = backend.peek(&[*hit]).await?;
            let past = decision.outcomes().first().and_then(|outcome| outcome.past.clone());
            *charged = past.map_or(0, |past| past.state.words()[1]);
        }
        Ok(charged)
    }

    /// Returns how often programs ran on any of the servers.
    fn programs(&self) -> Result<u64> {
        let mut programs = 0;
        for primary in self.cluster.primaries() {
            let run = primary.raw()?.commands_run()?;
            programs += run.iter().filter(|(name, _)| name.starts_with("eval")).map(|(_, calls)| calls).sum::<u64>();
        }
        Ok(programs)
    }
}

/// With an error instead of a refusal, callers that fail open would admit the request.
#[tokio::test]
async fn refusal_stands_while_another_server_hangs() -> Result {
    let three = Three::start()?;
    let backend = three.cluster.builder().command_timeout(DEADLINE).connect().await?;
    let hits = three.hits()?;
    while backend.decide(&hits[1..2]).await?.is_admitted() {}
    three.cluster.node(2)?.hang()?;
    let asked = Instant::now();
    let refusal = backend.decide(&hits).await?;
    assert!(asked.elapsed() < DEADLINE + SLACK, "{:?}", asked.elapsed());
    let admitted: Vec<_> = refusal.outcomes().iter().map(|outcome| outcome.admitted).collect();
    assert_eq!(admitted, [true, false, true]);
    three.cluster.node(2)?.go_on()?;
    Ok(())
}

/// Nothing is charged and refunded, which would take room from other requests in between.
#[tokio::test]
async fn refused_client_is_decided_without_a_call() -> Result {
    let three = Three::start()?;
    let backend = three.cluster.builder().connect().await?;
    let hits = three.hits()?;
    while backend.decide(&hits[1..2]).await?.is_admitted() {}
    let (before, started) = (three.programs()?, Instant::now());
    let mut refused = 0;
    while started.elapsed() < Duration::from_millis(2_500) {
        let refusal = backend.decide(&hits).await?;
        let remaining: Vec<_> = hits
            .iter()
            .zip(refusal.outcomes())
            .map(|(hit, outcome)| LimitStatus::new(hit.limit.strategy(), hit.rate, outcome).remaining())
            .collect();
        assert_eq!(remaining, [3, 0, 3]);
        refused += 1;
    }
    let asked = three.programs()? - before;
    assert!(refused > 1_000 && asked <= 10 * (started.elapsed().as_secs() + 1), "{asked} calls for {refused} refusals");

    // The clients with room still have it.
    assert!(backend.decide(&hits[..1]).await?.is_admitted());
    Ok(())
}

/// An unlimited client needs no key, and so no secret for its digest.
#[tokio::test]
async fn unlimited_client_is_decided_without_a_call() -> Result {
    let three = Three::start()?;
    let backend = three.cluster.builder().connect().await?;
    let (hits, secret) = (three.hits()?, Key::secret("sk_live"));
    let unlimited = Hit::new(hits[0].limit, &secret, "0/0".parse()?, 1);
    for hits in [[unlimited, hits[0], hits[1]], [hits[0], unlimited, hits[1]]] {
        assert!(backend.decide(&hits).await?.is_admitted());
    }
    Ok(())
}

/// Cancels the caller while the second of three servers hangs. If the server recovers within the deadline, all three
/// are charged. If it recovers later, the first charge is refunded and the third server is not called; the second call
/// may run late.
#[tokio::test]
async fn cancelled_decision_over_several_slots_leaves_no_part_of_it_charged() -> Result {
    let three = Three::start()?;
    let backend = three.cluster.builder().command_timeout(DEADLINE).connect().await?;
    let hits = three.hits()?;
    let mut charged = Vec::new();
    for hangs_for in [DEADLINE / 5, 2 * DEADLINE] {
        three.cluster.node(1)?.hang()?;
        assert!(timeout(DEADLINE / 10, backend.decide(&hits)).await.is_err(), "a server that hangs answered");
        sleep(hangs_for).await;
        three.cluster.node(1)?.go_on()?;
        // Until the background work has finished.
        sleep(2 * DEADLINE).await;
        charged.push(three.charged().await?);
    }
    let [in_time, late] = charged[..] else { return Err("two rounds".into()) };
    assert_eq!(in_time, [1, 1, 1]);
    assert_eq!((late[0], late[2]), (1, 1));
    let stats = backend.stats();
    assert!(late[1] - 1 <= stats.late + stats.in_doubt, "{late:?}: {stats:?}");
    Ok(())
}

/// The others are done, whatever the error says of the part of the dead server.
#[tokio::test]
async fn refund_over_several_slots_fails_only_for_the_server_that_is_dead() -> Result {
    let mut three = Three::start()?;
    let backend = three.cluster.builder().command_timeout(DEADLINE).connect().await?;
    let charged_at = backend.decide(&three.hits()?).await?.outcomes().first().ok_or("no outcome")?.at;
    three.cluster.kill(1)?;
    let charges: Vec<_> = three.hits()?.into_iter().map(|hit| Charge::new(hit, charged_at)).collect();
    let mut was_not_run = false;
    // Until the connection is known to be lost.
    for _ in 0..20 {
        let refunded = backend.adjust(&refunds(&charges)).await?;
        let [Ok(_), Err(AdjustmentError::Backend(error)), Ok(_)] = &refunded[..] else {
            return Err(format!("{refunded:?}").into());
        };
        was_not_run |= matches!(**error, BackendError::NotRun(_));
        sleep(Duration::from_millis(10)).await;
    }
    assert!(was_not_run, "a refund that did not run can be repeated");
    let others = [three.hits()?[0], three.hits()?[2]];
    let left = backend.peek(&others).await?;
    for (hit, outcome) in others.iter().zip(left.outcomes()) {
        assert_eq!(LimitStatus::new(hit.limit.strategy(), hit.rate, outcome).remaining(), 3);
    }
    Ok(())
}

/// The strategy of the second client panics. Its entries are in another slot than those of the first.
#[tokio::test]
async fn custom_strategy_that_panics_leaves_no_other_slot_charged() -> Result {
    let three = Three::start()?;
    let backend = three.cluster.builder().connect().await?;
    let panics = Arc::new(AtomicBool::new(true));
    let fragile = AnyStrategy::custom(Fragile(panics));
    let mut hits = three.hits()?;
    hits.iter_mut().skip(1).for_each(|hit| hit.limit = limit(hit.limit.uid(), &fragile));
    let decision = AssertUnwindSafe(backend.decide(&hits).into_future()).catch_unwind().await;
    assert!(decision.is_err(), "the decision did not panic");
    assert_eq!(three.charged().await?, [0, 0, 0]);
    Ok(())
}

fn granted(decision: &Decision) -> Vec<(bool, u64)> {
    decision.outcomes().iter().map(|outcome| (outcome.admitted, outcome.granted)).collect()
}

#[tokio::test]
async fn hits_in_several_slots_that_take_what_fits_are_granted_the_same() -> Result {
    let three = Three::start()?;
    let backend = three.cluster.builder().connect().await?;
    let hits: Vec<_> = three.hits()?.into_iter().map(|hit| hit.costing(5).at_least(1)).collect();
    assert!(backend.decide(&[hits[1].costing(1)]).await?.is_admitted());
    assert_eq!(granted(&backend.decide(&hits).await?), [(true, 2); 3]);
    assert_eq!(three.charged().await?, [2, 3, 2]);
    // Nothing is left at one of them.
    assert_eq!(granted(&backend.decide(&hits).await?), [(true, 1), (false, 1), (true, 1)]);
    assert_eq!(three.charged().await?, [2, 3, 2]);
    let not_enforced = [hits[0], hits[1].costing(1).not_enforced(), hits[2]];
    let decision = backend.decide(&not_enforced).await?;
    assert!(decision.is_admitted());
    assert_eq!(granted(&decision), [(true, 1), (false, 1), (true, 1)]);
    assert_eq!(three.charged().await?, [3, 3, 3]);
    Ok(())
}

/// Each looks what fits in three slots and then charges exactly that, while others do the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_hits_in_several_slots_take_no_more_than_the_limits() -> Result {
    let three = Arc::new(Three::start()?);
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let (three, backend) = (Arc::clone(&three), three.cluster.builder().connect().await?);
        tasks.spawn(async move {
            let mut total = 0;
            for _ in 0..20 {
                let hits: Vec<_> = three
                    .hits()?
                    .into_iter()
                    .map(|hit| hit.at_rate(Rate::literal("50/30d")).costing(4).at_least(1))
                    .collect();
                let decision = backend.decide(&hits).await?;
                let outcomes = decision.outcomes();
                assert!(outcomes.iter().all(|outcome| outcome.granted == outcomes[0].granted));
                total += if decision.is_admitted() { outcomes[0].granted } else { 0 };
            }
            Result::Ok(total)
        });
    }
    let mut total = 0;
    while let Some(task) = tasks.join_next().await {
        total += task??;
    }
    assert_eq!(three.charged().await?, [total; 3]);
    assert!(total <= 50);
    Ok(())
}
