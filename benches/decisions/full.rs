//! Decisions in a full store, where each new client replaces another one: their time next to that of known clients, and the
//! longest.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use benches::{
    clients::{self, Picks},
    contenders::{admits, hit, traffik_of},
    effort::Effort,
    limits::Limit,
    rounds::{Spread, rounds},
};
use traffik::{client::Key, decision::LimitId, strategy::FixedWindow};

/// The number of decisions of a side in a round.
const DECISIONS: usize = 200_000;

/// A pause that clients notice.
const PAUSE: Duration = Duration::from_millis(1);

pub(crate) fn compare(effort: Effort) {
    println!("\n| one thread, IpAddr, a full store | known client, ns | newcomer, of a known client |");
    println!("|---|--:|--:|");
    let mut pauses = Pauses::default();
    for max_entries in [100_000, 1_000_000] {
        let samples = of_store(max_entries, effort, &mut pauses);
        let known = Spread::of(samples.iter().map(|[known, _]| *known)).median;
        let ratio = Spread::of(samples.iter().map(|[known, newcomer]| newcomer / known));
        println!("| {max_entries} entries | {known:.0} | {ratio} |");
    }
    println!("\n{pauses}");
}

fn of_store(max_entries: u32, effort: Effort, pauses: &mut Pauses) -> Vec<[f64; 2]> {
    let (limit, id) = (Limit::AMPLE, LimitId::new("benches:limit", FixedWindow));
    let known: Vec<Key> = clients::keys::<IpAddr>(max_entries).map(Key::from).collect();
    let backend = traffik_of(known.iter().cloned(), max_entries as usize, &limit, &id);
    let mut newcomers = clients::keys::<IpAddr>(u32::MAX).skip(max_entries as usize).map(Key::from);
    let mut picks = Picks::new(1);
    rounds(effort.rounds.min(9), |side| {
        let keys: Vec<Key> = match side {
            0 => (0..DECISIONS).filter_map(|_| known.get(picks.below(known.len())).cloned()).collect(),
            _ => newcomers.by_ref().take(DECISIONS).collect(),
        };
        let started = Instant::now();
        let admitted = keys.iter().filter(|key| admits(&backend, &[hit(key, &id, &limit)])).count();
        let took = started.elapsed();
        assert_eq!(admitted, DECISIONS);
        if side == 1 {
            let keys: Vec<Key> = newcomers.by_ref().take(DECISIONS).collect();
            pauses.decisions.watch(&keys, |key| admits(&backend, &[hit(key, &id, &limit)]));
            pauses.nothing.watch(&keys, |_| true);
        }
        took.as_secs_f64() * 1e9 / DECISIONS as f64
    })
}

/// The pauses of newcomers, and of a loop that decides nothing, which are the machine's own.
#[derive(Default)]
struct Pauses {
    decisions: Longest,
    nothing: Longest,
}

#[derive(Default)]
struct Longest {
    runs: usize,
    pauses: usize,
    longest: Duration,
}

impl Longest {
    fn watch(&mut self, keys: &[Key], admits: impl Fn(&Key) -> bool) {
        let mut last = Instant::now();
        for key in keys {
            assert!(admits(key));
            let now = Instant::now();
            let took = now - last;
            self.pauses += usize::from(took > PAUSE);
            self.longest = self.longest.max(took);
            last = now;
        }
        self.runs += keys.len();
    }

    fn row(&self) -> String {
        format!("{} | {} | {:.2}", self.runs, self.pauses, self.longest.as_secs_f64() * 1e3)
    }
}

impl std::fmt::Display for Pauses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| pauses | runs | above 1 ms | longest, ms |\n|---|--:|--:|--:|")?;
        writeln!(f, "| newcomers in a full store | {} |", self.decisions.row())?;
        write!(f, "| a loop that does nothing | {} |", self.nothing.row())
    }
}
