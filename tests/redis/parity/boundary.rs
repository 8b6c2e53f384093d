//! The sliding window counter where one side of its comparison exceeds the other by only 1, with numbers of up to 26
//! digits. Random traces seldom reach this case.
//! traces seldom come there.

use std::time::Duration;

use tests::limit;
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    clock::Timestamp,
    decision::Hit,
    strategy::{AnyStrategy, SlidingWindowCounter},
    test::ManualClock,
};

use super::{random::Random, reference::Reference};
use crate::{Result, builder, server::Server};

/// A window length, the charge of the previous window, how much of it still counts, and the room that this leaves:
/// `previous × inside = room × length ± 1`.
struct Brink {
    length: u64,
    previous: u64,
    inside: u64,
    room: u64,
}

impl Brink {
    fn any(random: &mut Random) -> Self {
        loop {
            let length = 4_320_000_000_000 - random.of_any_size(4_000_000_000_000);
            let previous = Rate::MAX_LIMIT - random.of_any_size(Rate::MAX_LIMIT / 2);
            let Some(inverse) = inverse(previous % length, length) else { continue };
            let is_above = random.upto(1) == 0;
            let inside = if is_above { inverse } else { length - inverse };
            let product = u128::from(previous) * u128::from(inside) + u128::from(!is_above);
            let room = u64::try_from(product / u128::from(length)).unwrap_or(u64::MAX);
            return Self { length, previous, inside, room };
        }
    }
}

/// Returns the inverse of `number` modulo `modulus`, if there is one.
fn inverse(number: u64, modulus: u64) -> Option<u64> {
    let modulus = i128::from(modulus);
    let (mut rest, mut next_rest) = (modulus, i128::from(number));
    let (mut factor, mut next_factor) = (0, 1);
    while next_rest != 0 {
        let quotient = rest / next_rest;
        (rest, next_rest) = (next_rest, rest - quotient * next_rest);
        (factor, next_factor) = (next_factor, factor - quotient * next_factor);
    }
    u64::try_from(factor.rem_euclid(modulus)).ok().filter(|_| rest == 1)
}

#[tokio::test]
async fn sliding_window_counter_at_its_boundary_equals_the_reference() -> Result {
    let server = Server::start()?;
    let clock = ManualClock::new();
    let redis = builder(&server).connect().await?.by_hand(clock.clone());
    let strategy = AnyStrategy::from(SlidingWindowCounter);
    let mut random = Random::new(11);
    let (mut admitted, mut refused) = (0, 0);
    for count in 0..500_u64 {
        let Brink { length, previous, inside, room } = Brink::any(&mut random);
        let rate = Rate::new(Rate::MAX_LIMIT, Duration::from_micros(length))?;
        let (key, mut reference) = (Key::from(count), Reference::default());
        let hit = |cost| Hit::new(limit("limit", &strategy), &key, rate, cost);

        clock.set(Timestamp::from_micros(400 * length));
        redis.decide(&[hit(previous)]).await?;
        reference.decide(&[hit(previous)], Timestamp::from_micros(400 * length));

        let now = Timestamp::from_micros(402 * length - inside);
        clock.set(now);
        for cost in [1, 0, 2].map(|more| (rate.limit() - room + more).saturating_sub(1)) {
            let (expected, found) = (reference.peek(&[hit(cost)], now), redis.peek(&[hit(cost)]).await?);
            assert_eq!(found.outcomes(), expected, "{cost} with {previous} of {rate}");
            *(if found.is_admitted() { &mut admitted } else { &mut refused }) += 1;
        }
    }
    assert!(admitted > 500 && refused > 500, "{admitted} admitted, {refused} refused");
    Ok(())
}
