//! WebSockets, seen by a client on a socket.

mod control_frames;
mod floods;
mod handshake;
mod json;
mod kinds;
mod live;
mod losses;
mod manual_checks;
mod metrics;
mod notifications;
mod outages;
mod over_limit;
mod permits;
pub(crate) mod rig;
mod scopes;
mod slow_peers;
mod split;
mod stalled;
mod waiting;

use traffik::{
    DefaultIdentity, Rate, Settings, Throttle,
    strategy::{Concurrency, LeakyBucketWithQueue, SlidingWindowLog},
};

throttles! {
    Connect: "ws:connect", "2/min", Settings::new();
    Open: "ws:open", "2/30s", Settings::new().strategy(Concurrency);
    Chat: "ws:chat", "3/min", Settings::new();
    Sustained: "ws:sustained", "5/hour", Settings::new();
    Binary: "ws:binary", "2/min", Settings::new();
    Logged: "ws:logged", "2/min", Settings::new().strategy(SlidingWindowLog);
    Each: "ws:each", "2/min", Settings::new();
    Penalised: "ws:penalised", "2/min", Settings::new().penalty(2, std::time::Duration::from_secs(600));
    Dear: "ws:dear", "10/min", Settings::new().cost(4);
    Large: "ws:large", "100/min", Settings::new();
    Queue: "ws:queue", "1/s", Settings::new().strategy(LeakyBucketWithQueue::new());
    Nothing: "ws:nothing", "0/0", Settings::new();
}
