//! Random decisions, settlements, renewals and clocks keep the promises of every strategy, in the memory backend and in
//! a store that is one variable.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use traffik::{
    MemoryBackend, Rate,
    backend::{Answer, Backend, BackendError, MaybeReady},
    client::Key,
    clock::{Clock, Timestamp},
    decision::{Charge, Hit, LimitId, LimitStatus, Outcome},
    strategy::{
        AnyStrategy, Concurrency, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SlidingWindowCounter,
        SlidingWindowLog, StoredState, Strategy, TokenBucket,
    },
    test::ManualClock,
};

#[derive(Arbitrary, Debug)]
struct Input {
    strategy: u8,
    setting: u64,
    rates: [(u64, u64); 2],
    start: u64,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Decide {
        cost: u64,
        at_other_rate: bool,
    },
    /// At the boundary of what is available, or next to it.
    DecideAtBoundary {
        above: bool,
    },
    Settle {
        charge: u8,
        actual: u64,
    },
    Renew {
        charge: u8,
    },
    Forward {
        micros: u64,
    },
    /// Until the wait of the last refusal is over.
    Wait,
    Back {
        micros: u64,
    },
    Reset,
}

fn strategy(number: u8, setting: u64, rate: Rate) -> AnyStrategy {
    let size = setting % rate.limit().saturating_mul(3) + 1;
    match number % 9 {
        0 => FixedWindow.into(),
        1 => SlidingWindowCounter.into(),
        2 => SlidingWindowLog.into(),
        3 => Concurrency.into(),
        4 => TokenBucket::new().burst(size).into(),
        5 => TokenBucket::new().debt(setting % rate.limit()).into(),
        6 => LeakyBucket::new().capacity(size).into(),
        7 => Gcra::new().burst(size).into(),
        _ => LeakyBucketWithQueue::new().queue(size).into(),
    }
}

fn ready<T>(answer: Answer<'_, T>) -> T {
    match answer {
        MaybeReady::Ready(Ok(answer)) => answer,
        MaybeReady::Ready(Err(error)) => panic!("{error}"),
        MaybeReady::Pending(_) => panic!("the memory backend waits"),
    }
}

fn outcome(answer: MaybeReady<'_, Result<traffik::decision::Decision, BackendError>>) -> Outcome {
    ready(answer).outcomes()[0].clone()
}

/// Some numbers are small, since most limits are.
fn small_or_large(number: u64, most: u64) -> u64 {
    (number >> (number % 61)) % most + 1
}

fn numbers(strategy: &AnyStrategy, rate: Rate, outcome: &Outcome) -> impl PartialEq + std::fmt::Debug {
    let status = LimitStatus::new(strategy, rate, outcome);
    let waits = [status.retry_after(), status.more_after(), Some(status.reset_after()), Some(status.delay())];
    (outcome.admitted, status.remaining().units(), waits)
}

