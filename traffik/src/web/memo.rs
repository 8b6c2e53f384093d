//! What was answered about one request for one decision.

use smallvec::SmallVec;
use traffik_core::{client::Client, rate::Rate};

use crate::web::function::Source;

/// The answers so far: of several throttles that ask the same, the first does.
///
/// They are for one decision only. What a layer further out was told may not hold any more.
pub(super) trait Answers: Send {
    fn cost(&self, source: Source) -> Option<u64>;
    fn client(&self, source: Source) -> Option<Client>;
    fn rate(&self, source: Source, client: &Client) -> Option<Rate>;
    fn keep_cost(&mut self, source: Source, cost: u64);
    fn keep_client(&mut self, source: Source, client: &Client);
    fn keep_rate(&mut self, source: Source, client: &Client, rate: Rate);
}

/// Those for a throttle that is alone: nobody else asks.
pub(super) struct ForOne;

impl Answers for ForOne {
    fn cost(&self, _: Source) -> Option<u64> {
        None
    }

    fn client(&self, _: Source) -> Option<Client> {
        None
    }

    fn rate(&self, _: Source, _: &Client) -> Option<Rate> {
        None
    }

    fn keep_cost(&mut self, _: Source, _: u64) {}

    fn keep_client(&mut self, _: Source, _: &Client) {}

    fn keep_rate(&mut self, _: Source, _: &Client, _: Rate) {}
}

/// Those for several throttles, each with what gave it.
#[derive(Debug, Default)]
pub(super) struct ForSeveral {
    costs: SmallVec<[(Source, u64); 2]>,
    clients: SmallVec<[(Source, Client); 2]>,
    /// Each for a client. Throttles of one decision may have different ones.
    rates: Vec<(Source, Client, Rate)>,
}

impl Answers for ForSeveral {
    fn cost(&self, source: Source) -> Option<u64> {
        self.costs.iter().find(|(known, _)| *known == source).map(|(_, cost)| *cost)
    }

    fn client(&self, source: Source) -> Option<Client> {
        self.clients.iter().find(|(known, _)| *known == source).map(|(_, client)| client.clone())
    }

    fn rate(&self, source: Source, client: &Client) -> Option<Rate> {
        let is_it = |(known, of, _): &&(Source, Client, Rate)| *known == source && of == client;
        self.rates.iter().find(is_it).map(|(.., rate)| *rate)
    }

    fn keep_cost(&mut self, source: Source, cost: u64) {
        self.costs.push((source, cost));
    }

    fn keep_client(&mut self, source: Source, client: &Client) {
        self.clients.push((source, client.clone()));
    }

    fn keep_rate(&mut self, source: Source, client: &Client, rate: Rate) {
        self.rates.push((source, client.clone(), rate));
    }
}
