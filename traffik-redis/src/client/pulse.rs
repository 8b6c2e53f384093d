//! Whether anything is answered: how a connection is found to be dead before the system says so.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::sleep};

/// How often is looked, while somebody waits.
const EVERY: Duration = Duration::from_millis(25);

/// The calls on a connection that are not answered yet, and how many were.
pub(super) struct Pulse {
    waiting: AtomicUsize,
    /// How long a call lasts at most. One that is still there then is in a runtime that stands still, and tells nothing.
    longest_call: Duration,
    started: Instant,
    /// When the last call began, in milliseconds from the start.
    last_call: AtomicU64,
    /// The number of the call that began last, and of the last that was answered.
    begun: AtomicU64,
    last_answered: AtomicU64,
    answered: AtomicU64,
    /// Nobody looks, since nobody waits: whoever calls has to say so.
    asleep: AtomicBool,
    wake: Notify,
}

/// A call that waits for its answer.
pub(super) struct Waiting<'a> {
    pulse: &'a Pulse,
    number: u64,
}

impl Pulse {
    pub(super) fn new(longest_call: Duration) -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            longest_call,
            started: Instant::now(),
            last_call: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            last_answered: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    fn millis(&self) -> u64 {
        self.started.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }

    pub(super) fn wait(&self) -> Waiting<'_> {
        self.last_call.store(self.millis(), Ordering::SeqCst);
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        self.waiting.fetch_add(1, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.wake.notify_one();
        }
        Waiting { pulse: self, number }
    }

    fn is_waited_for(&self) -> bool {
        let since_last_call =
            Duration::from_millis(self.millis().saturating_sub(self.last_call.load(Ordering::SeqCst)));
        // Answers come in order, so that one vouches for the calls before it.
        let awaits_answer = self.begun.load(Ordering::SeqCst) > self.last_answered.load(Ordering::SeqCst);
        self.waiting.load(Ordering::SeqCst) > 0 && awaits_answer && since_last_call <= self.longest_call
    }

    async fn somebody_waits(&self) {
        while !self.is_waited_for() {
            self.asleep.store(true, Ordering::SeqCst);
            // Who came in between may not have seen it.
            if !self.is_waited_for() {
                self.wake.notified().await;
            }
        }
    }

    /// Ends once there were calls for so long without a break, and not one answer.
    pub(super) async fn stops(&self, patience: Duration) {
        let mut silence: Option<(Instant, u64)> = None;
        loop {
            self.somebody_waits().await;
            let slept = Instant::now();
            sleep(EVERY).await;
            let answered = self.answered.load(Ordering::SeqCst);
            // Where this process itself was held up, answers may be there that nobody has read yet.
            let held_up = slept.elapsed() > 3 * EVERY;
            match silence {
                Some((since, before)) if before == answered && self.is_waited_for() && !held_up => {
                    if since.elapsed() >= patience {
                        return;
                    }
                }
                _ => silence = self.is_waited_for().then(|| (Instant::now(), answered)),
            }
        }
    }
}

impl Waiting<'_> {
    pub(super) fn answered(self) {
        self.pulse.last_answered.fetch_max(self.number, Ordering::SeqCst);
        self.pulse.answered.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pulse.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(100);

    async fn stops(pulse: &Pulse) -> bool {
        timeout(5 * PATIENCE, pulse.stops(PATIENCE)).await.is_ok()
    }

    #[tokio::test]
    async fn a_call_without_an_answer_is_noticed() {
        let pulse = Pulse::new(10 * PATIENCE);
        let _call = pulse.wait();
        assert!(stops(&pulse).await);
    }

    #[tokio::test]
    async fn call_that_is_kept_says_nothing_once_a_later_one_was_answered() {
        let pulse = Pulse::new(100 * PATIENCE);
        let _kept = pulse.wait();
        pulse.wait().answered();
        assert!(!stops(&pulse).await);
        let _silent = pulse.wait();
        assert!(stops(&pulse).await);
    }

    #[tokio::test]
    async fn silence_without_a_call_is_none() {
        let pulse = Pulse::new(10 * PATIENCE);
        drop(pulse.wait());
        assert!(!stops(&pulse).await);
    }

    #[tokio::test]
    async fn somebody_who_comes_later_is_noticed_too() {
        let pulse = Pulse::new(10 * PATIENCE);
        let later = async {
            while !pulse.asleep.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
            pulse.wait()
        };
        let (stopped, _call) = tokio::join!(stops(&pulse), later);
        assert!(stopped);
    }

    #[tokio::test]
    async fn answers_to_others_are_a_sign_of_life() {
        let pulse = Pulse::new(10 * PATIENCE);
        let _call = pulse.wait();
        let busy = async {
            loop {
                pulse.wait().answered();
                sleep(EVERY / 2).await;
            }
        };
        tokio::select! {
            () = pulse.stops(PATIENCE) => panic!("it was alive"),
            _ = timeout(5 * PATIENCE, busy) => {}
        }
    }
}
