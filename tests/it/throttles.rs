//! Throttles for tests, several per declaration.

/// Declares throttles, each with its uid, rate and settings.
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
