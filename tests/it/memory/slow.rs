//! A custom strategy that takes long, in the shard of others.

use std::{
    sync::{
        Barrier, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use tests::{Call, Calling, limit};
use traffik::{
    Rate,
    client::Key,
    decision::Hit,
    strategy::{AnyStrategy, FixedWindow},
};

use super::{admits, store_of};

const WAITING: usize = 4;
const RATE: Rate = Rate::literal("10/min");

/// The ends of the channels of the strategy: it sends when it charges, and receives when it may go on.
static ENDS: Mutex<Option<(Sender<()>, Receiver<()>)>> = Mutex::new(None);

fn charge_slowly(call: Call) {
    let ends = || ENDS.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((charging, go_on)) = (call == Call::Charge).then(ends).flatten() {
        let _ = charging.send(());
        let _ = go_on.recv();
    }
}

#[test]
fn decisions_after_a_slow_custom_strategy_are_exact() {
    let (backend, _) = store_of(16);
    let (slow, plain) = (AnyStrategy::custom(Calling(charge_slowly)), AnyStrategy::from(FixedWindow));
    let ((charging, is_charging), (goes_on, go_on)) = (channel(), channel());
    *ENDS.lock().unwrap_or_else(PoisonError::into_inner) = Some((charging, go_on));
    let (alice, bob, start) = (Key::from("alice"), Key::from("bob"), Barrier::new(WAITING + 1));
    let hits = || (0..10).filter(|_| admits(&backend, &[Hit::new(limit("plain", &plain), &bob, RATE, 1)])).count();
    let admitted: usize = thread::scope(|scope| {
        // A panic drops it, so that the strategy goes on.
        let goes_on = goes_on;
        let slow = scope.spawn(|| admits(&backend, &[Hit::new(limit("slow", &slow), &alice, RATE, 1)]));
        is_charging.recv_timeout(Duration::from_secs(60)).unwrap();
        let threads = [(); WAITING].map(|()| {
            scope.spawn(|| {
                start.wait();
                hits()
            })
        });
        start.wait();
        goes_on.send(()).unwrap();
        assert!(slow.join().unwrap());
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((admitted, backend.len()), (10, 2));
}
