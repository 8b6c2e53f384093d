//! Charges that get another cost later.

use std::{sync::Arc, time::Duration};

use traffik_core::{
    backend::Backend,
    decision::Charge,
    rate::Rate,
    strategy::{AnyStrategy, Concurrency, Strategy},
};

use super::crowds::{TASKS, at_once, decide, taken};
use crate::{
    bench::{Bench, Check, Entry, RATE, RATES, ensure},
    cool_down::{CoolDown, FATAL},
    failure::Mismatch,
};

/// More than any strategy of this project stores above its limit.
const TOO_MUCH: u64 = (1 << 47) + 1;

/// A permit has no other cost.
fn has_amounts(strategy: &AnyStrategy) -> bool {
    *strategy != Concurrency.into()
}

/// At several times, and with another charge in between.
pub(super) async fn lower_settlement_gives_back_the_cost_that_still_counts(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for rate in [Rate::literal("60/min"), Rate::literal("97/10007us"), Rate::literal("999983/7h13m")] {
        for strategy in bench.strategies(rate) {
            for (meanwhile, later) in [(0, 0), (0, 1), (1, 3), (2, 2), (3, 6), (6, 13)] {
                let entry = subject.entry(&strategy, rate);
                let (part, step) = (entry.capacity() / 4 + 1, rate.period() / 24);
                let charged_at = subject.now();
                subject.decide(&[entry.hit(part)]).await?;
                subject.advance(step * meanwhile);
                subject.decide(&[entry.hit(part)]).await?;
                subject.advance(step * later);
                subject.adjust(&[entry.charge(part, charged_at).settle(part / 2)]).await?;
                subject.decide(&[entry.hit(1)]).await?;
                subject.advance(rate.period());
                subject.peek(&[entry.hit(1)]).await?;
            }
        }
    }
    Ok(())
}

pub(super) async fn higher_settlement_is_charged_even_if_it_does_not_fit(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for &rate in RATES {
        for strategy in bench.strategies(rate).into_iter().filter(has_amounts) {
            let entry = subject.entry(&strategy, rate);
            let (capacity, charged_at) = (entry.capacity(), subject.now());
            subject.decide(&[entry.hit(1)]).await?;
            subject.advance(rate.period() / 5);
            for actual in [2, capacity, capacity + 2] {
                subject.adjust(&[entry.charge(1, charged_at).settle(actual)]).await?;
                subject.decide(&[entry.hit(1)]).await?;
                subject.peek(&[entry.hit(capacity)]).await?;
            }
            ensure(format!("what remains of the overdrawn {entry:?}"), 0, subject.remaining(&entry).await?)?;
            // Some of it may be settled again, and some comes back.
            subject.adjust(&[entry.charge(capacity, charged_at).settle(1)]).await?;
            subject.advance(rate.period() * 2 / 3);
            subject.decide(&[entry.hit(1)]).await?;
        }
    }
    Ok(())
}

pub(super) async fn overdraft_is_worked_off_at_its_retry_after(bench: Bench) -> Check {
    const MICROSECOND: Duration = Duration::from_micros(1);
    let mut subject = bench.subject().await?;
    for rate in [RATE, Rate::literal("7/s"), Rate::literal("97/10007us"), Rate::literal("1000/500ms")] {
        for strategy in bench.strategies(rate).into_iter().filter(has_amounts) {
            let entry = subject.entry(&strategy, rate);
            let charged_at = subject.now();
            subject.decide(&[entry.hit(entry.capacity())]).await?;
            let settled = entry.charge(entry.capacity(), charged_at).settle(entry.capacity() * 3 + 1);
            subject.adjust(&[settled]).await?;
            let observed = subject.decide(&[entry.hit(1)]).await?;
            let Some(wait) = observed.iter().find_map(|observed| observed.numbers.as_ref()?.retry_after) else {
                return Err(Mismatch::new(format!("a hit on the overdrawn {entry:?}"), "a wait", "none"));
            };
            for (wait, is_admitted) in [(wait.saturating_sub(MICROSECOND), false), (MICROSECOND, true)] {
                subject.advance(wait);
                let observed = subject.decide(&[entry.hit(1)]).await?;
                let asked = format!("a hit on {entry:?} around the end of its wait");
                ensure(asked, vec![is_admitted], observed.iter().map(|observed| observed.admitted).collect())?;
            }
        }
    }
    Ok(())
}

pub(super) async fn settlement_after_the_window_gives_back_nothing(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let entry = subject.entry(&strategy, RATE);
        let charged_at = subject.now();
        subject.decide(&[entry.hit(entry.capacity())]).await?;
        subject.advance(RATE.period() * 3);
        subject.decide(&[entry.hit(1)]).await?;
        let left = subject.remaining(&entry).await?;
        subject.adjust(&[entry.charge(entry.capacity(), charged_at).refund()]).await?;
        let found = subject.remaining(&entry).await?;
        ensure(
            format!("what remains of {entry:?} after a late refund"),
            left,
            if strategy.is_custom() { left } else { found },
        )?;
        if has_amounts(&strategy) {
            // More is charged now, also for a client who is not known any more.
            subject.adjust(&[entry.charge(1, charged_at).settle(2)]).await?;
            subject.reset(&[entry.hit(1)]).await?;
            subject.adjust(&[entry.charge(1, charged_at).settle(2)]).await?;
        }
        subject.decide(&[entry.hit(1)]).await?;
    }
    Ok(())
}

