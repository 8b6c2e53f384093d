//! Refunds of a sliding window log: the whole charge while it is stored, and never another charge.

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
async fn stored_charge_is_refunded_completely() -> Result {
    for (first, then) in [(0, 0), (0, 59 * SECOND), (20 * SECOND, 20 * SECOND), (1, 60 * SECOND - 2)] {
        let [log, expected] = given_back(SlidingWindowLog, first, then).await?;
        assert_same(&log, &expected, RATE).await?;
    }
    Ok(())
}

#[tokio::test]
async fn expired_charge_is_not_refunded() -> Result {
    for (first, then) in [(59 * SECOND, SECOND), (60 * SECOND, 0), (90 * SECOND, 0), (1, 60 * SECOND - 1)] {
        let [log, expected] = given_back(SlidingWindowLog, first, then).await?;
        assert_same(&log, &expected, RATE).await?;
        assert_eq!(log.remaining(RATE).await?, 40, "only the 20 count");
    }
    Ok(())
}

#[tokio::test]
async fn charge_is_not_refunded_after_a_change_of_rate() -> Result {
    for other in ["60/2min", "60/s", "50/61s"].map(Rate::literal) {
        let log = rig();
        let charged = log.decide(RATE, 10).await?;
        log.go_to(START + 1);
        assert!(log.decide(other, 1).await?.admitted);
        // This holds for either rate in the charge.
        for rate in [RATE, other] {
            log.refund(rate, &charged).await?;
            assert_eq!(log.remaining(RATE).await?, 49, "{other}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn charges_at_one_instant_are_refunded_separately() -> Result {
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
async fn repeated_refund_returns_at_most_the_charges_of_its_instant() -> Result {
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
async fn later_charge_is_not_refunded_in_place_of_an_earlier_one() -> Result {
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
