//! Both apps share one limit.

use std::error::Error;

use super::{
    expect, expect_at_most, heading,
    visitor::{Answer, Visitor},
};

const LIMIT: u64 = 20;

/// 20 requests per hour: one returns every 3 minutes.
const LONGEST_WAIT: u64 = 180;

/// Two requests per app over the limit.
const REQUESTS: u64 = LIMIT + 4;

pub(super) async fn show(visitor: &Visitor) -> Result<(), Box<dyn Error>> {
    heading("One limit: `GET /data` allows 20 requests an hour, and the client uses both apps in turn");
    println!("{:>7}  {:>3}  {:>6}  {:>11}  ratelimit", "request", "app", "status", "retry-after");
    let mut admitted = 0;
    for (request, app) in (1..=REQUESTS).zip(visitor.in_turn()) {
        let answer = visitor.ask(app, "/data").await?;
        let Answer { status, .. } = answer;
        let (retry_after, ratelimit) = (answer.field("retry-after"), answer.field("ratelimit"));
        println!("{request:>7}  {app:>3}  {status:>6}  {retry_after:>11}  {ratelimit}");
        admitted += u64::from(status == 200);
        check(request, &answer)?;
    }
    println!("\n{admitted} of {REQUESTS} requests were admitted: exactly the limit.");
    expect("the admitted requests", &admitted, &LIMIT)
}

fn check(request: u64, answer: &Answer) -> Result<(), Box<dyn Error>> {
    let which = format!("request {request}");
    let is_within = request <= LIMIT;
    expect(&which, &answer.status, &if is_within { 200 } else { 429 })?;

    let (remaining, wait) = ratelimit(answer).ok_or_else(|| format!("{which} has no RateLimit field"))?;
    expect(&which, &remaining, &LIMIT.saturating_sub(request))?;
    expect_at_most(&which, &wait, &LONGEST_WAIT)?;
    let retry_after = if is_within { String::new() } else { wait.to_string() };
    expect(&which, &answer.field("retry-after"), &retry_after.as_str())
}

/// Returns what remains, and the seconds until more does.
fn ratelimit(answer: &Answer) -> Option<(u64, u64)> {
    let (remaining, wait) = answer.field("ratelimit").strip_prefix(r#""api:data";r="#)?.split_once(";t=")?;
    Some((remaining.parse().ok()?, wait.parse().ok()?))
}
