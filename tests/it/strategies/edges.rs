//! The last microsecond of a window, and the first of the next.

use traffik::{
    Rate,
    strategy::{AnyStrategy, FixedWindow, Gcra, SlidingWindowCounter, SlidingWindowLog, Strategy, TokenBucket},
};

use super::{RATES, Result, rig::Rig};

/// Where a window of the rate begins, some time after the epoch.
fn edge(rate: Rate) -> u64 {
    (1_700_000_000_000_000 / rate.period_micros() + 2) * rate.period_micros()
}

/// Takes all that there is, in one go, and returns how much that was.
async fn take_all(rig: &Rig, rate: Rate, at: u64) -> std::result::Result<u64, super::BackendError> {
    rig.go_to(at);
    let all = rig.remaining(rate).await?;
    assert!(!rig.decide(rate, all + 1).await?.admitted, "{:?} at {rate}", rig.strategy);
    assert!(rig.decide(rate, all).await?.admitted, "{:?} at {rate}", rig.strategy);
    Ok(all)
}

/// What is admitted just before an edge, at it, just before the next, at that, and a microsecond later.
async fn taken(
    strategy: impl Into<AnyStrategy>,
    rate: Rate,
) -> std::result::Result<Option<[u64; 5]>, super::BackendError> {
    let (rig, period, edge) = (Rig::new(strategy.into(), 0), rate.period_micros(), edge(rate));
    // Where a window is one microsecond long there is nothing between its edges.
    if period < 3 || rig.strategy.check(rate).is_err() {
        return Ok(None);
    }
    let mut taken = [0; 5];
    for (taken, at) in taken.iter_mut().zip([edge - 1, edge, edge + period - 1, edge + period, edge + period + 1]) {
        *taken = take_all(&rig, rate, at).await?;
    }
    Ok(Some(taken))
}

#[tokio::test]
async fn a_fixed_window_begins_at_its_edge_and_not_before() -> Result {
    for &rate in RATES {
        let limit = rate.limit();
        assert!(taken(FixedWindow, rate).await?.is_none_or(|taken| taken == [limit, limit, 0, limit, 0]), "{rate}");
    }
    Ok(())
}

#[tokio::test]
async fn a_sliding_window_log_forgets_when_a_period_is_over_and_not_before() -> Result {
    for &rate in RATES {
        // The first were charged a microsecond before the edge: they end a microsecond before the next.
        let limit = rate.limit();
        assert!(taken(SlidingWindowLog, rate).await?.is_none_or(|taken| taken == [limit, 0, limit, 0, 0]), "{rate}");
    }
    Ok(())
}

#[tokio::test]
async fn a_sliding_window_counter_knows_no_double_burst_at_an_edge() -> Result {
    for &rate in RATES {
        let Some(taken) = taken(SlidingWindowCounter, rate).await? else { continue };
        let [limit, period] = [rate.limit(), rate.period_micros()].map(u128::from);
        // A microsecond of the window that was full is still inside, and then of the one in which so much was taken.
        let faded = limit - limit.div_ceil(period);
        let rest = limit - faded;
        let later = limit - (faded * (period - 1)).div_ceil(period) - rest;
        assert_eq!(taken.map(u128::from), [limit, 0, faded, rest, later], "{rate}");
    }
    Ok(())
}

#[tokio::test]
async fn a_bucket_knows_no_edges() -> Result {
    for &rate in RATES {
        for strategy in [AnyStrategy::from(TokenBucket::new()), Gcra::new().burst(3).into()] {
            let size = strategy.capacity(rate);
            let Some(taken) = taken(strategy, rate).await? else { continue };
            let [limit, period] = [rate.limit(), rate.period_micros()].map(u128::from);
            // All of it, and then what came back: as much as fits, of which the fractions are kept.
            let (mut fraction, mut expected) = (0, vec![u128::from(size)]);
            for micros in [1, period - 1, 1, 1] {
                let back = (fraction + micros * limit).min(u128::from(size) * period);
                expected.push(back / period);
                fraction = back % period;
            }
            assert_eq!(taken.map(u128::from).to_vec(), expected, "{rate}");
        }
    }
    Ok(())
}