fuzz_target!(|input: Input| {
    let rate = |(limit, micros)| {
        let period = Duration::from_micros(small_or_large(micros, 4_320_000_000_000));
        Rate::new(small_or_large(limit, 1_000_000), period).unwrap()
    };
    let [rate, other_rate] = input.rates.map(rate);
    let strategy = strategy(input.strategy, input.setting, rate);
    if strategy.check(rate).is_err() {
        return;
    }
    let other_rate = if strategy.check(other_rate).is_ok() { other_rate } else { rate };
    let clock = ManualClock::at(Timestamp::from_micros(small_or_large(input.start, 4_000_000_000_000_000)));
    let backend = MemoryBackend::with_clock("fuzz", clock.clone());
    let (limit, key) = (LimitId::new("limit", strategy.clone()), Key::from("alice"));
    let hit = |rate, cost| Hit::new(&limit, &key, rate, cost);
    let mut stored: Option<StoredState> = None;
    let (mut charges, mut wait) = (Vec::<(Rate, u64, Timestamp)>::new(), None::<(Rate, u64, Duration)>);

    for step in input.steps.iter().take(60) {
        let now = clock.now();
        let mut decide = |stored: &mut Option<StoredState>, rate: Rate, cost: u64| {
            let before = strategy.current(stored.clone(), now).past;
            let available = strategy.available(before.as_ref(), rate, now);
            let peeked = outcome(backend.peek(&[hit(rate, cost)]));
            let found = outcome(backend.decide(&[hit(rate, cost)]));
            let verdict = strategy.decide(stored.clone(), rate, cost, now);
            assert_eq!(peeked.admitted, found.admitted);
            assert_eq!(found.admitted, cost <= available, "{available} are available");
            let past = verdict.past.clone().map(|past| strategy.summary(&past, rate, cost, now));
            let expected = Outcome::new(verdict.admitted, cost, now).with_past(past);
            assert_eq!(numbers(&strategy, rate, &found), numbers(&strategy, rate, &expected), "{strategy:?}");
            if verdict.is_new {
                *stored = verdict.past.clone();
            }
            if verdict.admitted && cost > 0 {
                charges.push((rate, cost, now));
                let left = strategy.available(verdict.past.as_ref(), rate, now);
                assert!(left + cost <= available, "{strategy:?} at {rate}: {available} - {cost} leaves {left}");
            } else if cost <= strategy.capacity(rate) && cost > 0 {
                // The wait is exact.
                let past = verdict.past.as_ref();
                let at = strategy.available_at(past, rate, cost, now);
                let fits = |at| strategy.decide(verdict.past.clone(), rate, cost, at).admitted;
                let sooner = Timestamp::from_micros(at.as_micros() - 1);
                assert!(fits(at), "{strategy:?} at {rate}: {cost} does not fit at {at:?}, {now:?}");
                assert!(sooner < now || !fits(sooner), "{strategy:?} at {rate}: {cost} fits before {at:?}, {now:?}");
                wait = Some((rate, cost, at.saturating_since(now)));
            }
        };
        match *step {
            Step::Decide { cost, at_other_rate } => {
                decide(&mut stored, if at_other_rate { other_rate } else { rate }, cost >> (cost % 64));
            }
            Step::DecideAtBoundary { above } => {
                let past = strategy.current(stored.clone(), now).past;
                let available = strategy.available(past.as_ref(), rate, now);
                decide(&mut stored, rate, available + u64::from(above));
            }
            Step::Settle { charge, actual } if !charges.is_empty() => {
                let (rate, cost, at) = charges.swap_remove(usize::from(charge) % charges.len());
                let actual = actual >> (actual % 64);
                let found = ready(backend.adjust(&[Charge::new(hit(rate, cost), at).settle(actual)])).remove(0);
                let expected = strategy.settle(stored.clone(), rate, cost, actual, at, now);
                assert_eq!(found.is_ok(), expected.is_ok(), "{strategy:?}");
                if let Ok(verdict) = expected {
                    stored = if verdict.is_new { verdict.past } else { stored };
                }
            }
            Step::Renew { charge } if !charges.is_empty() => {
                let place = usize::from(charge) % charges.len();
                let (rate, cost, at) = charges[place];
                let found = ready(backend.renew(&[Charge::new(hit(rate, cost), at)])).remove(0);
                let renewed = strategy.renew(stored.clone(), rate, cost, at, now);
                assert_eq!(found.is_some(), renewed.admitted, "{strategy:?}");
                stored = renewed.past;
                charges[place].2 = now;
            }
            Step::Forward { micros } => {
                clock.advance(Duration::from_micros(small_or_large(micros, 10_000_000_000_000)));
            }
            Step::Wait => {
                if let Some((rate, cost, wait)) = wait.take() {
                    clock.advance(wait);
                    let _ = outcome(backend.peek(&[hit(rate, cost)]));
                }
            }
            Step::Back { micros } => {
                // A store may have removed a state that has expired, and may still have it.
                if stored.as_ref().is_some_and(|past| !past.is_alive(now)) {
                    ready(backend.reset(&[hit(rate, 1)]));
                    (stored, charges) = (None, Vec::new());
                }
                clock.set(Timestamp::from_micros(now.as_micros().saturating_sub(small_or_large(micros, 1 << 42))));
            }
            Step::Reset => {
                ready(backend.reset(&[hit(rate, 1)]));
                stored = None;
                charges.clear();
            }
            Step::Settle { .. } | Step::Renew { .. } => {}
        }
    }
});
