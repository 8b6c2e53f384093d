//! Redis is down for a while.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    COMMAND_TIMEOUT, PLENTY, Redis, expect, expect_at_most, heading,
    visitor::{Answer, Visitor},
};

const OUTAGE: Duration = Duration::from_millis(1500);

const BETWEEN_REQUESTS: Duration = Duration::from_millis(10);

/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_secs(1);

/// The `RateLimit-Policy` field of `/search` while Redis is up.
const LIMITS: &str = r#""search:burst";q=100;w=60, "search:sustained";q=1000;w=3600"#;

pub(super) async fn show(visitor: &Visitor, redis: &mut Redis) -> Result<(), Box<dyn Error>> {
    heading("An outage: `GET /search` while Redis is killed and started again");
    println!("{:>3}  {:>6}  {:>8}  ratelimit", "app", "status", "took");
    for app in [1, 2] {
        is_admitted(&shown(visitor.ask(app, "/search").await?))?;
    }

    redis.kill()?;
    println!("-- Redis is killed --");
    let refusal = while_it_is_down(visitor).await?;
    for app in [1, 2] {
        expect("a route without a limit", &visitor.ask(app, "/health").await?.status, &200)?;
    }
    println!("-- `/health` has no limit and still answers. Redis is started again, empty --");

    redis.start().await?;
    let back = Instant::now();
    for app in [1, 2] {
        let answer = until_it_is_back(visitor, app).await?;
        println!("-- app {app} works again, {:.0?} after Redis is back --", back.elapsed());
        is_admitted(&shown(answer))?;
    }
    let fresh = shown(visitor.ask(1, "/data").await?);
    println!("\nRedis lost its data, so the limits start fresh: `/data`, in the last row, has its 20 requests again.");
    expect("a limit after the restart", &fresh.status, &200)?;

    println!("\nThe first 503 in full:\n");
    show_in_full(&refusal)
}

/// Checks that every request gets a 503 within the deadline, and returns the first response.
async fn while_it_is_down(visitor: &Visitor) -> Result<Answer, Box<dyn Error>> {
    let (killed, mut apps) = (Instant::now(), visitor.in_turn());
    let first = shown(visitor.ask(1, "/search").await?);
    is_unavailable(&first)?;
    let (mut more, mut slowest) = (0, first.took);
    while killed.elapsed() < OUTAGE {
        let app = apps.next().unwrap_or(1);
        let answer = visitor.ask(app, "/search").await?;
        is_unavailable(&answer)?;
        more += 1;
        slowest = slowest.max(answer.took);
        sleep(BETWEEN_REQUESTS).await;
    }
    println!(
        "     and {more} more, the same from both apps. The slowest took {slowest:.1?}; the deadline is {COMMAND_TIMEOUT:.0?}"
    );
    Ok(first)
}

/// Waits until an app admits requests again, and returns the first such response.
async fn until_it_is_back(visitor: &Visitor, app: usize) -> Result<Answer, Box<dyn Error>> {
    let began = Instant::now();
    loop {
        let answer = visitor.ask(app, "/search").await?;
        if answer.status == 200 {
            return Ok(answer);
        }
        is_unavailable(&answer)?;
        expect_at_most("the time until an app works again", &began.elapsed(), &PLENTY)?;
        sleep(BETWEEN_REQUESTS).await;
    }
}

fn is_admitted(answer: &Answer) -> Result<(), Box<dyn Error>> {
    expect("a client within its limits", &(answer.status, answer.field("ratelimit-policy")), &(200, LIMITS))
}

/// Checks a 503. It has no RateLimit fields, because the client's usage is unknown.
fn is_unavailable(answer: &Answer) -> Result<(), Box<dyn Error>> {
    let fields = ["retry-after", "content-type", "cache-control", "ratelimit-policy", "ratelimit"];
    let fields = fields.map(|name| answer.field(name));
    expect("while Redis is down", &answer.status, &503)?;
    expect("the fields of a 503", &fields, &["1", "application/problem+json", "no-store", "", ""])?;
    let body = [r#"#temporary-reduced-capacity""#, r#""violated-policies":["search:burst","search:sustained"]"#];
    expect("the body of a 503", &body.map(|part| answer.body.contains(part)), &[true, true])?;
    expect_at_most("how long a 503 takes", &answer.took, &(COMMAND_TIMEOUT + SLACK))
}

fn shown(answer: Answer) -> Answer {
    let took = format!("{:.1?}", answer.took);
    println!("{:>3}  {:>6}  {took:>8}  {}", answer.app, answer.status, answer.field("ratelimit"));
    answer
}

fn show_in_full(answer: &Answer) -> Result<(), Box<dyn Error>> {
    println!("HTTP/1.1 {}", answer.status);
    for (name, value) in &answer.fields {
        println!("{name}: {}", value.to_str()?);
    }
    println!("\n{}", answer.body);
    Ok(())
}
