//! An attributed handler can be called without a server.

use axum::{RequestExt, extract::Query, http::Request};
use traffik::{Traffik, throttled};

#[throttled("unit-test:search", "1/min")]
async fn search(Query(words): Query<Vec<(String, String)>>) -> usize {
    words.len()
}

#[tokio::test]
async fn attributed_handler_accepts_a_permit_of_a_disabled_app() {
    for _ in 0..3 {
        let mut request = Request::new(axum::body::Body::empty());
        request.extensions_mut().insert(Traffik::disabled());
        let permit = request.extract_parts().await.unwrap();
        assert_eq!(search(permit, Query(Vec::new())).await, 0);
    }
}
