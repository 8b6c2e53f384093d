//! A function that is generic over its throttle states how clients are identified.
use traffik::{DefaultIdentity, Throttle, ThrottleLayer, throttle_layer, web::ThrottleSet};

fn limited<T: Throttle>() -> ThrottleLayer<T> {
    throttle_layer::<T>()
}

fn limited_too<T: Throttle>() -> ThrottleLayer<T> {
    ThrottleLayer::new()
}

fn works<T: Throttle<Identity = DefaultIdentity>>() -> ThrottleLayer<T> {
    throttle_layer::<T>()
}

fn works_too<T: ThrottleSet<()>>() -> ThrottleLayer<T> {
    ThrottleLayer::new()
}

fn main() {}
