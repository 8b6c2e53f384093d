//! Concurrency limits that are out of range or unreadable.
use traffik::{Throttle, throttled};

#[throttled("at-once:none", "0 at once")]
async fn none() {}

#[throttled("at-once:many", "65537 at once")]
async fn many() {}

#[throttled("at-once:strategy", "2 at once", strategy = traffik::strategy::TokenBucket::new())]
#[throttled("at-once:same", "2 at once", strategy = traffik::strategy::Concurrency)]
async fn strategy() {}

#[derive(Throttle)]
#[limit("at-once:words", "two at once")]
struct Words;

fn main() {
    let _ = (none, many, strategy);
}
