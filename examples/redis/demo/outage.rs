//! Redis is gone for a while.

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

/// Before, and once it is back, `/search` tells this.
const LIMITS: &str = r#""search:burst";q=100;w=60, "search:sustained";q=1000;w=3600"#;

pub(super) async fn show(visitor: &Visitor, redis: &mut Redis) -> Result<(), Box<dyn Error>> {
    heading("An outage: `GET /search` while Redis is killed, and started again");
    println!("{:>3}  {:>6}  {:>8}  ratelimit", "app", "status", "took");
    for app in [1, 2] {
        is_admitted(&shown(visitor.ask(app, "/search").await?))?;
    }

    redis.kill()?;
    println!("-- Redis is killed --");
    let refusal = while_it_is_gone(visitor).await?;
    for app in [1, 2] {
        expect("a route without a limit", &visitor.ask(app, "/health").await?.status, &200)?;
    }
    println!("-- `/health`, which has no limit, is answered as ever. Redis is started again, and is empty --");

    redis.start().await?;
    let back = Instant::now();
    for app in [1, 2] {
        let answer = until_it_is_back(visitor, app).await?;
        println!("-- app {app} goes on by itself, {:.0?} after Redis is back --", back.elapsed());
        is_admitted(&shown(answer))?;
    }
    let anew = shown(visitor.ask(1, "/data").await?);
    println!("\nWhat Redis loses, limits forget: `/data`, asked last, has its 20 requests again.");
    expect("a limit that was forgotten", &anew.status, &200)?;

    println!("\nThe first 503 in full:\n");
    show_in_full(&refusal)
}

/// Everybody is told so, and nobody is kept waiting. The first answer.
async fn while_it_is_gone(visitor: &Visitor) -> Result<Answer, Box<dyn Error>> {
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
        "     and {more} more, the same from both. The slowest took {slowest:.1?}; {COMMAND_TIMEOUT:.0?} is the deadline"
    );
    Ok(first)
}

/// Nobody does anything about it but Redis.
async fn until_it_is_back(visitor: &Visitor, app: usize) -> Result<Answer, Box<dyn Error>> {
    let began = Instant::now();
    loop {
        let answer = visitor.ask(app, "/search").await?;
        if answer.status == 200 {
            return Ok(answer);
        }
        is_unavailable(&answer)?;
        expect_at_most("until an app goes on", &began.elapsed(), &PLENTY)?;
        sleep(BETWEEN_REQUESTS).await;
    }
}

fn is_admitted(answer: &Answer) -> Result<(), Box<dyn Error>> {
    expect("a client within its limits", &(answer.status, answer.field("ratelimit-policy")), &(200, LIMITS))
}

/// How the client stands nobody knows, and so the fields that would tell are not there.
fn is_unavailable(answer: &Answer) -> Result<(), Box<dyn Error>> {
    let fields = ["retry-after", "content-type", "cache-control", "ratelimit-policy", "ratelimit"];
    let told = fields.map(|name| answer.field(name));
    expect("while Redis is gone", &answer.status, &503)?;
    expect("the fields of a 503", &told, &["1", "application/problem+json", "no-store", "", ""])?;
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
