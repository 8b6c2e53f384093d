//! What is charged anew in place of what was charged before.

use std::sync::Arc;

use traffik_core::{backend::Backend, decision::Charge, rate::Rate, strategy::Concurrency};

use super::crowds::{TASKS, at_once, decide, taken};
use crate::{
    bench::{Bench, Check, Entry, RATE, RATES, ensure},
    failure::Mismatch,
};

/// Again and again, for longer than the charge would have counted.
pub(super) async fn renewal_continues_at_the_end_of_the_charge(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for &rate in RATES {
        for strategy in bench.strategies(rate) {
            let entry = subject.entry(&strategy, rate);
            let cost = entry.capacity() / 2 + 1;
            let mut charged_at = subject.now();
            subject.decide(&[entry.hit(cost)]).await?;
            for part in [3, 4, 2, 5, 3] {
                subject.advance(rate.period() / part);
                let renewed = subject.renew(&[entry.charge(cost, charged_at)]).await?;
                charged_at = renewed.into_iter().flatten().next().unwrap_or(charged_at);
                subject.peek(&[entry.hit(cost)]).await?;
            }
            subject.decide(&[entry.hit(1)]).await?;
            subject.refund(&[entry.charge(cost, charged_at)]).await?;
            subject.peek(&[entry.hit(1)]).await?;
        }
    }
    Ok(())
}

/// Whether the charge expired, another client has its permit, or it was never made.
pub(super) async fn ended_charge_is_renewed_if_it_fits(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let entry = subject.entry(&strategy, RATE);
        let charged_at = subject.now();
        subject.renew(&[entry.charge(1, charged_at)]).await?;
        subject.advance(RATE.period() * 3);
        subject.renew(&[entry.charge(entry.capacity(), charged_at)]).await?;
        subject.advance(RATE.period() / 2);
        // There is none now.
        subject.renew(&[entry.charge(1, charged_at)]).await?;
        subject.renew(&[entry.charge(entry.capacity() + 1, charged_at)]).await?;
        subject.peek(&[entry.hit(1)]).await?;
    }
    Ok(())
}

/// A limit may be lowered while more are there than it admits from then on: they stay, and are counted.
pub(super) async fn held_place_is_renewed_under_a_lower_limit(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let entry = subject.entry(&strategy, RATE);
        let lowered = Entry { rate: Rate::new(2, RATE.period()).unwrap_or(RATE), ..entry.clone() };
        for _ in 0..5 {
            subject.decide(&[entry.hit(1)]).await?;
        }
        let charged_at = subject.now();
        subject.advance(RATE.period() / 3);
        for _ in 0..5 {
            subject.renew(&[lowered.charge(1, charged_at)]).await?;
        }
        subject.advance(RATE.period() / 2);
        subject.decide(&[lowered.hit(1)]).await?;
        subject.decide(&[entry.hit(1)]).await?;
    }
    Ok(())
}

/// A charge that is not renewed does not stop the others, of the same or of other clients.
pub(super) async fn renewals_in_one_call_are_independent(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let [one, full, other] = [(); 3].map(|()| subject.entry(&strategy, RATE));
        let lapsed = subject.now();
        subject.advance(RATE.period() * 2);
        let charged_at = subject.now();
        for entry in [&one, &other] {
            subject.decide(&[entry.hit(2)]).await?;
        }
        subject.exhaust(&full).await?;
        subject.advance(RATE.period() / 4);
        let unlimited = Charge::new(one.hit(7).at_rate(Rate::UNLIMITED), charged_at);
        let charges = [
            one.charge(2, charged_at),
            full.charge(5, lapsed),
            unlimited,
            other.charge(2, charged_at),
            one.charge(0, charged_at),
            one.charge(1, lapsed),
        ];
        subject.renew(&charges).await?;
        for entry in [&one, &full, &other] {
            subject.peek(&[entry.hit(1)]).await?;
        }
        subject.renew(&[]).await?;
    }
    Ok(())
}

/// All permits are taken and renewed all the time: no other client gets one, and no permit is lost.
pub(super) async fn renewals_concurrent_with_decisions_lose_no_place(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    // Of other strategies some comes back with time, and others may take that.
    let is_held = |entry: &Entry| *entry.strategy() == Concurrency.into();
    let rate = Rate::new(TASKS / 2, RATE.period()).unwrap_or(RATE);
    for strategy in bench.strategies(rate) {
        let entry = subject.entry(&strategy, rate);
        if !is_held(&entry) {
            continue;
        }
        let charged_at = subject.now();
        for _ in 0..TASKS / 2 {
            subject.decide(&[entry.hit(1)]).await?;
        }
        let work = |backend: Arc<dyn Backend>, task: u64| {
            let entry = entry.clone();
            async move {
                let (mut renewed, mut intruders) = (0, 0);
                for _ in 0..20 {
                    if task % 2 == 0 {
                        intruders += u64::from(decide(&backend, &[&entry]).await?.is_admitted());
                        continue;
                    }
                    let answer = backend.renew(&[entry.charge(1, charged_at)]).await;
                    let answer = answer.map_err(|error| Mismatch::unanswered("a renewal", &[entry.hit(1)], &error))?;
                    renewed += answer.iter().flatten().count() as u64;
                }
                Ok(vec![renewed, intruders])
            }
        };
        let counts = at_once(&subject, work).await?;
        let asked = format!("how often {entry:?} was renewed, and how often another client was admitted");
        ensure(asked, vec![TASKS / 2 * 20, 0], counts)?;
        ensure(format!("what is taken of {entry:?}"), TASKS / 2, taken(&subject, &entry).await?)?;
    }
    Ok(())
}
