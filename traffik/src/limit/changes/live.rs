use std::{collections::HashMap, sync::Arc, time::Duration};

use traffik_core::{client::Key, clock::Timestamp, rate::Rate};

use super::{
    Source,
    clients::{Block, ClientChange, ClientMap, Penalty},
    values::{BySource, Switch, Values},
};
use crate::request::{Applies, Fields};

/// One snapshot of all changes. A decision uses one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    /// Another one for each snapshot.
    pub(crate) version: u64,
    /// The limits that have a change of their own.
    limits: HashMap<Arc<str>, Arc<LiveLimit>>,
    /// Whether all limits apply that have no value of their own for it.
    pub(crate) all: BySource<Option<Switch>>,
    /// What holds for the limits without a change of their own.
    others: LiveLimit,
    /// When the first value ends that has an end.
    pub(super) next_end: Option<Timestamp>,
}

/// The changes of one limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct LiveLimit {
    pub(crate) values: BySource<Values>,
    /// Whether the limit applies, by the first source that says so.
    switch: Option<(Switch, Source)>,
    /// The local rules.
    pub(crate) rules: Applies,
    pub(crate) file_rules: Applies,
    /// The rules of all sources.
    all_rules: Applies,
    pub(crate) clients: BySource<ClientMap>,
}

impl Live {
    /// Returns the changes of a limit.
    pub(crate) fn of(&self, uid: &str) -> &LiveLimit {
        self.limits.get(uid).map_or(&self.others, |limit| limit)
    }

    /// Returns whether a limit has changes of its own.
    pub(crate) fn has(&self, uid: &str) -> bool {
        self.limits.contains_key(uid)
    }

    /// Returns the changes of a limit, to change them.
    pub(crate) fn of_mut(&mut self, uid: &str) -> &mut LiveLimit {
        if !self.limits.contains_key(uid) {
            self.limits.insert(uid.into(), Arc::default());
        }
        match self.limits.get_mut(uid) {
            Some(limit) => Arc::make_mut(limit),
            None => &mut self.others,
        }
    }

    /// Removes the local changes of a limit that the app no longer has.
    pub(crate) fn forget(&mut self, uid: &str) {
        if let Some(limit) = self.limits.get_mut(uid) {
            let limit = Arc::make_mut(limit);
            limit.clear_local();
            limit.clients.local = ClientMap::default();
        }
    }

    /// Changes each limit that has a change of its own.
    pub(crate) fn for_each(&mut self, mut change: impl FnMut(&mut LiveLimit)) {
        self.limits.values_mut().for_each(|limit| change(Arc::make_mut(limit)));
    }

    /// Returns the number of clients with changes, by this source.
    pub(crate) fn clients(&self, of: impl Fn(&BySource<ClientMap>) -> &ClientMap) -> usize {
        self.limits.values().map(|limit| of(&limit.clients).len()).sum()
    }

    /// Returns `true` if no more clients can have local changes, even after those that have ended are removed.
    pub(crate) fn is_full(&mut self, now: Timestamp) -> bool {
        let is_full = |live: &Self| live.clients(|clients| &clients.local) >= ClientMap::MAX;
        if is_full(self) {
            self.for_each(|limit| limit.clients.local.expire(now));
        }
        is_full(self)
    }

    /// Returns `true` if nothing is changed.
    pub(super) fn is_empty(&self) -> bool {
        self.limits.is_empty() && self.others.switch.is_none()
    }

    /// Removes what has ended, and finds what holds.
    pub(super) fn settle(&mut self, now: Timestamp) {
        self.version += 1;
        let lasts = |switch: Option<Switch>| switch.filter(|switch| switch.end().is_none_or(|end| now < end));
        self.all = self.all.map(|switch| lasts(*switch));
        for limit in self.limits.values_mut() {
            let limit = Arc::make_mut(limit);
            limit.values.iter_mut().for_each(|values| values.switch = lasts(values.switch));
            limit.clients.iter_mut().for_each(|clients| clients.expire(now));
            limit.switch = limit.values.map(|values| values.switch).or(self.all).first(|switch| *switch);
            limit.all_rules = limit.added_rules();
        }
        self.limits.retain(|_, limit| !limit.is_empty());
        self.others.switch = self.all.first(|switch| *switch);
        let of_limits = self.limits.values().flat_map(|limit| limit.values.iter().map(|values| values.switch));
        let switches = of_limits.chain(self.all.iter().copied());
        self.next_end = switches.filter_map(|switch| switch?.end()).min();
    }
}

