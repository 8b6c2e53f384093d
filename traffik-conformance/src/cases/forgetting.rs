//! What is forgotten when that is asked for, and what is not.

use crate::bench::{Bench, Check, Entry, RATE, Subject, ensure};

pub(super) async fn reset_forgets_one_limit_of_one_client(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let [alice, bob] = [subject.entry(&strategy, RATE), subject.entry(&strategy, RATE)];
        let elsewhere = alice.with_uid("limit:more");
        let all = [&alice, &bob, &elsewhere];
        for entry in all {
            subject.exhaust(entry).await?;
        }
        for (at, reset) in all.iter().enumerate() {
            subject.reset(&[reset.hit(1)]).await?;
            for (other, entry) in all.iter().enumerate() {
                let expected = if other <= at { entry.capacity() } else { 0 };
                ensure(format!("a peek of {entry:?}"), expected, subject.remaining(entry).await?)?;
            }
        }
        // Several in one call, one of them unknown and one twice.
        subject.decide(&[alice.hit(1), elsewhere.hit(1)]).await?;
        subject.reset(&[bob.hit(1), alice.hit(0), elsewhere.hit(1), alice.hit(1)]).await?;
        subject.peek(&[alice.hit(1), elsewhere.hit(1)]).await?;
    }
    Ok(())
}

/// Names that a search by pattern or by beginning would take for each other.
const NAMESPACES: &[&str] = &[
    "conformance",
    "conformance:",
    "conformance:prod",
    "conformance*",
    "*",
    "c?nformance",
    "[c]onformance",
    "conform\\ance",
    "{conformance}",
    "conformance%3A",
];

/// A backend for each namespace, in which one client has nothing left: the same client in each, who had everything before.
async fn all_namespaces(bench: &Bench) -> Check<Vec<(Subject, Entry)>> {
    let mut all = Vec::new();
    for namespace in NAMESPACES {
        let mut subject = bench.of(namespace).await?;
        let entry = subject.entry(&bench.strategy(), RATE);
        // Other cases were here.
        subject.clear().await?;
        all.push((subject, entry));
    }
    for ((subject, entry), namespace) in all.iter_mut().zip(NAMESPACES) {
        let asked = format!("what remains in the empty namespace {namespace:?}");
        ensure(asked, entry.capacity(), subject.remaining(entry).await?)?;
        subject.exhaust(entry).await?;
    }
    Ok(all)
}

pub(super) async fn clear_forgets_one_namespace(bench: Bench) -> Check {
    let mut all = all_namespaces(&bench).await?;
    for cleared in 0..all.len() {
        if let Some((subject, _)) = all.get_mut(cleared) {
            subject.clear().await?;
        }
        for (at, (subject, entry)) in all.iter_mut().enumerate() {
            let expected = if at <= cleared { entry.capacity() } else { 0 };
            let asked =
                format!("what remains in {:?} once {:?} was cleared", NAMESPACES.get(at), NAMESPACES.get(cleared));
            ensure(asked, expected, subject.remaining(entry).await?)?;
        }
    }
    // More than a few.
    let mut subject = bench.of("conformance").await?;
    let entries: Vec<_> = (0..300).map(|_| subject.entry(&bench.strategy(), RATE)).collect();
    for entry in &entries {
        subject.decide(&[entry.hit(entry.capacity())]).await?;
    }
    subject.clear().await?;
    for entry in &entries {
        subject.peek(&[entry.hit(1)]).await?;
    }
    Ok(())
}

pub(super) async fn namespaces_are_counted_separately(bench: Bench) -> Check {
    for ((mut subject, entry), namespace) in all_namespaces(&bench).await?.into_iter().zip(NAMESPACES) {
        ensure("the namespace", *namespace, subject.backend.namespace())?;
        subject.reset(&[entry.hit(1)]).await?;
        subject.decide(&[entry.hit(1)]).await?;
    }
    Ok(())
}
