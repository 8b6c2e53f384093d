//! Evictions from a full store while clients use up their limits.

use tests::limit;
use traffik::{Rate, client::Key, decision::Hit, strategy::AnyStrategy};

use super::{admits, store_of};

#[test]
fn clients_that_became_limited_are_not_evicted() {
    let (strategy, rate) = (AnyStrategy::default(), Rate::literal("60/hour"));
    let (backend, _) = store_of(100);
    let admitted = |client: u64, rate, cost| {
        let key = Key::from(client);
        admits(&backend, &[Hit::new(limit("limit", &strategy), &key, rate, cost)])
    };
    // Thirty clients used least and are next to be evicted; one of them is.
    assert!((0..30).all(|client| admitted(client, rate, 1)));
    assert!((30..100).all(|client| admitted(client, rate, 50)));
    assert!(admitted(1000, rate, 1));

    // The remaining clients use up their limit. A forgotten client may use it all.
    let limited: Vec<u64> =
        (0..30).filter(|&client| !admitted(client, rate, 60) && admitted(client, rate, 59)).collect();
    assert!(limited.len() >= 20, "{}", limited.len());
    for stranger in 2000..2018 {
        assert!(admitted(stranger, Rate::literal("1/min"), 1));
    }
    assert!(!limited.iter().any(|&client| admitted(client, rate, 1)), "a limited client was forgotten");
}
