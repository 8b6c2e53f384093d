//! Calls at random: what a strategy makes of them on the backend is what it makes of them in Rust.

use std::time::Duration;

use traffik_core::{clock::Timestamp, decision::Hit, rate::Rate, strategy::Strategy};

use crate::{
    bench::{Bench, Check, Entry, RATE, RATES, Subject},
    observed::Observed,
    random::Random,
};

const STEPS: u64 = 20;

/// How many traces of each strategy.
const TRACES: u64 = 4;

/// What happens on a trace apart from decisions and peeks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Besides {
    Nothing,
    RatesChange,
    ClockGoesBack,
    Settlements,
    Grants,
}

struct Trace<'a> {
    subject: &'a mut Subject,
    random: Random,
    entries: Vec<Entry>,
    /// What was left, and waits until something changes.
    remaining: u64,
    turns: Vec<Duration>,
    /// What was charged and not given back: of which entry, at which rate, and when.
    charged: Vec<(Entry, u64, Timestamp)>,
}

async fn follow(bench: &Bench, limits: u64, besides: Besides) -> Check {
    let mut subject = bench.subject().await?;
    let mut random = Random::new(limits);
    for trace in 0..TRACES {
        let &rate = random.pick(&RATE, RATES);
        for strategy in bench.strategies(rate) {
            let first = subject.entry(&strategy, rate);
            // Of the same client, and so in one place.
            let others = (1..limits).map(|other| {
                let strategy = random.pick(&strategy, &bench.strategies(rate)).clone();
                first.with_strategy(&strategy).with_uid(if other == 1 { "second" } else { "third" })
            });
            let mut entries = vec![first.clone()];
            entries.extend(others);
            let random = Random::new(random.upto(1 << 40) + trace);
            let (remaining, turns) = (rate.limit(), Vec::new());
            let trace = Trace { subject: &mut subject, random, entries, remaining, turns, charged: Vec::new() };
            trace.follow(besides).await?;
        }
    }
    Ok(())
}