impl LiveLimit {
    fn is_empty(&self) -> bool {
        let has_values = self.values.iter().any(|values| *values != Values::default());
        !has_values && self.all_rules.is_empty() && self.clients.iter().all(|clients| clients.is_empty())
    }

    /// Removes the local values and rules.
    pub(crate) fn clear_local(&mut self) {
        self.values.local = Values::default();
        self.rules = Applies::default();
    }

    /// Returns `true` if the limit applies to no request.
    pub(crate) fn is_off(&self) -> bool {
        self.switch.is_some_and(|(switch, _)| switch.is_off())
    }

    /// Returns the rules to apply in addition to those of the throttle, if there are any.
    pub(crate) fn rules(&self) -> Option<&Applies> {
        Some(&self.all_rules).filter(|rules| !rules.is_empty())
    }

    /// Returns the rules of all sources, also those that were added to this value since it was a part of a snapshot.
    pub(crate) fn added_rules(&self) -> Applies {
        let mut all = self.rules.clone();
        all.add_all(&self.file_rules);
        all
    }

    /// Returns `true` if a client may be blocked.
    pub(crate) fn may_block(&self) -> bool {
        self.clients.iter().any(|clients| !clients.is_empty())
    }

    pub(crate) fn block(&self, client: &Key, now: Timestamp) -> Option<&Arc<Block>> {
        self.client(client, |client| client.block(now))
    }

    pub(crate) fn penalty(&self, client: &Key, now: Timestamp) -> Option<&Arc<Block>> {
        self.client(client, |client| client.penalty(now))
    }

    /// Removes the local penalty of a client, if it ends no later than the one that all processes share.
    pub(super) fn replace_local_penalty(&mut self, client: &Key, shared_until: Timestamp) {
        // The ends differ by what the clocks do.
        let latest = shared_until.saturating_add(Duration::from_secs(1));
        let is_older = |penalty: &Penalty| penalty.block.until.is_some_and(|until| until <= latest);
        let local = &mut self.clients.local;
        if local.get(client).and_then(|client| client.penalty.as_ref()).is_some_and(is_older) {
            local.change(client.clone(), |client| client.penalty = None);
        }
    }

    /// Returns the length of the last penalty of a client that is remembered.
    pub(crate) fn last_penalty(&self, client: &Key, now: Timestamp) -> Option<Duration> {
        let remembered = |penalty: &&Penalty| now < penalty.forgotten_at;
        self.client(client, |client| client.penalty.as_ref().filter(remembered).map(|penalty| penalty.length))
    }

    pub(crate) fn is_exempt(&self, client: &Key, now: Timestamp) -> bool {
        self.client(client, |client| client.is_exempt(now).then_some(())).is_some()
    }

    /// Returns the rate of a client that replaces every other.
    pub(crate) fn rate_of(&self, client: &Key, now: Timestamp) -> Option<Rate> {
        self.client(client, |client| client.rate(now))
    }

    /// Returns the rate of all clients that replaces that of a function.
    pub(crate) fn rate(&self) -> Option<Rate> {
        self.values.above(|values| values.rate).map(|(rate, _)| rate)
    }

    /// Returns the rate in place of the throttle's.
    pub(crate) fn base_rate(&self) -> Option<Rate> {
        self.values.file.rate
    }

    /// Returns the cost that replaces that of a function.
    pub(crate) fn cost(&self) -> Option<u64> {
        self.values.above(|values| values.cost).map(|(cost, _)| cost)
    }

    /// Returns the cost in place of the throttle's.
    pub(crate) fn base_cost(&self) -> Option<u64> {
        self.values.file.cost
    }

    /// Returns whether the limit rejects no request, if a change says so.
    pub(crate) fn dry_run(&self) -> Option<bool> {
        self.values.first(|values| values.dry_run).map(|(dry_run, _)| dry_run)
    }

    /// Returns the fields that show the limit, if a change says which.
    pub(crate) fn fields(&self) -> Option<Fields> {
        self.values.first(|values| values.fields).map(|(fields, _)| fields)
    }

    fn client<'a, V>(&'a self, client: &Key, read: impl Fn(&'a ClientChange) -> Option<V>) -> Option<V> {
        self.clients.iter().find_map(|clients| clients.get(client).and_then(&read))
    }
}
