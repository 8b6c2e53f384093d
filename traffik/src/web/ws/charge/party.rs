use std::sync::Arc;

use traffik_core::{client::Client, rate::Rate};

use crate::{engine::Asked, limit::Definition, one_or_more::OneOrMore};

/// A throttle and its client, as the request named them that opened the connection.
#[derive(Clone, Debug)]
pub(in crate::web::ws) struct Party {
    definition: Arc<Definition>,
    client: Client,
    rate: Rate,
    cost: u64,
}

impl Party {
    /// That the handshake was charged says nothing of messages.
    pub(in crate::web::ws) fn of(asked: &Asked<'_>) -> Self {
        let Asked { definition, ref client, rate, cost, .. } = *asked;
        Self { definition: Arc::clone(definition), client: client.clone(), rate, cost }
    }

    pub(in crate::web::ws) fn ask(parties: &OneOrMore<Self>, cost: Option<u64>) -> OneOrMore<Asked<'_>> {
        parties.map(|Self { definition, client, rate, cost: own }| {
            let (rate, cost) = (*rate, cost.unwrap_or(*own));
            Asked { rate, cost, ..Asked::new(definition, client.clone()) }
        })
    }

    pub(super) fn uid(&self) -> &'static str {
        self.definition.uid
    }
}