impl Trace<'_> {
    async fn follow(mut self, besides: Besides) -> Check {
        for _ in 0..STEPS {
            match self.random.upto(9) {
                0 => self.refund().await?,
                2..=5 if besides == Besides::Settlements => self.settle().await?,
                1 => self.reset().await?,
                2 if besides == Besides::RatesChange => self.change_rate(),
                2 | 3 if besides == Besides::ClockGoesBack => self.go_back().await?,
                _ => self.go_on(),
            }
            self.decide(besides == Besides::Grants).await?;
        }
        Ok(())
    }

    fn rate(&self) -> Rate {
        self.entries.first().map_or(RATE, |entry| entry.rate)
    }

    fn go_on(&mut self) {
        let wait = self.random.wait(self.subject.now().as_micros(), self.rate(), &self.turns);
        self.subject.advance(wait);
    }

    async fn go_back(&mut self) -> Check {
        // What expired may be gone or may not be, and would count again at a time before that.
        for entry in self.entries.clone() {
            let hit = entry.hit(1);
            let observed = self.subject.peek(&[hit]).await?;
            if observed
                .iter()
                .filter_map(|observed| observed.numbers.as_ref())
                .any(|numbers| numbers.reset_after.is_zero())
            {
                self.subject.reset(&[hit]).await?;
            }
        }
        let back = self.random.of_any_size(self.rate().period_micros() * 2);
        self.subject.go_to(Timestamp::from_micros(self.subject.now().as_micros().saturating_sub(back).max(1)));
        Ok(())
    }

    fn change_rate(&mut self) {
        let rate = self.rate();
        let near = Rate::new(rate.limit() + 1, rate.period()).unwrap_or(rate);
        let next = *self.random.pick(&near, RATES);
        if self.entries.iter().all(|entry| entry.strategy().check(next).is_ok()) {
            self.entries.iter_mut().for_each(|entry| entry.rate = next);
        }
    }

    async fn decide(&mut self, grants: bool) -> Check {
        let entries: Vec<_> = self.entries.iter().filter(|_| self.random.upto(2) > 0).cloned().collect();
        let costs: Vec<_> = entries.iter().map(|entry| self.random.cost(self.remaining, entry.capacity())).collect();
        let mut hits: Vec<Hit<'_>> = entries.iter().zip(&costs).map(|(entry, cost)| entry.hit(*cost)).collect();
        if self.random.upto(3) == 0 {
            hits.extend(entries.first().map(|entry| entry.hit(1)));
        }
        for hit in hits.iter_mut().filter(|_| grants) {
            *hit = hit.at_least(*self.random.pick(&hit.cost, &[0, 1, hit.cost / 2]));
            *hit = if self.random.upto(2) == 0 { hit.not_enforced() } else { *hit };
        }
        if self.random.upto(3) == 0 {
            self.subject.peek(&hits).await?;
        }
        let observed = self.subject.decide(&hits).await?;
        if hits.iter().zip(&observed).all(|(hit, observed)| observed.admitted || !hit.enforced) {
            let charged = entries.iter().zip(&observed).filter(|(_, observed)| observed.admitted);
            let now = self.subject.now();
            self.charged.extend(charged.map(|(entry, observed)| (entry.clone(), observed.granted, now)));
        }
        self.look_at(&observed);
        Ok(())
    }

    /// Where the next steps are to go.
    fn look_at(&mut self, observed: &[Observed]) {
        for numbers in observed.iter().filter_map(|observed| observed.numbers.as_ref()) {
            self.remaining = numbers.remaining;
            let waits = [numbers.retry_after, numbers.more_after, Some(numbers.reset_after)];
            self.turns = waits.into_iter().flatten().collect();
        }
    }

    async fn refund(&mut self) -> Check {
        match self.charged.pop() {
            Some((entry, cost, charged_at)) => self.subject.refund(&[entry.charge(cost, charged_at)]).await,
            None => Ok(()),
        }
    }

    /// To a cost that is lower, higher, or more than can be stored.
    async fn settle(&mut self) -> Check {
        let Some((entry, charged, charged_at)) = self.charged.pop() else { return Ok(()) };
        let (most, capacity) = (1 << 47, entry.capacity());
        let actual = match self.random.upto(6) {
            0 | 1 => self.random.upto(charged),
            2 => charged.saturating_add(1),
            3 => charged.saturating_add(self.random.of_any_size(capacity)),
            4 => most,
            5 if !entry.strategy().is_custom() => u64::MAX,
            _ => charged,
        };
        self.subject.adjust(&[entry.charge(charged, charged_at).settle(actual)]).await.map(drop)
    }

    async fn reset(&mut self) -> Check {
        let Some(entry) = self.entries.last().filter(|_| self.entries.len() > 1).cloned() else { return Ok(()) };
        self.charged.retain(|(charged, ..)| charged.limit.uid() != entry.limit.uid());
        self.subject.reset(&[entry.hit(1)]).await
    }
}

pub(super) async fn decisions_about_one_limit_equal_those_in_rust(bench: Bench) -> Check {
    follow(&bench, 1, Besides::Nothing).await
}

pub(super) async fn decisions_about_several_limits_equal_those_in_rust(bench: Bench) -> Check {
    follow(&bench, 3, Besides::Nothing).await
}

pub(super) async fn decisions_at_changing_rates_equal_those_in_rust(bench: Bench) -> Check {
    follow(&bench, 2, Besides::RatesChange).await
}

pub(super) async fn clock_that_goes_back_opens_no_limit(bench: Bench) -> Check {
    follow(&bench, 2, Besides::ClockGoesBack).await
}

pub(super) async fn settlements_equal_those_in_rust(bench: Bench) -> Check {
    follow(&bench, 2, Besides::Settlements).await
}

pub(super) async fn grants_equal_those_in_rust(bench: Bench) -> Check {
    follow(&bench, 3, Besides::Grants).await
}

/// The one thing that a refusal writes: the state is moved back with the clock, or it would last for as long as the clock takes
/// to come where it was.
pub(super) async fn refusal_stores_that_the_clock_went_back(bench: Bench) -> Check {
    const HOUR: Duration = Duration::from_secs(3600);
    let mut subject = bench.subject().await?;
    for strategy in bench.strategies(RATE) {
        let entry = subject.entry(&strategy, RATE);
        let other = entry.with_uid("another");
        let start = subject.now();
        let all = [entry.hit(entry.capacity()), other.hit(other.capacity())];
        subject.decide(&all).await?;
        subject.go_to(Timestamp::from_micros(start.as_micros() - 2 * 3_600_000_000));
        subject.decide(&all).await?;
        subject.advance(HOUR);
        // An hour has passed since.
        subject.decide(&all).await?;
        subject.go_to(start);
    }
    Ok(())
}
