//! The last microsecond of a window and the first of the next.

use traffik::{
    Rate,
    strategy::{AnyStrategy, FixedWindow, Gcra, SlidingWindowCounter, SlidingWindowLog, Strategy, TokenBucket},
};

use super::{RATES, Result, rig::Rig};

/// Returns the start of a window of the rate, some time after the epoch.
fn edge(rate: Rate) -> u64 {
    (1_700_000_000_000_000 / rate.period_micros() + 2) * rate.period_micros()
}

/// Charges all that is left in one hit and returns the amount.
async fn take_all(rig: &Rig, rate: Rate, at: u64) -> std::result::Result<u64, super::BackendError> {
    rig.go_to(at);
    let all = rig.remaining(rate).await?;
    assert!(!rig.decide(rate, all + 1).await?.admitted, "{:?} at {rate}", rig.strategy);
    assert!(rig.decide(rate, all).await?.admitted, "{:?} at {rate}", rig.strategy);
    Ok(all)
}

/// Returns the amounts admitted just before an edge, at it, just before the next edge, at that, and a microsecond
/// later.
async fn taken(
    strategy: impl Into<AnyStrategy>,
    rate: Rate,
) -> std::result::Result<Option<[u64; 5]>, super::BackendError> {
    let (rig, period, edge) = (Rig::new(strategy.into(), 0), rate.period_micros(), edge(rate));
    // A window of one microsecond has nothing between its edges.
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
async fn fixed_window_begins_exactly_at_its_edge() -> Result {
    for &rate in RATES {
        let limit = rate.limit();
        assert!(taken(FixedWindow, rate).await?.is_none_or(|taken| taken == [limit, limit, 0, limit, 0]), "{rate}");
    }
    Ok(())
}

#[tokio::test]
async fn sliding_window_log_forgets_charges_exactly_after_a_period() -> Result {
    for &rate in RATES {
        // The first charges were a microsecond before the edge, so they end a microsecond before the next edge.
        let limit = rate.limit();
        assert!(taken(SlidingWindowLog, rate).await?.is_none_or(|taken| taken == [limit, 0, limit, 0, 0]), "{rate}");
    }
    Ok(())
}

#[tokio::test]
async fn sliding_window_counter_has_no_double_burst_at_an_edge() -> Result {
    for &rate in RATES {
        let Some(taken) = taken(SlidingWindowCounter, rate).await? else { continue };
        let [limit, period] = [rate.limit(), rate.period_micros()].map(u128::from);
        // A microsecond of the full window still counts, then one of the window with these charges.
        let faded = limit - limit.div_ceil(period);
        let rest = limit - faded;
        let later = limit - (faded * (period - 1)).div_ceil(period) - rest;
        assert_eq!(taken.map(u128::from), [limit, 0, faded, rest, later], "{rate}");
    }
    Ok(())
}

#[tokio::test]
async fn bucket_has_no_window_edges() -> Result {
    for &rate in RATES {
        for strategy in [AnyStrategy::from(TokenBucket::new()), Gcra::new().burst(3).into()] {
            let size = strategy.capacity(rate);
            let Some(taken) = taken(strategy, rate).await? else { continue };
            let [limit, period] = [rate.limit(), rate.period_micros()].map(u128::from);
            // The whole bucket, then the whole units that refilled. The bucket keeps the fractions.
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
