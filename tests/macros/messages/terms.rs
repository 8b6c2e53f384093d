//! All mistakes in an attribute are reported together.
use traffik::throttled;

#[throttled("", "5/min")]
#[throttled("süße", "5/min", costs = 5, identifier = String)]
#[throttled("terms:alone", cost = 1, cost = 2)]
#[throttled("terms:number", 5)]
#[throttled(cost = 5, Burst, settings = f)]
#[throttled = "5/min"]
async fn search() {}

#[throttled("terms:twice", "5/min", "terms:twice", "50/hour")]
#[throttled(Burst, Sustained)]
#[throttled(Burst)]
async fn twice() {}

#[throttled("terms:comma" "5/min")]
async fn comma() {}

#[throttled("terms:unlike", "5/min", colour = red())]
async fn unlike() {}

#[throttled("terms:client", "5/min", identity = by_user, client_ip = proxies(), rule = a(), rule = b())]
#[throttled("terms:cost", "5/min", cost_of = by_size, async_cost_of = by_rows, charge_preflights = true)]
async fn alternatives() {}

fn main() {
    let _ = (search(), twice(), comma(), unlike(), alternatives());
}
