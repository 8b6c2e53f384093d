//! Who leaves a full store, where clients use up their limits meanwhile.

use tests::limit;
use traffik::{Rate, client::Key, decision::Hit, strategy::AnyStrategy};

use super::{admits, store_of};

#[test]
fn clients_that_used_up_their_limit_meanwhile_stay() {
    let (strategy, rate) = (AnyStrategy::default(), Rate::literal("60/hour"));
    let (backend, _) = store_of(100);
    let admitted = |client: u64, rate, cost| {
        let key = Key::from(client);
        admits(&backend, &[Hit::new(limit("limit", &strategy), &key, rate, cost)])
    };
    // Thirty used least, and so they are those who are to leave next; one of them does.
    assert!((0..30).all(|client| admitted(client, rate, 1)));
    assert!((30..100).all(|client| admitted(client, rate, 50)));
    assert!(admitted(1000, rate, 1));

    // Those who are still there use up their limit. A client who was forgotten may use it all.
    let limited: Vec<u64> =
        (0..30).filter(|&client| !admitted(client, rate, 60) && admitted(client, rate, 59)).collect();
    assert!(limited.len() >= 20, "{}", limited.len());
    for stranger in 2000..2018 {
        assert!(admitted(stranger, Rate::literal("1/min"), 1));
    }
    assert!(!limited.iter().any(|&client| admitted(client, rate, 1)), "a limited client got a fresh start");
}
