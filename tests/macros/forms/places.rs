//! Handlers in every kind of module and function.

use axum::{Router, routing::get};
use traffik::{Throttle, throttled};

use crate::server::Server;

mod deep {
    pub(crate) mod down {
        use traffik::strategy::TokenBucket;

        #[traffik::throttled("places:module", "1/min", strategy = TokenBucket::new())]
        pub(crate) async fn handler() {}
    }
}

#[derive(Throttle)]
#[limit("places:impl", "1/min")]
struct InImpl;

struct Api;

impl Api {
    #[throttled(InImpl)]
    async fn handler() {}
}

#[cfg(any())]
#[throttled("places:cfg", "1/min")]
async fn by_platform() {}

#[throttled("places:cfg", "1/min")]
#[cfg(not(any()))]
async fn by_platform() {}

macro_rules! handler {
    ($name:ident, $uid:literal, $rate:literal) => {
        #[throttled($uid, $rate)]
        async fn $name() {}
    };
}

handler!(by_macro, "places:macro", "1/min");

#[tokio::test]
async fn attribute_in_any_module_or_function_works() {
    #[throttled("places:function", "1/min")]
    async fn inside() {}

    let routes = Router::new()
        .route("/module", get(deep::down::handler))
        .route("/impl", get(Api::handler))
        .route("/cfg", get(by_platform))
        .route("/macro", get(by_macro))
        .route("/function", get(inside))
        .route("/block", {
            #[throttled("places:block", "1/min")]
            async fn inside() {}
            get(inside)
        })
        .merge(guestbook::routes());
    let server = Server::start(routes).await;
    for place in ["/module", "/impl", "/cfg", "/macro", "/function", "/block"] {
        assert_eq!(server.statuses(place, 2).await, [200, 429], "{place}");
    }
}

#[tokio::test]
async fn attribute_in_a_library_that_renames_traffik_works() {
    let server = Server::start(guestbook::routes()).await;
    assert_eq!(server.statuses("/inside", 4).await, [200, 200, 200, 429]);
    assert_eq!(server.statuses("/search", 11).await.last(), Some(&429));
    assert_eq!(server.statuses("/seven", 3).await, [200, 200, 429]);
    assert_eq!(server.statuses("/pages", 1).await, server.statuses("/pages/7", 1).await);
}
