//! What a sliding window's log gives back: all of it while it is remembered, and nothing of anybody else's.

use traffik::{Rate, strategy::SlidingWindowLog};

use super::{
    Result,
    refunds::{RATE, SECOND, START, assert_same, given_back},
    rig::Rig,
};

fn rig() -> Rig {
    Rig::new(SlidingWindowLog.into(), START)
}

#[tokio::test]
async fn all_is_given_back_while_it_is_remembered() -> Result {
    for (first, then) in [(0, 0), (0, 59 * SECOND), (20 * SECOND, 20 * SECOND), (1, 60 * SECOND - 2)] {
        let [log, twin] = given_back(SlidingWindowLog, first, then).await?;
        assert_same(&log, &twin, RATE).await?;
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_given_back_afterwards() -> Result {
    for (first, then) in [(59 * SECOND, SECOND), (60 * SECOND, 0), (90 * SECOND, 0), (1, 60 * SECOND - 1)] {
        let [log, twin] = given_back(SlidingWindowLog, first, then).await?;
        assert_same(&log, &twin, RATE).await?;
        assert_eq!(log.remaining(RATE).await?, 40, "the 20 count, and no more than these");
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_given_back_once_the_rate_changed() -> Result {
    for other in ["60/2min", "60/s", "50/61s"].map(Rate::literal) {
        let log = rig();
        let charged = log.decide(RATE, 10).await?;
        log.go_to(START + 1);
        assert!(log.decide(other, 1).await?.admitted);
        // Whichever of both the charge speaks of.
        for rate in [RATE, other] {
            log.refund(rate, &charged).await?;
            assert_eq!(log.remaining(RATE).await?, 49, "{other}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn of_charges_at_one_instant_each_gives_back_its_own() -> Result {
    let log = rig();
    let [first, second, third] =
        [log.decide(RATE, 10).await?, log.decide(RATE, 20).await?, log.decide(RATE, 30).await?];
    assert_eq!((first.at, second.at), (third.at, third.at));
    for (charged, left) in [(&second, 20), (&first, 30), (&third, 60)] {
        log.refund(RATE, charged).await?;
        assert_eq!(log.remaining(RATE).await?, left);
    }
    Ok(())
}

#[tokio::test]
async fn given_back_twice_it_takes_no_more_than_was_charged_at_that_instant() -> Result {
    let log = rig();
    let charged = log.decide(RATE, 10).await?;
    log.decide(RATE, 5).await?;
    log.go_to(START + 1);
    log.decide(RATE, 20).await?;
    for left in [35, 40, 40] {
        log.refund(RATE, &charged).await?;
        assert_eq!(log.remaining(RATE).await?, left);
    }
    Ok(())
}

#[tokio::test]
async fn what_was_charged_later_is_not_given_back_in_its_place() -> Result {
    let log = rig();
    let charged = log.decide(RATE, 10).await?;
    log.go_to(START + 1);
    log.decide(RATE, 20).await?;
    for _ in 0..5 {
        log.refund(RATE, &charged).await?;
        assert_eq!(log.remaining(RATE).await?, 40);
    }
    log.go_to(START + 60 * SECOND);
    assert_eq!(log.remaining(RATE).await?, 40);
    log.go_to(START + 60 * SECOND + 1);
    assert_eq!(log.remaining(RATE).await?, 60);
    Ok(())
}
