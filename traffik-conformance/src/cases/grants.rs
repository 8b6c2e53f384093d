//! Hits that take what fits, and hits that are not enforced.

use traffik_core::{decision::Hit, rate::Rate, strategy::Strategy};

use crate::{
    bench::{Bench, Check, Entry, RATE, RATES, Subject, ensure},
    observed::Observed,
};

/// Peeks and decides, and ensures what is granted.
async fn ensure_granted(subject: &mut Subject, hits: &[Hit<'_>], expected: &[u64]) -> Check<Vec<Observed>> {
    let granted = |observed: &[Observed]| observed.iter().map(|observed| observed.granted).collect::<Vec<_>>();
    let peeked = subject.peek(hits).await?;
    let decided = subject.decide(hits).await?;
    ensure(format!("what a peek grants of {hits:?}"), expected.to_vec(), granted(&peeked))?;
    ensure(format!("what a decision grants of {hits:?}"), expected.to_vec(), granted(&decided))?;
    Ok(decided)
}

/// Creates entries of one client, each with this much left.
async fn with_left(subject: &mut Subject, first: &Entry, lefts: &[u64]) -> Check<Vec<Entry>> {
    let mut entries = Vec::new();
    for (entry, left) in ["one", "two", "three"].iter().map(|uid| first.with_uid(uid)).zip(lefts) {
        subject.decide(&[entry.hit(entry.capacity().saturating_sub(*left))]).await?;
        entries.push(entry);
    }
    Ok(entries)
}

/// Strategies of which all is available at first, and of which nothing comes back while the clock stands still.
fn full(bench: &Bench, subject: &mut Subject) -> Vec<Entry> {
    let entries = bench.strategies(RATE).into_iter().filter(|strategy| strategy.holding().is_none());
    entries.map(|strategy| subject.entry(&strategy, RATE)).filter(|entry| entry.capacity() >= RATE.limit()).collect()
}

pub(super) async fn grant_is_the_highest_cost_that_fits(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for &rate in RATES {
        for strategy in bench.strategies(rate) {
            let entry = subject.entry(&strategy, rate);
            let third = entry.capacity() / 3;
            ensure_granted(&mut subject, &[entry.hit(third).at_least(0)], &[third]).await?;
            let left = subject.remaining(&entry).await?;
            subject.advance(rate.period() / 9);
            subject.decide(&[entry.hit(entry.capacity() + 7).at_least(left.min(1))]).await?;
            for hit in [entry.hit(1), entry.hit(5).at_least(0), entry.hit(u64::MAX).at_least(0)] {
                subject.peek(&[hit]).await?;
                subject.decide(&[hit]).await?;
            }
        }
    }
    Ok(())
}

pub(super) async fn grant_of_a_tuple_fits_all_of_its_limits(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for first in full(&bench, &mut subject) {
        let entries = with_left(&mut subject, &first, &[5, 3, 4]).await?;
        let hits: Vec<_> = entries.iter().map(|entry| entry.hit(9).at_least(1)).collect();
        let unlimited = first.hit(9).at_rate(Rate::UNLIMITED).at_least(1);
        if let [one, ..] = &entries[..] {
            // The only hit that takes what fits has no limit.
            ensure_granted(&mut subject, &[one.hit(1), unlimited], &[1, 9]).await?;
        }
        let all: Vec<_> = hits.iter().copied().chain([unlimited]).collect();
        ensure_granted(&mut subject, &all, &[3, 3, 3, 3]).await?;
        // The second has nothing left.
        ensure_granted(&mut subject, &all, &[1, 1, 1, 1]).await?;
        ensure_granted(&mut subject, &hits.iter().map(|hit| hit.at_least(0)).collect::<Vec<_>>(), &[0, 0, 0]).await?;
        // One that takes exactly its cost leaves the others theirs, and the least that one asks for is the most for all.
        if let [one, _, three] = &entries[..] {
            ensure_granted(&mut subject, &[one.hit(1), three.hit(2).at_least(0)], &[1, 1]).await?;
            subject.reset(&hits).await?;
            ensure_granted(&mut subject, &[one.hit(3).at_least(1), three.hit(9).at_least(2)], &[3, 4]).await?;
        }
    }
    Ok(())
}

pub(super) async fn grants_on_one_entry_share_what_fits(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for first in full(&bench, &mut subject) {
        let capacity = first.capacity();
        let hits = [first.hit(u64::MAX).at_least(1), first.hit(1), first.hit(u64::MAX).at_least(0)];
        let extra = (capacity - 2) / 2;
        ensure_granted(&mut subject, &hits, &[1 + extra, 1, extra]).await?;
        subject.decide(&hits).await?;
        subject.peek(&[first.hit(1)]).await?;
    }
    Ok(())
}

pub(super) async fn grant_below_the_lowest_cost_is_a_refusal(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for first in full(&bench, &mut subject) {
        let entries = with_left(&mut subject, &first, &[5, 3]).await?;
        let hits: Vec<_> = entries.iter().map(|entry| entry.hit(9).at_least(4)).collect();
        let observed = ensure_granted(&mut subject, &hits, &[4, 4]).await?;
        ensure(format!("{hits:?}"), vec![true, false], observed.iter().map(|observed| observed.admitted).collect())?;
        let expected = if first.capacity() < 5 { first.capacity() } else { 5 };
        for (entry, left) in entries.iter().zip([expected, 3]) {
            ensure(format!("what remains of {entry:?}"), left, subject.remaining(entry).await?)?;
        }
    }
    Ok(())
}

pub(super) async fn hit_that_is_not_enforced_refuses_nothing(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for first in full(&bench, &mut subject) {
        let entries = with_left(&mut subject, &first, &[5, 0]).await?;
        if let [enforced, dry] = &entries[..] {
            for hits in [[enforced.hit(1), dry.hit(1).not_enforced()], [dry.hit(2).not_enforced(), enforced.hit(1)]] {
                let observed = ensure_granted(&mut subject, &hits, &hits.map(|hit| hit.cost)).await?;
                let admitted: Vec<_> = observed.iter().map(|observed| observed.admitted).collect();
                ensure(format!("{hits:?}"), hits.iter().map(|hit| hit.enforced).collect(), admitted)?;
            }
            ensure(format!("what remains of {enforced:?}"), 3, subject.remaining(enforced).await?)?;
            subject.decide(&[dry.hit(1).not_enforced()]).await?;
        }
    }
    Ok(())
}

/// After those that are enforced, also on the same entry.
pub(super) async fn hit_that_is_not_enforced_is_charged_if_it_fits(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for first in full(&bench, &mut subject) {
        let entries = with_left(&mut subject, &first, &[5, 5]).await?;
        if let [one, other] = &entries[..] {
            let hits = [other.hit(2).not_enforced(), one.hit(1), other.hit(4), other.hit(1).not_enforced()];
            let observed = subject.decide(&hits).await?;
            let admitted: Vec<_> = observed.iter().map(|observed| observed.admitted).collect();
            ensure(format!("{hits:?}"), vec![false, true, true, true], admitted)?;
            for (entry, left) in [(one, 4), (other, 0)] {
                ensure(format!("what remains of {entry:?}"), left, subject.remaining(entry).await?)?;
            }
            subject.decide(&[one.hit(3).not_enforced()]).await?;
            subject.decide(&[one.hit(3).not_enforced()]).await?;
            ensure(format!("what remains of {one:?}"), 1, subject.remaining(one).await?)?;
        }
    }
    Ok(())
}

pub(super) async fn refused_decision_charges_no_hit_that_is_not_enforced(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for first in full(&bench, &mut subject) {
        let entries = with_left(&mut subject, &first, &[5, 0]).await?;
        if let [dry, full] = &entries[..] {
            for hits in [[dry.hit(1).not_enforced(), full.hit(1)], [full.hit(1), dry.hit(2).not_enforced()]] {
                subject.decide(&hits).await?;
                ensure(format!("what remains of {dry:?}"), 5, subject.remaining(dry).await?)?;
            }
        }
    }
    Ok(())
}
