//! The share of `warn_at` is a literal that is checked at compile time.

use traffik::{Throttle, throttled};

#[throttled("share:above", "5/min", warn_at = 1.5)]
async fn above() {}

#[throttled("share:below", "5/min", warn_at = -0.5)]
async fn below() {}

#[throttled("share:whole", "5/min", warn_at = 1)]
async fn whole() {}

#[derive(Throttle)]
#[limit("share:zero", "5/min", warn_at = 0.0)]
struct Zero;

fn main() {}
