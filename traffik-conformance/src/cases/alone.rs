//! One limit of one client.

use std::time::Duration;

use traffik_core::{clock::Timestamp, rate::Rate};

use crate::{
    bench::{Bench, Check, Entry, RATE, RATES, Subject, ensure},
    failure::Mismatch,
    observed::{Numbers, Observed},
};

const MICROSECOND: Duration = Duration::from_micros(1);

/// The one that was asked for.
fn only(observed: Vec<Observed>) -> Check<(bool, Numbers)> {
    let missing = || Mismatch::new("a question about one hit", "its numbers", "none");
    let observed = observed.into_iter().next().ok_or_else(missing)?;
    Ok((observed.admitted, observed.numbers.ok_or_else(missing)?))
}

/// Each strategy at each rate, some of it used.
async fn begun(bench: &Bench, subject: &mut Subject) -> Check<Vec<Entry>> {
    let mut entries = Vec::new();
    for &rate in RATES {
        for strategy in bench.strategies(rate) {
            let entry = subject.entry(&strategy, rate);
            subject.decide(&[entry.hit(entry.capacity() / 2 + 1)]).await?;
            entries.push(entry);
        }
    }
    Ok(entries)
}

pub(super) async fn refusal_changes_nothing(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for entry in begun(&bench, &mut subject).await? {
        let left = subject.remaining(&entry).await?;
        let (_, before) = only(subject.peek(&[entry.hit(1)]).await?)?;
        for refused in [left + 1, entry.capacity(), left + 1] {
            if refused > left {
                subject.decide(&[entry.hit(refused)]).await?;
            }
        }
        let (_, after) = only(subject.peek(&[entry.hit(1)]).await?)?;
        ensure(format!("a peek of {entry:?} after refusals"), before, after)?;
        subject.decide(&[entry.hit(left)]).await?;
    }
    Ok(())
}

pub(super) async fn cost_of_zero_is_admitted_and_changes_nothing(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let entry = subject.entry(&strategy, RATE);
        for cost in [0, 1, 0, entry.capacity(), 0, 0] {
            let observed = subject.decide(&[entry.hit(cost)]).await?;
            ensure(
                format!("a cost of {cost} of {entry:?}"),
                true,
                cost > 0 || observed.iter().all(|observed| observed.admitted),
            )?;
        }
        subject.exhaust(&entry).await?;
        subject.decide(&[entry.hit(0)]).await?;
        subject.decide(&[entry.hit(1)]).await?;
    }
    Ok(())
}

pub(super) async fn cost_above_the_capacity_is_refused_and_changes_nothing(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for &rate in RATES {
        for strategy in bench.strategies(rate) {
            let entry = subject.entry(&strategy, rate);
            for cost in [entry.capacity() + 1, u64::MAX, Rate::MAX_LIMIT + 1] {
                if cost > entry.capacity() {
                    let (admitted, numbers) = only(subject.decide(&[entry.hit(cost)]).await?)?;
                    let asked = format!("a cost of {cost} of {entry:?}");
                    ensure(asked, (false, true, None), (admitted, numbers.is_never_possible, numbers.retry_after))?;
                }
            }
            subject.decide(&[entry.hit(entry.capacity())]).await?;
        }
    }
    Ok(())
}

pub(super) async fn unlimited_hit_is_admitted_and_changes_nothing(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let entry = subject.entry(&strategy, RATE);
        let unlimited = entry.hit(u64::MAX).at_rate(Rate::UNLIMITED);
        subject.decide(&[unlimited]).await?;
        subject.decide(&[unlimited, entry.hit(1), unlimited]).await?;
        subject.peek(&[unlimited, entry.hit(1)]).await?;
        subject.exhaust(&entry).await?;
        subject.decide(&[unlimited, entry.hit(1)]).await?;
        let observed = subject.decide(&[unlimited]).await?;
        ensure(format!("{unlimited:?}"), vec![true], observed.iter().map(|observed| observed.admitted).collect())?;
    }
    Ok(())
}

pub(super) async fn peek_changes_nothing(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let entry = subject.entry(&strategy, RATE);
        for cost in [1, entry.capacity(), entry.capacity() + 1, 0] {
            let (admitted, _) = only(subject.peek(&[entry.hit(cost)]).await?)?;
            ensure(format!("a peek of {cost} of {entry:?}"), cost <= entry.capacity(), admitted)?;
        }
        subject.decide(&[entry.hit(entry.capacity())]).await?;
        subject.peek(&[entry.hit(1)]).await?;
    }
    Ok(())
}

pub(super) async fn retry_after_is_exact(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    let start = subject.now();
    for begun in begun(&bench, &mut subject).await? {
        for cost in [1, begun.capacity() / 2 + 1, begun.capacity()] {
            subject.go_to(start);
            let entry = subject.entry(begun.strategy(), begun.rate);
            subject.decide(&[entry.hit(entry.capacity() / 3)]).await?;
            subject.advance(entry.rate.period() / 7);
            subject.exhaust(&entry).await?;
            let (_, refused) = only(subject.decide(&[entry.hit(cost)]).await?)?;
            let Some(wait) = refused.retry_after else { continue };
            subject.advance(wait.saturating_sub(MICROSECOND));
            let (early, _) = only(subject.decide(&[entry.hit(cost)]).await?)?;
            ensure(format!("{cost} of {entry:?} a microsecond before its `retry_after` of {wait:?}"), false, early)?;
            subject.advance(wait.min(MICROSECOND));
            let (in_time, _) = only(subject.decide(&[entry.hit(cost)]).await?)?;
            ensure(format!("{cost} of {entry:?} at its `retry_after` of {wait:?}"), true, in_time)?;
        }
    }
    Ok(())
}

pub(super) async fn limit_is_full_again_at_its_reset_and_not_before(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    let start = subject.now();
    for entry in begun(&bench, &mut subject).await? {
        subject.go_to(start);
        let (_, numbers) = only(subject.peek(&[entry.hit(1)]).await?)?;
        let reset = start.saturating_add(numbers.reset_after);
        for (time, is_full) in [(reset.as_micros().saturating_sub(1), false), (reset.as_micros(), true)] {
            subject.go_to(Timestamp::from_micros(time));
            let (fits, _) = only(subject.peek(&[entry.hit(entry.capacity())]).await?)?;
            ensure(format!("a peek of all of {entry:?} at {time} us, its reset being {reset:?}"), is_full, fits)?;
        }
        subject.decide(&[entry.hit(entry.capacity())]).await?;
        subject.decide(&[entry.hit(1)]).await?;
    }
    Ok(())
}
