//! Many concurrent tasks.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Barrier, task::JoinSet, time::sleep};
use traffik_core::{backend::Backend, decision::Decision, rate::Rate, strategy::AnyStrategy};

use super::refunds::gives_back_beside_others;
use crate::{
    bench::{Bench, Check, Entry, Subject, ensure},
    failure::Mismatch,
    observed::Observed,
};

pub(super) const TASKS: u64 = 8;

/// Of which nothing comes back meanwhile, since the clock stands still.
const RATE: Rate = Rate::literal("100/min");

/// Runs `work` in concurrent tasks, each with its number, and adds up the results.
pub(super) async fn at_once<F>(subject: &Subject, work: impl Fn(Arc<dyn Backend>, u64) -> F) -> Check<Vec<u64>>
where
    F: Future<Output = Check<Vec<u64>>> + Send + 'static,
{
    let start = Arc::new(Barrier::new(usize::try_from(TASKS).unwrap_or(1)));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (work, start) = (work(subject.backend.clone(), task), Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            work.await
        });
    }
    let mut sums = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let done = done.map_err(|error| Mismatch::unanswered_at_all("a task of several", &error))??;
        sums.resize(sums.len().max(done.len()), 0);
        sums.iter_mut().zip(done).for_each(|(sum, more)| *sum += more);
    }
    Ok(sums)
}

pub(super) async fn decide(backend: &dyn Backend, entries: &[&Entry]) -> Check<Decision> {
    let hits: Vec<_> = entries.iter().map(|entry| entry.hit(1)).collect();
    let decision = backend.decide(&hits).await;
    decision.map_err(|error| Mismatch::unanswered("one of many concurrent decisions", &hits, &error))
}

/// What was taken of an entry, as the backend has it.
pub(super) async fn taken(subject: &Subject, entry: &Entry) -> Check<u64> {
    let hits = [entry.hit(1)];
    let decision = subject.backend.peek(&hits).await;
    let decision = decision.map_err(|error| Mismatch::unanswered("a peek", &hits, &error))?;
    let observed = Observed::of(&hits, decision.outcomes());
    let remaining =
        observed.iter().find_map(|observed| observed.numbers.as_ref()).map_or(0, |numbers| numbers.remaining);
    Ok(entry.capacity() - remaining)
}

/// Whether what is taken and what remains add up to all there is: not so where a delay ends a queue before it is full.
fn is_counted(strategy: &AnyStrategy) -> bool {
    !matches!(strategy, AnyStrategy::LeakyBucketWithQueue(queue) if queue.longest_delay().is_some())
}

/// The call starts the work: a caller that keeps an answer without polling it delays no other call.
pub(super) async fn decision_is_made_if_its_answer_is_not_polled(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE).into_iter().filter(is_counted) {
        let entry = subject.entry(&strategy, RATE);
        let hits = [entry.hit(1)];
        let answer = subject.backend.decide(&hits);
        for _ in 0..1000 {
            if taken(&subject, &entry).await? > 0 {
                break;
            }
            sleep(Duration::from_millis(1)).await;
        }
        ensure(format!("what is taken of {entry:?} while the answer is kept"), 1, taken(&subject, &entry).await?)?;
        drop(answer);
    }
    Ok(())
}

pub(super) async fn tasks_on_one_limit_are_admitted_exactly(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE).into_iter().filter(is_counted) {
        let entry = subject.entry(&strategy, RATE);
        let work = |backend: Arc<dyn Backend>, _| {
            let entry = entry.clone();
            async move {
                let mut admitted = 0;
                for _ in 0..20 {
                    admitted += u64::from(decide(&backend, &[&entry]).await?.is_admitted());
                }
                Ok(vec![admitted])
            }
        };
        let admitted = at_once(&subject, work).await?;
        ensure(format!("{TASKS} tasks of 20 hits on {entry:?}"), vec![entry.capacity().min(160)], admitted)?;
    }
    Ok(())
}

pub(super) async fn tuples_concurrent_with_single_limits_lose_nothing(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE).into_iter().filter(is_counted) {
        let one = subject.entry(&strategy, RATE);
        let other = Entry { rate: Rate::literal("60/min"), ..one.with_uid("another") };
        let work = |backend: Arc<dyn Backend>, task: u64| {
            let (one, other) = (one.clone(), other.clone());
            async move {
                let mut charged = vec![0, 0];
                for turn in 0..12 {
                    // In either order: a backend that locks them in the order of the hits deadlocks.
                    let (entries, charges): (&[&Entry], _) = match (task + turn) % 4 {
                        0 => (&[&one], [1, 0]),
                        1 => (&[&one, &other], [1, 1]),
                        2 => (&[&other], [0, 1]),
                        _ => (&[&other, &one], [1, 1]),
                    };
                    if decide(&backend, entries).await?.is_admitted() {
                        charged.iter_mut().zip(charges).for_each(|(sum, more)| *sum += more);
                    }
                }
                Ok(charged)
            }
        };
        let charged = at_once(&subject, work).await?;
        let asked = format!("what was charged, and is counted, of {one:?} and {other:?}");
        ensure(asked, charged, vec![taken(&subject, &one).await?, taken(&subject, &other).await?])?;
    }
    Ok(())
}

pub(super) async fn refunds_concurrent_with_decisions_lose_nothing(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE).into_iter().filter(gives_back_beside_others) {
        let entry = subject.entry(&strategy, RATE);
        let work = |backend: Arc<dyn Backend>, task: u64| {
            let entry = entry.clone();
            async move {
                let mut kept = 0;
                for turn in 0..12 {
                    let decision = decide(&backend, &[&entry]).await?;
                    if !decision.is_admitted() {
                        continue;
                    }
                    if (task + turn) % 3 == 0 {
                        kept += 1;
                        continue;
                    }
                    let charged_at = decision.outcomes().iter().map(|outcome| outcome.at);
                    let refunds: Vec<_> = charged_at.map(|at| entry.charge(1, at).refund()).collect();
                    let refunded = backend.adjust(&refunds).await;
                    refunded.map_err(|error| Mismatch::unanswered("a refund", &[entry.hit(1)], &error))?;
                }
                Ok(vec![kept])
            }
        };
        let kept = at_once(&subject, work).await?;
        let asked = format!("what was charged to {entry:?} and not given back, and is counted");
        ensure(asked, kept, vec![taken(&subject, &entry).await?])?;
    }
    Ok(())
}
