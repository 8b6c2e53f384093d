//! Only a handler can be throttled.
use traffik::throttled;

#[throttled("item:struct", "5/min")]
struct Handler;

#[throttled("item:sync", "5/min")]
fn not_async() {}

#[throttled]
async fn nothing() {}

#[throttled()]
async fn nothing_at_all() {}

struct Api;

impl Api {
    #[throttled("item:method", "5/min")]
    async fn method(&self) {}

    #[throttled("item:associated", "5/min", cost = 2)]
    async fn associated() -> Self {
        Self
    }
}

fn main() {
    let _ = (Handler, not_async(), nothing(), nothing_at_all(), Api.method(), Api::associated());
}
