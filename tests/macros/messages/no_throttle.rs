//! A type that is no throttle is reported at the type.
use traffik::throttled;

struct Burst;

#[throttled(Burst)]
async fn search() {}

#[throttled("no-throttle:beside", "5/min", Burst)]
async fn beside() {}

fn main() {
    let _ = (search, beside);
}
