//! A handler has 15 arguments of its own, and one decision is about 8 throttles.
use axum::extract::State;
use traffik::throttled;

#[throttled("many:arguments", "5/min")]
#[rustfmt::skip]
async fn arguments(
    _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>,
    _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: String,
) {}

#[throttled(A, B, C, D)]
#[throttled(E, F, G, H, I)]
async fn throttles() {}

fn main() {
    let _ = throttles();
}
