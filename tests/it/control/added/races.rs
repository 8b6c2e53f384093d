//! Changes that are under way while a limit is removed.

use std::{sync::mpsc, thread, time::Duration};

use tests::until_idle;
use traffik::{CheckError, MemoryBackend, Settings, Traffik, clock::AnyClock, test::ManualClock};

use super::{FIVE, Result, TWO, UID};
use crate::{
    control::hooked_clock::HookedClock,
    on_error::backends::{Mood, Moody},
};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn change_that_is_under_way_while_a_limit_is_removed_goes_with_it() -> Result {
    let clock = HookedClock::default();
    let backend = MemoryBackend::with_clock("test", clock.inner.clone());
    let traffik =
        Traffik::builder(backend).clock(AnyClock::new(clock.clone())).add_limit(UID, TWO, Settings::new()).build()?;
    let limit = traffik.limit(UID)?;
    let (sender, removing) = mpsc::channel();
    let removed_by = traffik.clone();
    // The clock is read when the change is made, and before decisions see it.
    clock.then(move || {
        let (done, is_done) = mpsc::channel();
        let removing = thread::spawn(move || {
            let removed = removed_by.remove_limit(UID).is_ok();
            let _ = done.send(());
            removed
        });
        // It may have to wait for the change.
        let _ = is_done.recv_timeout(Duration::from_millis(50));
        let _ = sender.send(removing);
    });
    limit.set_rate(FIVE)?;
    assert!(removing.recv()?.join().is_ok_and(|removed| removed));
    traffik.add_limit(UID, TWO, Settings::new())?;
    assert_eq!(traffik.limit(UID)?.info()?.rate().value(), TWO);
    Ok(())
}

#[tokio::test]
async fn refusal_by_a_removed_limit_is_no_penalty_of_the_one_that_is_added_again() -> Result {
    for is_removed in [false, true] {
        let clock = ManualClock::new();
        let moody = Moody::new(&clock);
        let traffik = Traffik::builder(moody.clone()).clock(clock.clone()).build()?;
        let settings = || Settings::new().penalty(1, HOUR * 2);
        traffik.add_limit(UID, TWO, settings())?;
        let _ = traffik.limiter_of(UID, "mallory").cost(2).check().await?;
        moody.is(Mood::Slow);
        let asking = traffik.clone();
        let under_way = tokio::spawn(async move { asking.limiter_of(UID, "mallory").check().await.map(drop) });
        until_idle().await;
        traffik.replace_limit(UID, TWO, settings())?;
        if is_removed {
            traffik.remove_limit(UID)?;
            traffik.add_limit(UID, TWO, settings())?;
        }
        clock.advance(Duration::from_millis(10));
        assert!(matches!(under_way.await?, Err(CheckError::Refused(_))));
        assert_eq!(traffik.limit(UID)?.clients().len(), usize::from(!is_removed));
    }
    Ok(())
}
