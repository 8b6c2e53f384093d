//! A type that is no throttle is reported at the type.
use traffik::throttled;

struct Burst;

#[throttled(Burst)]
async fn search() {}

#[throttled("no-throttle:only", "5/min", Burst)]
async fn only() {}

fn main() {
    let _ = (search, only);
}
