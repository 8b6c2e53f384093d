//! A type that is no throttle is told at the type.
use traffik::throttled;

struct Burst;

#[throttled(Burst)]
async fn search() {}

fn main() {
    let _ = search;
}
