//! The handlers that both apps document.

use traffik::{Limiter, Peek, ThrottleRejection, Throttled};

use super::{Burst, Hidden, Overload, Own, Plan, Rows, Service, Sustained, Unlimited, X};

/// Declares a handler that responds with 200.
macro_rules! handlers {
    ($($name:ident, $path:literal: ($($argument:ty),*), $documented:ty;)+) => {
        $(#[utoipa::path(get, path = $path, responses((status = 200), $documented))]
        pub(super) async fn $name($(_: $argument),*) -> &'static str {
            "here it is"
        })+
    };
}

handlers! {
    search, "/search": (Throttled<(Burst, Sustained)>), Throttled<(Burst, Sustained)>;
    optional, "/optional": (Option<Throttled<Burst>>), Throttled<Burst>;
    two, "/two": (Throttled<Burst>, Throttled<Sustained>), Throttled<(Burst, Sustained)>;
    usage, "/usage": (Peek<Burst>), Peek<Burst>;
    plan, "/plan": (Throttled<Plan>), Throttled<Plan>;
    hidden, "/hidden": (Throttled<Hidden>), Throttled<Hidden>;
    overload, "/overload": (Throttled<Overload>), Throttled<Overload>;
    service, "/service": (Throttled<Service>), Throttled<Service>;
    x, "/x": (Throttled<X>), Throttled<X>;
    own, "/own": (Throttled<Own>), Throttled<Own>;
    unlimited, "/unlimited": (Throttled<Unlimited>), Throttled<Unlimited>;
}

#[utoipa::path(get, path = "/rows", responses((status = 200), Limiter<Rows>))]
pub(super) async fn rows(rows: Limiter<Rows>) -> Result<String, ThrottleRejection> {
    let permit = rows.check().await?;
    Ok(format!("{} left", permit.tightest().remaining()))
}
