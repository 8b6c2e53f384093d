//! Hundreds of tasks compete for ten permits and release them in every way.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::task::JoinSet;
use traffik::{Traffik, backend::MemoryBackend};

use super::{Result, free, places};
use crate::{patience::times, strategies::random::Random};

places!(Ten, "ten", "10/30s");

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn competing_tasks_hold_at_most_ten_permits_and_none_afterwards() -> Result {
    let traffik = Traffik::new(MemoryBackend::new("test"))?;
    let (there, most, admitted) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let mut tasks = JoinSet::new();
    for seed in 0..500 {
        let traffik = traffik.clone();
        let (there, most, admitted) = (Arc::clone(&there), Arc::clone(&most), Arc::clone(&admitted));
        tasks.spawn(async move {
            let mut random = Random::new(seed);
            for _ in 0..times(20, 2000) {
                if let Ok(permit) = traffik.limiter::<Ten>("alice").check().await {
                    admitted.fetch_add(1, Ordering::Relaxed);
                    most.fetch_max(there.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
                    tokio::task::yield_now().await;
                    there.fetch_sub(1, Ordering::AcqRel);
                    match random.upto(3) {
                        0 => drop(permit.refund().await),
                        1 => {
                            let leaves = tokio::spawn(async move {
                                let _held = permit;
                                std::future::pending::<()>().await;
                            });
                            leaves.abort();
                            let _ = leaves.await;
                        }
                        _ => drop(permit),
                    }
                }
                tokio::task::yield_now().await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done?;
    }
    let (most, admitted) = (most.load(Ordering::Acquire), admitted.load(Ordering::Relaxed));
    assert!(most <= 10, "{most} permits were held concurrently");
    assert!(admitted > 50, "{admitted} were admitted");
    assert_eq!(free::<Ten>(&traffik, "alice").await, 10);
    Ok(())
}
