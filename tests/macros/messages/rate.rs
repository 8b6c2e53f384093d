//! Rates are parsed when the expansion is compiled. Every wrong rate is reported, used or not.
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
