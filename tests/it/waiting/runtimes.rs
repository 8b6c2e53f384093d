//! A line whose waiters are on several runtimes.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use traffik::{Throttles, Traffik, backend::MemoryBackend};

use super::{Even, LONG, MINUTE, One, Permits, Result, Waiting, exhaust, traffik, waits};
use crate::on_error::backends::{Mood, app};

/// Starts a check on a runtime. It has to wait.
fn joined<T: Throttles>(runtime: &Runtime, traffik: &Traffik) -> Waiting<T> {
    let _entered = runtime.enter();
    waits::<T>(traffik, LONG)
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

#[test]
fn line_goes_on_when_the_runtime_of_its_task_ends() -> Result {
    let (traffik, clock) = traffik()?;
    let (ends, stays) = (runtime()?, runtime()?);
    ends.block_on(exhaust::<One>(&traffik))?;
    // Its task, and that of the line, are dropped with it.
    let first = ends.spawn(joined::<One>(&ends, &traffik));
    let second = joined::<One>(&stays, &traffik);
    drop(ends);
    clock.advance(MINUTE);
    assert!(stays.block_on(first).is_err());
    assert!(stays.block_on(second).is_ok());
    Ok(())
}

#[test]
fn waiter_that_joined_on_a_runtime_that_ended_is_admitted_on_another() -> Result {
    let (traffik, clock) = traffik()?;
    let (ends, stays) = (runtime()?, runtime()?);
    ends.block_on(exhaust::<One>(&traffik))?;
    let waiting = joined::<One>(&ends, &traffik);
    drop(ends);
    clock.advance(MINUTE);
    assert!(stays.block_on(waiting).is_ok());
    Ok(())
}

#[test]
fn question_that_ends_with_its_runtime_is_asked_again() -> Result {
    let (traffik, backend, clock) = app(|builder, _| builder);
    let (ends, stays) = (runtime()?, runtime()?);
    backend.is(Mood::Hangs);
    let first = joined::<One>(&ends, &traffik);
    ends.block_on(tests::until_idle());
    assert_eq!(backend.asked(), 1);
    let second = joined::<One>(&stays, &traffik);
    backend.is(Mood::Answers);
    drop(ends);
    stays.block_on(async {
        assert!(first.await.is_ok());
        tests::until_idle().await;
        clock.advance(MINUTE * 11 / 10);
        assert!(second.await.is_ok());
    });
    Ok(())
}

#[test]
fn runtime_that_stands_still_during_a_question_delays_no_other() -> Result {
    let (traffik, backend, clock) = app(|builder, _| builder);
    let (still, driven) = (runtime()?, runtime()?);
    backend.is(Mood::Hangs);
    let first = joined::<One>(&still, &traffik);
    still.block_on(tests::until_idle());
    assert_eq!(backend.asked(), 1);
    backend.is(Mood::Answers);
    driven.block_on(async {
        let second = waits::<One>(&traffik, LONG);
        tests::until_idle().await;
        // Twice the timeout of a question.
        clock.advance(Duration::from_millis(200));
        tests::until_idle().await;
        clock.advance(MINUTE * 11 / 10);
        assert!(second.await.is_ok());
        assert!(first.await.is_ok());
    });
    drop(still);
    Ok(())
}

#[test]
fn refund_during_a_question_of_another_runtime_is_noticed() -> Result {
    let (traffik, backend, clock) = app(|builder, _| builder);
    let (asks, other) = (runtime()?, runtime()?);
    let permit = other.block_on(traffik.limiter::<One>("alice").check())?;
    backend.is(Mood::ChargesAndIsSlow);
    let mut first = joined::<One>(&asks, &traffik);
    asks.block_on(tests::until_idle());
    backend.is(Mood::Answers);
    let _second = joined::<One>(&other, &traffik);
    // The question is refused, and its answer is on its way.
    other.block_on(async {
        tests::until_idle().await;
        permit.refund().await?;
        tests::until_idle().await;
        Result::Ok(())
    })?;
    clock.advance(Duration::from_millis(10));
    asks.block_on(tests::until_idle());
    let _entered = asks.enter();
    assert!(!super::is_pending(&mut first), "it waits although there is room");
    Ok(())
}

#[test]
fn runtimes_share_a_line_in_order() -> Result {
    let (traffik, clock) = traffik()?;
    let runtimes = [runtime()?, runtime()?, runtime()?];
    let [first, ..] = &runtimes;
    first.block_on(exhaust::<Even>(&traffik))?;
    let line: Vec<_> = runtimes.iter().cycle().take(12).map(|runtime| joined::<Even>(runtime, &traffik)).collect();
    let mut last = None;
    for (waiting, runtime) in line.into_iter().zip(runtimes.iter().cycle()) {
        clock.advance(Duration::from_secs(1));
        let at = runtime.block_on(waiting)?.tightest().decided_at();
        assert!(at > last, "{at:?} {last:?}");
        last = at;
    }
    Ok(())
}

#[test]
fn runtime_without_timers_waits() -> Result {
    // The system's clock: nothing but time wakes the line.
    let traffik = Traffik::new(MemoryBackend::new("test"))?;
    Builder::new_current_thread().build()?.block_on(async {
        exhaust::<Even>(&traffik).await?;
        let _ = traffik.limiter::<Even>("alice").wait(LONG).check().await?;
        Ok(())
    })
}

#[test]
fn caller_without_a_runtime_is_told_if_it_has_to_wait() -> Result {
    let (traffik, _) = traffik()?;
    let check = |cost| {
        let traffik = traffik.clone();
        let mut check =
            Box::pin(async move { traffik.limiter::<Permits>("alice").cost(cost).wait(LONG).check().await });
        match check.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(checked) => Ok(checked),
            std::task::Poll::Pending => Err("it waits"),
        }
    };
    let held = check(2)??;
    let error = check(1)?.err().ok_or("it was admitted")?;
    assert!(error.to_string().contains("needs a Tokio runtime"), "{error}");
    drop(held);
    Ok(())
}
