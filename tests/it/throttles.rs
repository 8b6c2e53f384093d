//! Throttles to test with, several at a time.

/// Throttles, each with its uid, its rate and its settings.
macro_rules! throttles {
    ($($name:ident: $uid:literal, $rate:literal, $settings:expr;)+) => {
        $(#[derive(Debug)]
        struct $name;

        impl Throttle for $name {
            const UID: &'static str = $uid;
            const RATE: Rate = Rate::literal($rate);
            type Identity = DefaultIdentity;

            fn settings() -> Settings {
                $settings
            }
        })+
    };
}
