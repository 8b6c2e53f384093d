//! Starts a Redis server, an API, and three processes that call it, and returns an error if the API refuses a call.

mod api;
mod callers;

use std::{
    error::Error,
    time::{Duration, Instant},
};

use self::{api::Api, callers::Caller};
use crate::{interrupt::unless_interrupted, redis_server::Redis};

/// The number of processes.
const CALLERS: usize = 3;

/// The number of calls that each makes.
const CALLS: usize = 40;

/// Runs the demo, unless it is interrupted. It ends everything that it started.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    unless_interrupted(show()).await
}

async fn show() -> Result<(), Box<dyn Error>> {
    let mut redis = Redis::new()?;
    redis.start().await?;
    let api = Api::start().await?;
    println!("A Redis server runs at {}, and an API at {}.", redis.url(), api.url);
    println!("The API allows 50 calls a second, with bursts of 5, and answers others with a 429.\n");

    let began = Instant::now();
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(Caller::start(&redis, &api.url, CALLS)?);
    }
    println!("{CALLERS} processes make {CALLS} calls each, as fast as they can:\n");
    for (number, caller) in (1..).zip(callers) {
        let process = caller.process;
        let printed = caller.output().await?;
        println!("  caller {number}, process {process}:  {printed}");
        if !printed.starts_with(&format!("{CALLS} calls answered with 200 in ")) {
            return Err(format!("a call was not answered with a 200: {printed}").into());
        }
    }
    let (took, (served, refused)) = (began.elapsed(), api.counts());
    println!("\nThe API served {served} calls and refused {refused}, in {:.1} s.", took.as_secs_f64());
    if (served, refused) != (CALLERS * CALLS, 0) {
        return Err("the API refused a call".into());
    }
    // The API admits 5 calls without waiting, and then one in 20 ms.
    let least = Duration::from_millis(20) * u32::try_from(CALLERS * CALLS - 5)?;
    if took < least {
        return Err(format!("the calls took {took:?}, which is less than {least:?}").into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn demo_of_the_program_succeeds() {
        super::run().await.unwrap();
    }
}
