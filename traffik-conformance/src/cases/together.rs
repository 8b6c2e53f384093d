//! Several hits in one decision.

use traffik_core::{decision::Hit, strategy::Strategy};

use crate::{
    bench::{Bench, Check, Entry, RATE, ensure},
    observed::Observed,
};

fn admitted(observed: &[Observed]) -> Vec<bool> {
    observed.iter().map(|observed| observed.admitted).collect()
}

fn costs(observed: &[Observed]) -> Vec<u64> {
    observed.iter().filter_map(|observed| observed.numbers.as_ref()).map(|numbers| numbers.cost).collect()
}

/// Limits of one client, with these uids.
fn limits(entry: &Entry, uids: &[&'static str]) -> Vec<Entry> {
    uids.iter().map(|uid| entry.with_uid(uid)).collect()
}

/// A cost of 1 of each, but for one of which it is more than there ever is.
fn all_but(entries: &[Entry], dear: usize) -> Vec<Hit<'_>> {
    let cost = |at, entry: &Entry| if at == dear { entry.capacity() + 1 } else { 1 };
    entries.iter().enumerate().map(|(at, entry)| entry.hit(cost(at, entry))).collect()
}

pub(super) async fn hits_are_charged_together_or_not_at_all(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let entries = limits(&subject.entry(&strategy, RATE), &["one", "two", "three", "four", "five"]);
        // While no client is known, and once all are.
        for round in 0..2 {
            for dear in 0..entries.len() {
                let hits = all_but(&entries, dear);
                let observed = subject.decide(&hits).await?;
                ensure(format!("{hits:?}"), false, observed.iter().all(|observed| observed.admitted))?;
                for entry in &entries {
                    subject.peek(&[entry.hit(1)]).await?;
                }
            }
            if round == 0 {
                subject.decide(&all_but(&entries, entries.len())).await?;
            }
        }
    }
    Ok(())
}

pub(super) async fn hits_on_one_entry_add_up(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE).into_iter().filter(|one| one.capacity(RATE) == RATE.limit()) {
        for known in [0, 1] {
            let entry = subject.entry(&strategy, RATE);
            let other = entry.with_uid("another");
            subject.decide(&[entry.hit(known)]).await?;

            let hits = [entry.hit(2), other.hit(1), entry.hit(2), entry.hit(2)];
            let observed = subject.decide(&hits).await?;
            ensure(format!("{hits:?}"), vec![true, true, true, false], admitted(&observed))?;
            ensure(format!("{hits:?}"), vec![2, 1, 4, 6], costs(&observed))?;
            subject.peek(&hits).await?;

            subject.decide(&[entry.hit(3 - known), entry.hit(3)]).await?;
            let observed = subject.decide(&[entry.hit(2 - known), entry.hit(3)]).await?;
            ensure(format!("5 in all of {entry:?}"), vec![true, true], admitted(&observed))?;
            ensure(format!("a peek of {entry:?}"), 0, subject.remaining(&entry).await?)?;
        }
    }
    Ok(())
}

pub(super) async fn sums_beyond_64_bits_are_refused(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let entry = subject.entry(&strategy, RATE);
        let hits = [entry.hit(1), entry.hit(u64::MAX), entry.hit(u64::MAX), entry.hit(2)];
        let observed = subject.decide(&hits).await?;
        let expected = vec![true, false, false, false];
        ensure(format!("{hits:?}"), expected, admitted(&observed))?;
        subject.decide(&[entry.hit(entry.capacity())]).await?;
    }
    Ok(())
}

pub(super) async fn outcomes_are_in_the_order_of_hits(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    let uids = ["h", "b", "d", "a", "c", "g", "f", "e", "k", "j"];
    for strategy in bench.strategies(RATE) {
        let entries = limits(&subject.entry(&strategy, RATE), &uids);
        // Each costs something else, some of them more than there is.
        let each = [3, 7, 0, 9, 1, 4, 8, 2, 6, 5];
        let hits: Vec<_> = entries.iter().zip(each).map(|(entry, cost)| entry.hit(cost)).collect();
        for _ in 0..2 {
            let observed = subject.decide(&hits).await?;
            ensure(format!("{hits:?}"), each.to_vec(), costs(&observed))?;
            subject.peek(&hits).await?;
        }
        let fits: Vec<_> = hits.iter().map(|hit| hit.costing(hit.cost.min(1))).collect();
        subject.decide(&fits).await?;
        subject.peek(&fits).await?;
    }
    Ok(())
}

pub(super) async fn decision_about_no_hits_is_admitted(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    ensure("no hits", 0, subject.decide(&[]).await?.len())?;
    ensure("no hits", 0, subject.decide(&[]).await?.len())?;
    subject.peek(&[]).await?;
    subject.refund(&[]).await?;
    subject.reset(&[]).await
}

/// Without concurrent calls: a store on several servers may decide about them one after the other.
pub(super) async fn several_clients_are_one_decision(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let clients: Vec<_> = (0..4).map(|_| subject.entry(&strategy, RATE)).collect();
        for dear in 0..clients.len() {
            subject.decide(&all_but(&clients, dear)).await?;
            subject.peek(&all_but(&clients, dear)).await?;
        }
        subject.decide(&all_but(&clients, clients.len())).await?;
        for client in &clients {
            subject.peek(&[client.hit(1)]).await?;
        }
        let charges: Vec<_> = clients.iter().map(|client| client.charge(1, subject.now())).collect();
        subject.refund(&charges).await?;
        subject.peek(&all_but(&clients, clients.len())).await?;
        let hits = all_but(&clients, 0);
        subject.reset(&hits).await?;
        subject.peek(&hits).await?;
    }
    Ok(())
}

pub(super) async fn strategies_are_counted_separately(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    let entry = subject.entry(&bench.strategy(), RATE);
    for strategy in bench.strategies(RATE) {
        let entry = entry.with_strategy(&strategy);
        subject.exhaust(&entry).await?;
        subject.decide(&[entry.hit(1)]).await?;
    }
    let entries: Vec<_> = bench.strategies(RATE).into_iter().map(|strategy| entry.with_strategy(&strategy)).collect();
    for entry in &entries {
        subject.reset(&[entry.hit(1)]).await?;
        subject.decide(&[entry.hit(1)]).await?;
    }
    Ok(())
}

/// What is stored is kept by the name of the strategy, and its settings are no part of that.
pub(super) async fn changed_settings_of_a_strategy_keep_its_state(bench: Bench) -> Check {
    let mut subject = bench.subject().await?;
    let strategies = bench.strategies(RATE);
    for strategy in &strategies {
        for changed in strategies.iter().filter(|changed| changed.name() == strategy.name() && *changed != strategy) {
            let entry = subject.entry(strategy, RATE);
            subject.decide(&[entry.hit(1)]).await?;
            let entry = entry.with_strategy(changed);
            subject.decide(&[entry.hit(1)]).await?;
            subject.exhaust(&entry).await?;
            subject.decide(&[entry.hit(1)]).await?;
        }
    }
    Ok(())
}
