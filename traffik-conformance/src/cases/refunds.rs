//! What is given back.

use traffik_core::{
    decision::Charge,
    rate::Rate,
    strategy::{AnyStrategy, Strategy},
};

use crate::bench::{Bench, Check, RATE, RATES, ensure};

/// A charge in a queue is given back only if it is alone there.
pub(super) fn gives_back_beside_others(strategy: &AnyStrategy) -> bool {
    strategy.holding().is_none()
}

pub(super) async fn immediate_refund_undoes_the_charge(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for &rate in RATES {
        for strategy in bench.strategies(rate).into_iter().filter(gives_back_beside_others) {
            let entry = subject.entry(&strategy, rate);
            subject.decide(&[entry.hit(entry.capacity() / 2)]).await?;
            let left = subject.remaining(&entry).await?;
            subject.decide(&[entry.hit(left)]).await?;
            subject.refund(&[entry.charge(left, subject.now())]).await?;
            ensure(format!("a peek of {entry:?} after a refund"), left, subject.remaining(&entry).await?)?;
            subject.decide(&[entry.hit(left)]).await?;
        }
    }
    Ok(())
}

/// At several times, and with another charge in between.
pub(super) async fn refund_gives_back_the_cost_that_still_counts(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for rate in [Rate::literal("60/min"), Rate::literal("97/10007us"), Rate::literal("999983/7h13m")] {
        for strategy in bench.strategies(rate) {
            for (meanwhile, later) in [(0, 1), (1, 3), (2, 2), (3, 6), (5, 1), (6, 13), (20, 0)] {
                let entry = subject.entry(&strategy, rate);
                let (tenth, sixth) = (entry.capacity() / 10 + 1, rate.period() / 6);
                let charged_at = subject.now();
                subject.decide(&[entry.hit(tenth)]).await?;
                subject.advance(sixth * meanwhile);
                subject.decide(&[entry.hit(tenth * 2)]).await?;
                subject.advance(sixth * later);
                subject.refund(&[entry.charge(tenth, charged_at)]).await?;
                subject.decide(&[entry.hit(1)]).await?;
                subject.advance(rate.period());
                subject.peek(&[entry.hit(1)]).await?;
            }
        }
    }
    Ok(())
}

pub(super) async fn refund_gives_back_at_most_what_was_charged(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let entry = subject.entry(&strategy, RATE);
        subject.decide(&[entry.hit(entry.capacity())]).await?;
        for _ in 0..3 {
            subject.refund(&[entry.charge(entry.capacity(), subject.now())]).await?;
        }
        ensure(format!("a peek of {entry:?}"), entry.capacity(), subject.remaining(&entry).await?)?;
        subject.decide(&[entry.hit(entry.capacity())]).await?;
        subject.decide(&[entry.hit(1)]).await?;
    }
    Ok(())
}

pub(super) async fn refund_of_an_unknown_charge_changes_nothing(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let entry = subject.entry(&strategy, RATE);
        let charged_at = subject.now();
        subject.refund(&[entry.charge(1, charged_at)]).await?;
        subject.decide(&[entry.hit(1)]).await?;
        subject.reset(&[entry.hit(1)]).await?;
        subject.refund(&[entry.charge(1, charged_at)]).await?;
        subject.decide(&[entry.hit(entry.capacity())]).await?;
        // And once it expired.
        subject.advance(RATE.period() * 10);
        subject.refund(&[entry.charge(entry.capacity(), charged_at)]).await?;
        subject.decide(&[entry.hit(entry.capacity())]).await?;
        subject.decide(&[entry.hit(1)]).await?;
    }
    Ok(())
}

/// Those of one entry as well, and those of a limit that was unlimited.
pub(super) async fn refunds_in_one_call_are_all_made(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE).into_iter().filter(gives_back_beside_others) {
        let entry = subject.entry(&strategy, RATE);
        let other = entry.with_uid("another");
        let charged_at = subject.now();
        let unlimited = entry.hit(7).at_rate(Rate::UNLIMITED);
        for hits in [&[entry.hit(1), unlimited, other.hit(1)], &[other.hit(1), unlimited, entry.hit(0)]] {
            subject.decide(hits).await?;
        }
        let unlimited = Charge::new(unlimited, charged_at);
        let charges =
            [other.charge(1, charged_at), unlimited, entry.charge(1, charged_at), other.charge(1, charged_at)];
        subject.refund(&charges).await?;
        for entry in [&entry, &other] {
            ensure(format!("a peek of {entry:?}"), entry.capacity(), subject.remaining(entry).await?)?;
        }
    }
    Ok(())
}
