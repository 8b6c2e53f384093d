//! Limits on a cluster: everybody's own answer, from whoever has it at the moment.

mod apart;
mod moving;
mod nodes;
mod outage;
mod spread;

use traffik::{client::Key, decision::Outcome, strategy::FixedWindow};
use traffik_redis::RedisBackend;

pub(crate) use self::nodes::Cluster;
use crate::{Client, Result};

/// The client of a number, with a rate that is no other's, so that an answer to somebody else shows.
fn client(number: u64) -> Result<Client> {
    Ok(Client { key: Key::from(number), strategy: FixedWindow.into(), rate: format!("{}/30d", rate(number)).parse()? })
}

fn rate(number: u64) -> u64 {
    100_000 + number
}

/// How much a client was charged so far, by an answer that has to be his own.
fn used(number: u64, outcome: &Outcome) -> Result<u64> {
    let past = outcome.past.as_ref().ok_or("nothing is stored")?;
    assert_eq!(past.rate.limit(), rate(number), "client {number} was told of somebody else");
    let [_, used] = past.state.words();
    Ok(used)
}

/// The key that a client's entry is kept under.
fn key(number: u64) -> String {
    format!("{{test:redis|number={number}}}|limit|fixed-window")
}

/// Some clients whose entries begin at a primary.
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

/// Charges a client once, and checks that the answer is his own.
async fn charge(backend: &RedisBackend, number: u64) -> Result<u64> {
    let outcome = client(number)?.decide(backend, 1).await?;
    assert!(outcome.admitted);
    used(number, &outcome)
}
