use traffik_core::{client::Client, rate::Rate};

use crate::{
    engine::{Check, Checks, Resolved},
    request::Source,
};

/// The resolved checks of earlier throttles of a tuple. A function that two throttles share is called once.
///
/// A memo is for one decision only: results from an outer layer may be outdated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memo<'m, 'a>(pub(super) Option<&'m Checks<'a>>);

impl<'m, 'a> Memo<'m, 'a> {
    pub(super) fn cost(self, source: Source) -> Option<u64> {
        self.earlier(Resolved::Cost)
            .find(|check| check.definition.settings.request.cost.as_ref().is_some_and(|cost| cost.source() == source))
            .map(|check| check.cost)
    }

    pub(super) fn client(self, source: Source) -> Option<Client> {
        self.earlier(Resolved::Client)
            .find(|check| check.definition.identity == source)
            .map(|check| check.client.clone())
    }

    pub(super) fn rate(self, source: Source, client: &Client) -> Option<Rate> {
        self.earlier(Resolved::Rate)
            .filter(|check| check.client == *client)
            .find(|check| check.definition.settings.request.rate.as_ref().is_some_and(|rate| rate.source() == source))
            .map(|check| check.rate)
    }

    fn earlier(self, least: Resolved) -> impl Iterator<Item = &'m Check<'a>> {
        self.0.into_iter().flat_map(Checks::iter).filter(move |check| check.resolved >= least)
    }
}
