//! Random arrivals, renewals and departures: exactly the admitted requests hold permits.

use traffik::{
    Rate,
    clock::Timestamp,
    strategy::{Concurrency, Strategy},
};

use super::{Result, random::Random, rig::Rig};
use crate::{model::ConcurrencyModel, patience::times};

const STEPS: u64 = 80;

const RATES: &[Rate] = &[
    Concurrency::at_once(1),
    Concurrency::at_once(3),
    Rate::literal("10/1s"),
    Rate::literal("50/100ms"),
    Rate::literal("7/50d"),
    Rate::literal("65536/10m"),
];

/// An admitted request.
struct Guest {
    number: u64,
    places: u64,
    charged_at: Timestamp,
}

#[tokio::test]
async fn permits_are_held_by_exactly_the_admitted_requests() -> Result {
    for seed in 0..times(400, 40_000) {
        let mut random = Random::new(seed);
        let rate = random.pick(RATES, Concurrency::at_once(1));
        let rig = Rig::new(Concurrency.into(), random.of_any_size(2_000_000_000_000_000));
        let (mut model, mut guests, mut next) = (ConcurrencyModel::new(rate), Vec::<Guest>::new(), 0);
        for step in 0..STEPS {
            // At different times, since requests of one time are interchangeable.
            rig.go_to(rig.now() + 1 + random.upto(rate.period_micros() / 4));
            let (now, at) = (rig.now(), format!("seed {seed}, step {step} at {rate}"));
            let which = usize::try_from(random.upto(guests.len().saturating_sub(1) as u64)).unwrap_or(0);
            match random.upto(9) {
                0..=3 => {
                    next += 1;
                    let places = random.upto(rate.limit().min(3) - 1) + 1;
                    let decided = rig.decide(rate, places).await?;
                    assert_eq!(decided.admitted, model.enter(next, places, now), "{at}");
                    if decided.admitted {
                        guests.push(Guest { number: next, places, charged_at: decided.at });
                    }
                }
                4..=7 => {
                    if let Some(guest) = guests.get_mut(which) {
                        let renewed = rig.renew(rate, guest.places, guest.charged_at).await?;
                        assert_eq!(renewed.is_some(), model.renew(guest.number, guest.places, now), "{at}");
                        guest.charged_at = renewed.unwrap_or(guest.charged_at);
                    }
                }
                _ if guests.is_empty() => {}
                _ => {
                    let guest = guests.swap_remove(which);
                    let places = guest.places;
                    let charged = traffik::decision::Outcome::new(true, places, guest.charged_at);
                    rig.refund(rate, &charged).await?;
                    model.leave(guest.number);
                }
            }
            assert_eq!(rig.remaining(rate).await?, rate.limit() - model.taken(now), "{at}");
        }
    }
    Ok(())
}

/// A permit can be renewed any number of times.
#[tokio::test]
async fn permit_that_is_renewed_in_time_is_kept() -> Result {
    let (rate, rig) = (Concurrency::at_once(1), Rig::new(Concurrency.into(), 1));
    let mut charged_at = rig.decide(rate, 1).await?.at;
    for _ in 0..1000 {
        rig.go_to(rig.now() + rate.period_micros() - 1);
        assert!(!rig.decide(rate, 1).await?.admitted);
        charged_at = rig.renew(rate, 1, charged_at).await?.expect("a place that is held");
    }
    rig.go_to(rig.now() + rate.period_micros());
    assert!(rig.decide(rate, 1).await?.admitted);
    assert_eq!(Concurrency.capacity(rate), 1);
    Ok(())
}
