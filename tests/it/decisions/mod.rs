//! Decisions: several hits as one, by the backend and by the handle of an app.

mod chosen_backends;
mod delays;
mod grants;
mod handle;
mod settings;
mod several_hits;
mod short_answers;
mod silent_backend;
mod two_backends;

use traffik::{
    DefaultIdentity, Rate, Settings, Throttle,
    strategy::{SlidingWindowCounter, TokenBucket},
};

throttles! {
    Five: "decisions:five", "5/min", Settings::new();
    Three: "decisions:three", "3/min", Settings::new().strategy(SlidingWindowCounter);
    Two: "decisions:two", "2/min", Settings::new().strategy(TokenBucket::new());
    One: "decisions:one", "1/min", Settings::new();
    Seven: "decisions:seven", "7/min", Settings::new();
    Dear: "decisions:dear", "10/min", Settings::new().cost(4);
    TooDear: "decisions:too-dear", "3/min", Settings::new().cost(4);
    Free: "decisions:free", "1/min", Settings::new().cost(0);
    Unlimited: "decisions:unlimited", "0/0", Settings::new();
    AlsoFive: "decisions:five", "5/min", Settings::new();
    NoBurst: "decisions:no-burst", "5/min", Settings::new().strategy(TokenBucket::new().burst(0));
    HugeBurst: "decisions:huge-burst", "1/day", Settings::new().strategy(TokenBucket::new().burst(36_501));
}
