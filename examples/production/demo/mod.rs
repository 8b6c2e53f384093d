//! Runs the app under a steady load over TCP while Redis starts, is killed and starts again. Prints what clients see, and
//! returns an error if it differs from what they should.

mod load;
mod phase;

use std::{error::Error, net::Ipv4Addr, time::Duration};

use tokio::{net::TcpListener, sync::oneshot, time::timeout};
use traffik::breaker::{BreakerState, CircuitBreaker};

use self::{load::Load, phase::Phase};
use crate::{
    interrupt::unless_interrupted,
    redis_server::{PLENTY, Redis},
};

/// Short, so the demo does not take long.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(1);

/// Longer than the recovery timeout, so that an open breaker makes a few failing trials meanwhile. Also longer than the period
/// of the limits: clients that the fallback refused stay refused until their wait ends, even when Redis decides again.
const A_WHILE: Duration = Duration::from_millis(1500);

/// Runs the demo, unless it is interrupted. It ends everything that it started.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    unless_interrupted(show()).await
}

async fn show() -> Result<(), Box<dyn Error>> {
    let mut redis = Redis::new()?;
    let breaker = super::breaker(RECOVERY_TIMEOUT)?;
    let traffik = super::traffik(&redis.url(), breaker.clone())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let load = Load::new(&listener.local_addr()?.to_string())?;
    println!("The app is up. Its Redis server at {} is not.\n", redis.url());

    let (stop, stopped) = oneshot::channel::<()>();
    let served = super::serve(listener, traffik, async { drop(stopped.await) });
    let visited = async {
        let visited = all_phases(load, &breaker, &mut redis).await;
        drop(stop);
        visited
    };
    let both = async { tokio::join!(served, visited) };
    tokio::select! {
        biased;
        (served, visited) = both => visited.and(served)?,
        () = super::watch(&breaker) => return Err("the breaker is gone".into()),
    }
    println!(
        "\nThe app stopped gracefully: it answered its last requests, and closed its limits. Everything was as expected."
    );
    Ok(())
}

async fn all_phases(mut load: Load, breaker: &CircuitBreaker, redis: &mut Redis) -> Result<(), Box<dyn Error>> {
    phase::heading();
    away(&mut load, breaker, "no Redis yet").await?;
    redis.start().await?;
    there(&mut load, breaker, "Redis starts").await?;
    redis.kill()?;
    away(&mut load, breaker, "Redis is killed").await?;
    redis.start().await?;
    there(&mut load, breaker, "Redis is back").await
}

/// Redis is away: the first requests notice it and open the breaker, and later requests do not wait for it.
///
/// Clients that Redis has just refused stay refused for a moment, without asking it.
async fn away(load: &mut Load, breaker: &CircuitBreaker, name: &str) -> Result<(), Box<dyn Error>> {
    until(load, breaker, name, BreakerState::Open).await?;
    let phase = load.for_a(A_WHILE).await?;
    phase.show("  memory decides", breaker.state());
    phase.keeps_its_promises()?;
    phase.is_by_the_fallback()
}

/// Redis is up: a few trials succeed, and then it decides again.
async fn there(load: &mut Load, breaker: &CircuitBreaker, name: &str) -> Result<(), Box<dyn Error>> {
    until(load, breaker, name, BreakerState::Closed).await?;
    // Some clients that the fallback refused may still be refused.
    load.for_a(A_WHILE).await?.shown_as("  refusals run out", breaker.state()).keeps_its_promises()?;
    let phase = load.for_a(A_WHILE).await?.shown_as("  Redis decides", breaker.state());
    phase.keeps_its_promises()?;
    phase.is_by_the_primary()?;
    if breaker.state() == BreakerState::Closed { Ok(()) } else { Err("the breaker opened while Redis was up".into()) }
}

async fn until(
    load: &mut Load,
    breaker: &CircuitBreaker,
    name: &str,
    state: BreakerState,
) -> Result<(), Box<dyn Error>> {
    let phase = timeout(PLENTY, load.until(|| breaker.state() == state)).await;
    let phase: Phase =
        phase.map_err(|_| format!("{name}: the breaker stays {}", super::decided_by::name(breaker.state())))??;
    phase.show(name, breaker.state());
    phase.keeps_its_promises()
}

#[cfg(test)]
mod tests {
    #[tokio::test(flavor = "multi_thread")]
    async fn demo_of_the_program_succeeds() {
        super::run().await.unwrap();
    }
}
