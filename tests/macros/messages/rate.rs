//! Rates are read by their one grammar, as the expansion is compiled. Every one is told, used or not.
use traffik::{Throttle, throttled};

#[throttled("rate:fortnight", "5/fortnight")]
#[throttled("rate:zero", "0/min", cost = 2)]
async fn search() {}

#[derive(Throttle)]
#[limit("rate:derived", "five a day")]
struct Derived;

fn main() {
    let _ = search;
}
