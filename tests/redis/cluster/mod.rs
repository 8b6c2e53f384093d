//! Limits on a cluster: each client gets its own answer from the server that has its slot at the time.

mod apart;
mod moving;
mod nodes;
mod outage;
mod spread;

use traffik::{client::Key, decision::Outcome, strategy::FixedWindow};
use traffik_redis::RedisBackend;

pub(crate) use self::nodes::Cluster;
use crate::{Client, Result};

/// Returns a client with a unique rate, so that an answer about another client is noticed.
fn client(number: u64) -> Result<Client> {
    Ok(Client { key: Key::from(number), strategy: FixedWindow.into(), rate: format!("{}/30d", rate(number)).parse()? })
}

fn rate(number: u64) -> u64 {
    100_000 + number
}

/// Returns the charge of a client so far, and checks that the answer is about that client.
fn used(number: u64, outcome: &Outcome) -> Result<u64> {
    let past = outcome.past.as_ref().ok_or("nothing is stored")?;
    assert_eq!(past.rate.limit(), rate(number), "client {number} got the answer of another client");
    let [_, used] = past.state.words();
    Ok(used)
}

/// Returns the key of a client's entry.
fn key(number: u64) -> String {
    format!("{{test:redis|number={number}}}|limit|fixed-window")
}

/// Returns some clients whose entries start on a primary.
fn clients_of(cluster: &Cluster, primary: usize, count: usize) -> Result<Vec<u64>> {
    let mut clients = Vec::new();
    for number in 0.. {
        if Cluster::home(cluster.slot(&key(number))?) == primary {
            clients.push(number);
        }
        if clients.len() == count {
            break;
        }
    }
    Ok(clients)
}

/// Charges a client once, and checks that the answer is about that client.
async fn charge(backend: &RedisBackend, number: u64) -> Result<u64> {
    let outcome = client(number)?.decide(backend, 1).await?;
    assert!(outcome.admitted);
    used(number, &outcome)
}
