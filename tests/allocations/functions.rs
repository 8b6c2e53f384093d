//! Checks that a function for a cost or a rate allocates nothing.

use axum::http::request::Parts;
use traffik::{Client, DefaultIdentity, Rate, Settings, Throttle};

use super::rules::allocations;

const RATE: Rate = Rate::literal("1_000_000/hour");

macro_rules! throttle {
    ($name:ident, $settings:expr) => {
        struct $name;

        impl Throttle for $name {
            const UID: &'static str = stringify!($name);
            const RATE: Rate = RATE;
            type Identity = DefaultIdentity;

            fn settings() -> Settings {
                $settings
            }
        }
    };
}

fn two(parts: &Parts) -> u64 {
    parts.headers.len().max(2).try_into().unwrap_or(2)
}

fn same(_: &Parts, client: &Client) -> Rate {
    if client.is_exempt() { Rate::UNLIMITED } else { RATE }
}

throttle!(Fixed, Settings::new().cost(2));
throttle!(Costing, Settings::new().cost_of(two));
throttle!(Rated, Settings::new().cost(2).rate_of(same));
throttle!(Both, Settings::new().cost_of(two).rate_of(same));
throttle!(Free, Settings::new().cost_of(|_| 0));
throttle!(Unlimited, Settings::new().rate_of(|_, _| Rate::UNLIMITED));

#[test]
fn cost_and_rate_functions_allocate_as_much_as_fixed_values() {
    let (fixed, met) = allocations::<Fixed>("/");
    assert!(met && fixed > 0);
    for counted in [allocations::<Costing>("/"), allocations::<Rated>("/"), allocations::<Both>("/")] {
        assert_eq!(counted, (fixed, true));
    }
    let [(pair, _), (functions, met)] = [allocations::<(Fixed, Rated)>("/"), allocations::<(Costing, Both)>("/")];
    assert!(met);
    assert_eq!(functions, pair);
}

#[test]
fn free_or_unlimited_request_allocates_less() {
    let (fixed, _) = allocations::<Fixed>("/");
    for (counted, met) in [allocations::<Free>("/"), allocations::<Unlimited>("/")] {
        assert!(!met && counted < fixed, "{counted} rather than {fixed}");
    }
}
