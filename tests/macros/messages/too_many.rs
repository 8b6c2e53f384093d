//! A handler has at most 15 arguments of its own, and a decision covers at most 16 throttles.
use axum::extract::State;
use traffik::throttled;

#[throttled("many:arguments", "5/min")]
#[rustfmt::skip]
async fn arguments(
    _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>,
    _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: State<u8>, _: String,
) {}

#[throttled(A, B, C, D, E, F, G, H)]
#[throttled(I, J, K, L, M, N, O, P, Q)]
async fn throttles() {}

fn main() {
    let _ = throttles();
}
