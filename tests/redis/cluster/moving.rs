//! Slots that move during calls.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tests::limit;
use tokio::task::JoinSet;
use traffik::{Rate, backend::Backend, client::Key, decision::Hit, strategy::AnyStrategy};

use super::{Cluster, charge, clients_of, key};
use crate::Result;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moving_slots_lose_no_charge() -> Result {
    let cluster = Cluster::start()?;
    let clients = clients_of(&cluster, 0, 6)?;
    let slots = clients.iter().map(|number| cluster.slot(&key(*number))).collect::<Result<Vec<_>>>()?;
    let backend = cluster.builder().connect().await?;
    let (over, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));

    let mut tasks = JoinSet::new();
    // Some clients whose slots move, and some whose slots stay.
    for number in clients.iter().copied().chain(1000..1006) {
        let (backend, over, calls) = (backend.clone(), Arc::clone(&over), Arc::clone(&calls));
        tasks.spawn(async move {
            let mut charged = 0;
            while !over.load(Ordering::Relaxed) {
                charged += 1;
                // Each call is charged once and gets the answer of its own client.
                assert_eq!(charge(&backend, number).await?, charged);
                calls.fetch_add(1, Ordering::Relaxed);
            }
            Result::Ok(())
        });
    }
    let moves = tokio::task::spawn_blocking(move || {
        for (from, to) in [(0, 1), (1, 2), (2, 0)] {
            for &slot in &slots {
                cluster.move_slot(slot, from, to)?;
            }
        }
        Result::Ok(cluster)
    });
    let cluster = moves.await??;
    over.store(true, Ordering::Relaxed);
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    assert!(calls.load(Ordering::Relaxed) > 1000);
    drop(cluster);
    Ok(())
}

/// Some keys of a client have moved and some have not. A decision about both is an error in that time, and never
/// charges only one of its limits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tuple_in_a_moving_slot_is_charged_with_all_or_none() -> Result {
    let cluster = Cluster::start()?;
    let backend = cluster.builder().connect().await?;
    let (alice, strategy, rate) = (Key::from("alice"), AnyStrategy::default(), Rate::literal("100000/30d"));
    let hits = ["a", "b", "c"].map(|uid| Hit::new(limit(uid, &strategy), &alice, rate, 1));
    backend.decide(&hits).await?;
    let slot = cluster.slot("{test:redis|text=alice}")?;
    let home = Cluster::home(slot);
    let moves = tokio::task::spawn_blocking(move || {
        for (from, to) in [(home, (home + 1) % 3), ((home + 1) % 3, home)] {
            cluster.move_slot(slot, from, to)?;
        }
        Result::Ok(cluster)
    });
    let mut charged = 1;
    while !moves.is_finished() {
        if let Ok(decision) = backend.decide(&hits).await {
            charged += 1;
            let used =
                decision.outcomes().iter().map(|outcome| outcome.past.as_ref().map(|past| past.state.words()[1]));
            assert!(used.clone().all(|used| used == Some(charged)), "{:?}", used.collect::<Vec<_>>());
        }
    }
    drop(moves.await??);
    assert!(charged > 10);
    Ok(())
}
