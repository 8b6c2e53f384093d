//! The app under a steady load, asked over TCP, while its Redis comes, goes and comes back: what clients see of that, and an
//! error where it is not what it should be.

mod load;
mod phase;

use std::{error::Error, net::Ipv4Addr, time::Duration};

use tokio::{net::TcpListener, sync::oneshot, time::timeout};
use traffik::breaker::{BreakerState, CircuitBreaker};

use self::{load::Load, phase::Phase};
use crate::redis_server::{PLENTY, Redis};

/// Short, since there is somebody who watches.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(1);

/// Longer than the recovery timeout, so that an open breaker has a few try in vain meanwhile. And longer than the period of
/// the limits: whom the fallback refused it refuses until his wait has ended, also once Redis decides again.
const A_WHILE: Duration = Duration::from_millis(1500);

/// Shows it all, unless it is interrupted. Nothing that it started is left behind, however it ends.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    tokio::select! {
        biased;
        // Listened for before there is anything to be left behind.
        () = super::shutdown_signal() => Err("interrupted".into()),
        shown = show() => shown,
    }
}

async fn show() -> Result<(), Box<dyn Error>> {
    let mut redis = Redis::new()?;
    let breaker = super::breaker(RECOVERY_TIMEOUT);
    let traffik = super::traffik(&redis.url(), breaker.clone())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let load = Load::new(&listener.local_addr()?.to_string())?;
    println!("The app is up, and the Redis that it is to have at {} is not.\n", redis.url());

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
        "\nThe app was asked to stop, answered who was there, closed its limits, and is gone. All of it was as promised."
    );
    Ok(())
}

async fn all_phases(mut load: Load, breaker: &CircuitBreaker, redis: &mut Redis) -> Result<(), Box<dyn Error>> {
    phase::heading();
    away(&mut load, breaker, "no Redis yet").await?;
    redis.start().await?;
    there(&mut load, breaker, "Redis joins").await?;
    redis.kill()?;
    away(&mut load, breaker, "Redis is killed").await?;
    redis.start().await?;
    there(&mut load, breaker, "Redis is back").await
}

/// Redis is away: the first requests find out, and those after them do not wait for it any more.
///
/// Whom it had just refused is refused in its name for a moment more, without asking it.
async fn away(load: &mut Load, breaker: &CircuitBreaker, name: &str) -> Result<(), Box<dyn Error>> {
    until(load, breaker, name, BreakerState::Open).await?;
    let phase = load.for_a(A_WHILE).await?;
    phase.show("  and is left alone", breaker.state());
    phase.keeps_its_promises()?;
    phase.is_by_the_fallback_at_once()
}

/// Redis is there: a few requests find out, and then it decides again.
async fn there(load: &mut Load, breaker: &CircuitBreaker, name: &str) -> Result<(), Box<dyn Error>> {
    until(load, breaker, name, BreakerState::Closed).await?;
    // Some of those whom the fallback refused may still be told so.
    load.for_a(A_WHILE).await?.shown_as("  refusals run out", breaker.state()).keeps_its_promises()?;
    let phase = load.for_a(A_WHILE).await?.shown_as("  and decides", breaker.state());
    phase.keeps_its_promises()?;
    phase.is_by_the_primary()?;
    if breaker.state() == BreakerState::Closed {
        Ok(())
    } else {
        Err("the breaker opened while Redis was there".into())
    }
}

async fn until(
    load: &mut Load,
    breaker: &CircuitBreaker,
    name: &str,
    state: BreakerState,
) -> Result<(), Box<dyn Error>> {
    let phase = timeout(PLENTY, load.until(|| breaker.state() == state)).await;
    let phase: Phase =
        phase.map_err(|_| format!("{name}: the breaker stays {}", super::told::name(breaker.state())))??;
    phase.show(name, breaker.state());
    phase.keeps_its_promises()
}

#[cfg(test)]
mod tests {
    #[tokio::test(flavor = "multi_thread")]
    async fn what_clients_see_is_what_they_should() {
        super::run().await.unwrap();
    }
}
