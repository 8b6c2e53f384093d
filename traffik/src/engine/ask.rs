use std::sync::Arc;

use smallvec::SmallVec;
use traffik_core::EXEMPTED;
use traffik_core::{client::Client, decision::Hit, rate::Rate, strategy::Strategy};

use crate::limit::QueueSlot;
use crate::{
    engine::Limit,
    limit::{ConfigError, Definition},
    on_error::Plan,
    one_or_more::OneOrMore,
    store::Store,
};

/// One throttle asked about one client.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    pub(crate) definition: &'a Arc<Definition>,
    pub(crate) client: Client,
    pub(crate) rate: Rate,
    pub(crate) cost: u64,
    /// The limit as it stood when the same request was charged for it before: it is not charged again.
    pub(crate) charged_before: Option<Arc<Limit>>,
    /// Whether only what need not be held is admitted, since as many requests are held as may be.
    pub(crate) is_full: bool,
    /// The slot that it waits in if it has to.
    pub(crate) slot: Option<Arc<QueueSlot>>,
}

/// The same, for a task that may outlast whoever asks.
#[derive(Debug)]
pub(super) struct Question {
    definition: Arc<Definition>,
    client: Client,
    rate: Rate,
    cost: u64,
    charged_before: Option<Arc<Limit>>,
    is_full: bool,
}

impl Question {
    pub(super) fn asked(&self) -> Asked<'_> {
        let Self { definition, client, rate, cost, charged_before, is_full } = self;
        let (client, charged_before) = (client.clone(), charged_before.clone());
        let (rate, cost, is_full) = (*rate, *cost, *is_full);
        Asked { rate, cost, charged_before, is_full, ..Asked::new(definition, client) }
    }
}

impl<'a> Asked<'a> {
    pub(super) fn question(&self) -> Question {
        let Self { definition, client, rate, cost, charged_before, is_full, .. } = self.clone();
        Question { definition: Arc::clone(definition), client, rate, cost, charged_before, is_full }
    }

    pub(crate) fn new(definition: &'a Arc<Definition>, client: Client) -> Self {
        let (rate, cost) = (definition.rate, definition.settings.cost);
        Self { definition, client, rate, cost, charged_before: None, is_full: false, slot: None }
    }

    /// Nothing is asked: the throttle leaves the request alone, whoever makes it.
    pub(crate) fn nothing(definition: &'a Arc<Definition>) -> Self {
        Self { cost: 0, ..Self::new(definition, EXEMPTED) }
    }

    /// Whether it asks the same throttle about the same client.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.definition, other.definition) && self.client == other.client
    }

    /// What the backend is asked: nothing about clients that are exempted, rates that are unlimited, requests that cost
    /// nothing, and what was charged before.
    pub(crate) fn hit(&self) -> Option<Hit<'_>> {
        if self.is_counted() { self.entry() } else { None }
    }

    pub(crate) fn is_counted(&self) -> bool {
        !self.rate.is_unlimited() && self.is_counted_at_some_rate()
    }

    /// Whether it is counted, unless its rate is unlimited.
    pub(crate) fn is_counted_at_some_rate(&self) -> bool {
        self.cost > 0 && !self.client.is_exempted() && self.charged_before.is_none()
    }

    /// The same at a rate of its own, if the strategy goes with it.
    pub(crate) fn at_rate(self, rate: Rate) -> Result<Self, ConfigError> {
        self.definition.check_rate(rate)?;
        Ok(Self { rate, ..self })
    }

    /// The entry that a client which is not exempted has, or would have.
    pub(crate) fn entry(&self) -> Option<Hit<'_>> {
        let (uid, strategy) = (self.definition.uid, self.definition.strategy(self.is_full));
        let (rate, cost) = (self.rate, self.cost);
        self.client.key().map(|key| Hit { uid, key, strategy, rate, cost })
    }

    /// What is charged to its entry in all, where others of one decision are about the same.
    pub(crate) fn with_others_of(&self, asked: &OneOrMore<Self>) -> u64 {
        let name = |asked: &Self| (asked.definition.uid, asked.definition.settings.strategy.name());
        let is_same = |other: &&Self| other.is_counted() && name(other) == name(self) && other.client == self.client;
        asked.iter().filter(is_same).fold(0, |sum, other| sum.saturating_add(other.cost))
    }

    /// What its throttle does when the backend gives no answer, if not what all do unless told otherwise.
    pub(crate) fn own_plan(&self) -> Option<&'a Plan> {
        self.definition.plan.as_deref()
    }

    /// What is done for all of them that are counted.
    #[inline]
    pub(crate) fn plan(asked: &OneOrMore<Self>) -> Option<&'a Plan> {
        match asked.only() {
            Some(only) => only.own_plan(),
            None => Plan::strictest(asked.iter().filter(|asked| asked.is_counted()).map(Self::own_plan)),
        }
    }

    /// Where all of them are kept.
    pub(crate) fn store(asked: &OneOrMore<Self>) -> Result<Option<&'a Arc<Store>>, ConfigError> {
        Definition::store_of_all(asked.iter().map(|asked| asked.definition))
    }

    /// Calls `ask` with what the backend is asked. Mostly that is one hit, which is moved nowhere.
    pub(crate) fn with_hits<R>(asked: &OneOrMore<Self>, ask: impl FnOnce(&[Hit<'_>]) -> R) -> R {
        match asked.only() {
            Some(asked) => ask(asked.hit().as_slice()),
            None => ask(&Self::hits(asked)),
        }
    }

    pub(crate) fn hits(asked: &OneOrMore<Self>) -> SmallVec<[Hit<'_>; super::INLINE]> {
        let mut hits = SmallVec::new();
        asked.iter().filter_map(Self::hit).for_each(|hit| hits.push(hit));
        hits
    }
}