pub(super) async fn settlement_that_fails_changes_nothing(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE).into_iter().filter(|strategy| !strategy.is_custom()) {
        let entry = subject.entry(&strategy, RATE);
        let charged_at = subject.now();
        for cost in [1, 0] {
            subject.decide(&[entry.hit(1)]).await?;
            subject.advance(RATE.period() / 7);
            let left = subject.remaining(&entry).await?;
            for actual in [TOO_MUCH + 1, 1 << 48, u64::MAX] {
                let observed = subject.adjust(&[entry.charge(cost, charged_at).settle(actual)]).await?;
                ensure(
                    format!("{actual} of {entry:?}"),
                    1,
                    observed.iter().filter(|observed| observed.is_err()).count(),
                )?;
                ensure(format!("a peek of {entry:?} after that"), left, subject.remaining(&entry).await?)?;
            }
            subject.reset(&[entry.hit(1)]).await?;
        }
        // For a client who is not known.
        subject.adjust(&[entry.charge(1, charged_at).settle(u64::MAX)]).await?;
        subject.decide(&[entry.hit(entry.capacity())]).await?;
    }
    Ok(())
}

/// Those of one entry, of several clients, at an unlimited rate, and those that fail.
pub(super) async fn settlements_in_one_call_are_independent(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let [one, other, third] = [(); 3].map(|()| subject.entry(&strategy, RATE));
        let charged_at = subject.now();
        for entry in [&one, &other] {
            subject.decide(&[entry.hit(entry.capacity() / 2 + 1), entry.with_uid("another").hit(1)]).await?;
        }
        subject.advance(RATE.period() / 60);
        let (of_another, most) = (one.with_uid("another"), if strategy.is_custom() { 1 << 46 } else { u64::MAX });
        let adjustments = [
            one.charge(one.capacity() / 2 + 1, charged_at).settle(1),
            other.charge(1, charged_at).settle(most),
            other.charge(1, charged_at).settle(1),
            Charge::new(one.hit(7).at_rate(Rate::UNLIMITED), charged_at).settle(3),
            third.charge(1, charged_at).settle(3),
            of_another.charge(1, charged_at).refund(),
            one.charge(1, charged_at).settle(2),
            other.charge(1, charged_at).refund(),
        ];
        subject.adjust(&adjustments).await?;
        for entry in [&one, &other, &third, &of_another] {
            subject.decide(&[entry.hit(1)]).await?;
        }
        subject.adjust(&[]).await?;
    }
    Ok(())
}

/// The only failure of a single entry that the suite can cause. A store has more, such as an entry that cannot be read.
pub(super) async fn settlement_that_panics_fails_alone(bench: Bench) -> Check {
    let (mut subject, custom) = (bench.subject().await?, AnyStrategy::custom(CoolDown));
    if !(bench.supports)(&custom) {
        return Ok(());
    }
    for strategy in bench.strategies(RATE) {
        let [one, fatal, other] = [&strategy, &custom, &strategy].map(|strategy| subject.entry(strategy, RATE));
        let charged_at = subject.now();
        for entry in [&one, &fatal, &other] {
            subject.decide(&[entry.hit(1)]).await?;
        }
        let [one_refund, other_refund] = [&one, &other].map(|entry| entry.charge(1, charged_at).refund());
        let adjustments = [one_refund, fatal.charge(FATAL, charged_at).refund(), other_refund];
        let asked = format!("whether each is made of {adjustments:?}, the second of which panics");
        let found = subject.backend.adjust(&adjustments).await;
        let found = found.map_err(|error| Mismatch::unanswered_at_all(&asked, &error))?;
        ensure(asked, vec![true, false, true], found.iter().map(Result::is_ok).collect())?;
        subject.reference.adjust(&[one_refund, other_refund], charged_at);
        for entry in [&one, &fatal, &other] {
            subject.decide(&[entry.hit(1)]).await?;
        }
    }
    Ok(())
}

/// Some are given back, some get another cost, and all of it is counted.
pub(super) async fn settlements_concurrent_with_decisions_lose_nothing(bench: Bench) -> Check {
    const RATE: Rate = Rate::literal("1000/min");
    let mut subject = bench.subject().await?;
    let is_counted = |entry: &Entry| has_amounts(entry.strategy()) && entry.strategy().holding().is_none();
    for strategy in bench.strategies(RATE) {
        let entry = subject.entry(&strategy, RATE);
        if !is_counted(&entry) || entry.capacity() < TASKS * 12 * 3 {
            continue;
        }
        let work = |backend: Arc<dyn Backend>, task: u64| {
            let entry = entry.clone();
            async move {
                let mut kept = 0;
                for turn in 0..12 {
                    let (decision, actual) = (decide(&backend, &[&entry]).await?, (task + turn) % 4);
                    let charged_at = decision.outcomes().iter().map(|outcome| outcome.at);
                    let settlements: Vec<_> = charged_at.map(|at| entry.charge(1, at).settle(actual)).collect();
                    let adjusted = backend.adjust(&settlements).await;
                    adjusted.map_err(|error| Mismatch::unanswered("a settlement", &[entry.hit(1)], &error))?;
                    kept += actual;
                }
                Ok(vec![kept])
            }
        };
        let kept = at_once(&subject, work).await?;
        ensure(format!("what {entry:?} was settled to"), kept, vec![taken(&subject, &entry).await?])?;
    }
    Ok(())
}
