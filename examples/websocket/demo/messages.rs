//! Limits on messages.

use std::{error::Error, time::Duration};

use serde_json::{Value, json};
use traffik::test::ManualClock;

use super::visitor::Visitor;

pub(super) async fn show(visitors: &mut [Visitor], clock: &ManualClock) -> Result<(), Box<dyn Error>> {
    let [one, two, three, four, ..] = visitors else { return Err("too few connections".into()) };

    println!("\nThe burst of a connection is 20 messages in 10 seconds:");
    one.say_all(1..=20).await?;
    one.expect(&json!({ "text": "message 21" }), &over(10)).await?;
    one.expect(&json!({ "text": "message 22" }), &over(10)).await?;

    println!("\nEach connection of a client has its own burst, and all of them share 60 messages in a minute:");
    two.say_all(21..=40).await?;
    three.say_all(41..=60).await?;
    four.expect(&json!({ "text": "message 61" }), &over(60)).await?;

    println!("\nA minute later, on the first connection:");
    clock.advance(Duration::from_secs(60));
    one.say_all(61..=61).await?;
    one.expect_of("{", &json!({ "type": "error", "error": "This is not JSON" })).await
}

/// Returns the answer to a message over a limit.
fn over(retry_after: u64) -> Value {
    json!({ "type": "rate_limit", "error": "Too many messages", "retry_after": retry_after })
}
