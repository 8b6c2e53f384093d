//! A runtime, or a clock, that has no timer: places are renewed all the same.

use std::time::{Duration, Instant};

use traffik::{
    Traffik,
    backend::MemoryBackend,
    clock::{AnyClock, Clock, Timestamp},
    test::ManualClock,
};

use super::{Result, free, places};

places!(Timerless, "places:timerless", "1/30s");

/// A clock whose timers are as those of a runtime that has none.
#[derive(Debug)]
struct NoTimer(ManualClock);

impl Clock for NoTimer {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    #[expect(clippy::panic, reason = "as tokio does where a runtime has no timers")]
    async fn sleep(&self, _: Duration) {
        panic!("timers are disabled");
    }
}

fn renewed(traffik: &Traffik, within: Duration) -> impl Future<Output = bool> {
    let traffik = traffik.clone();
    async move {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            let limits = traffik.peek::<Timerless>("alice").await;
            if limits.is_ok_and(|limits| limits.tightest().reset_after() == within) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
            tokio::task::yield_now().await;
        }
        false
    }
}

#[test]
fn places_are_renewed_without_a_timer() -> Result {
    let clock = ManualClock::new();
    let backend = MemoryBackend::new("test").clock(clock.clone());
    let traffik = Traffik::builder(backend).clock(AnyClock::new(NoTimer(clock.clone()))).build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let held = traffik.hit::<Timerless>("alice").await?;
        assert!(held.is_admitted());
        for _ in 0..5 {
            clock.advance(Duration::from_secs(10));
            assert!(renewed(&traffik, Duration::from_secs(30)).await, "it is not renewed");
            assert!(!traffik.hit::<Timerless>("alice").await?.is_admitted());
        }
        drop(held);
        assert_eq!(free::<Timerless>(&traffik, "alice").await, 1);
        Result::Ok(())
    })
}

#[test]
fn a_runtime_that_has_none_ends_as_any_other() -> Result {
    let traffik = Traffik::new(MemoryBackend::new("test"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let held = runtime.block_on(async {
        let held = traffik.hit::<Timerless>("alice").await?;
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(5));
            tokio::task::yield_now().await;
        }
        std::result::Result::<_, traffik::Error>::Ok(held)
    })?;
    let begun = Instant::now();
    drop(runtime);
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(held);
    let another = tokio::runtime::Builder::new_current_thread().build()?;
    assert_eq!(another.block_on(free::<Timerless>(&traffik, "alice")), 1);
    Ok(())
}
