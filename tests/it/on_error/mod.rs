//! Requests whose backend does not answer.

pub(crate) mod backends;
mod breaker;
mod failing_over;
mod over_http;
mod policies;
mod recovery;
mod retrying;
mod storm;

use traffik::{DefaultIdentity, Rate, Settings, Throttle, on_error};

throttles! {
    Five: "on-error:five", "5/min", Settings::new();
    Two: "on-error:two", "2/min", Settings::new();
    Dear: "on-error:dear", "20/min", Settings::new().cost(7);
    Free: "on-error:free", "1/min", Settings::new().cost(0);
    Allowed: "on-error:allowed", "5/min", Settings::new().on_error(on_error::Allow);
    Refused: "on-error:refused", "5/min", Settings::new().on_error(on_error::Refuse);
    Raised: "on-error:raised", "5/min", Settings::new().on_error(on_error::Raise);
    Local: "on-error:local", "5/min", Settings::new().backend("local");
}
