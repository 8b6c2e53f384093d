use std::{num::NonZeroU64, sync::Arc};

use traffik_core::{
    backend::{Answer, BackendError},
    decision::Decision,
    rate::Rate,
    strategy::Strategy,
};

use super::{Fallback, asking::decide, budget::Budget, refusals::Refusals};
use crate::{
    engine::{Asked, Judge, Limits},
    one_or_more::OneOrMore,
    store::Store,
};

/// The backend that decides when the first does not.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) store: Arc<Store>,
    share: NonZeroU64,
    refusals: Refusals,
}

impl Spare {
    /// Its calls that nobody else bounds take as long as those of the first.
    pub(super) fn new(fallback: Fallback, first: &Store) -> Self {
        let Fallback { backend, share } = fallback;
        Self { store: Arc::new(first.spare(backend)), share, refusals: Refusals::default() }
    }

    /// Starts a decision about the part of each limit that this process has.
    pub(super) fn start<'a, 'd>(
        &'a self,
        asked: &OneOrMore<Asked<'d>>,
    ) -> (OneOrMore<Asked<'d>>, Answer<'a, Decision>) {
        let parts = asked.map(|asked| self.part_of(asked));
        let answer = decide(&self.store, &parts);
        (parts, answer)
    }

    /// Decides, and remembers whom it refuses.
    pub(super) async fn charge(
        &self,
        asked: &OneOrMore<Asked<'_>>,
        budget: Budget<'_>,
    ) -> Result<Limits, BackendError> {
        let (parts, answer) = self.start(asked);
        self.conclude(&parts, budget.hold(answer).await)
    }

    /// The same where the decision was started.
    pub(super) async fn receive(
        &self,
        asked: &OneOrMore<Asked<'_>>,
        answer: Answer<'_, Decision>,
        budget: Budget<'_>,
    ) -> Result<Limits, BackendError> {
        let parts = asked.map(|asked| self.part_of(asked));
        self.conclude(&parts, budget.hold(answer).await)
    }

    pub(super) fn conclude(
        &self,
        parts: &OneOrMore<Asked<'_>>,
        answer: Result<Decision, BackendError>,
    ) -> Result<Limits, BackendError> {
        let limits = Limits::decided(parts, &mut answer?, &self.judge())?;
        if !limits.is_admitted() {
            self.refusals.remember(parts, &limits, self.store.clock().now());
        }
        let (fallback, admitted) = (self.store.namespace(), limits.is_admitted());
        tracing::debug!(fallback, admitted, uid = limits.tightest().uid(), "the fallback decided");
        Ok(limits)
    }

    /// Whether it refused any of them lately.
    pub(super) fn may_refuse(&self, asked: &OneOrMore<Asked<'_>>) -> bool {
        self.refusals.concern(asked, self.store.clock())
    }

    /// A refusal of those whom it refused before, if it would refuse them still.
    ///
    /// Where it does not say so soon the first decides, and has most of the time: that the fallback hangs is no failure of
    /// the first.
    pub(super) async fn still_refused(&self, asked: &OneOrMore<Asked<'_>>, budget: Budget<'_>) -> Option<Limits> {
        if !self.may_refuse(asked) {
            return None;
        }
        let limits = self.peek(asked, budget.a_quarter()).await.ok()?;
        (!limits.is_admitted()).then_some(limits)
    }

    pub(super) async fn clear(&self) -> Result<(), BackendError> {
        self.refusals.forget_all();
        self.store.clear().await
    }

    pub(super) async fn peek(&self, asked: &OneOrMore<Asked<'_>>, budget: Budget<'_>) -> Result<Limits, BackendError> {
        let asked = asked.map(|asked| self.part_of(asked));
        let answer = Asked::with_hits(&asked, |hits| self.store.peek(hits));
        Limits::peeked(&asked, &mut budget.hold(answer).await?, &self.judge())
    }

    fn judge(&self) -> Judge {
        Judge::Fallback(Arc::clone(&self.store))
    }

    /// The same at its share of the rate of the request. What costs more than that costs all of it: it is not refused for
    /// good, unless it costs more than the whole rate can hold.
    fn part_of<'a>(&self, asked: &Asked<'a>) -> Asked<'a> {
        let strategy = &asked.definition.settings.strategy;
        let rate = match divided(asked.rate, self.share).filter(|rate| strategy.check(*rate).is_ok()) {
            Some(rate) => rate,
            None => asked.rate,
        };
        let fits_the_whole = asked.rate.is_unlimited() || asked.cost <= strategy.capacity(asked.rate);
        let cost =
            if fits_the_whole && rate != asked.rate { asked.cost.min(strategy.capacity(rate)) } else { asked.cost };
        Asked { rate, cost, ..asked.clone() }
    }
}

/// Nothing, where it is unlimited, or divided by one.
fn divided(rate: Rate, share: NonZeroU64) -> Option<Rate> {
    let limit = (rate.limit() / share).max(1);
    (share.get() > 1 && !rate.is_unlimited()).then(|| Rate::new(limit, rate.period()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_divided_and_never_below_one() {
        let divided = |rate: &str, share| divided(rate.parse().unwrap(), NonZeroU64::new(share).unwrap());
        assert_eq!(divided("100/min", 20), Some("5/min".parse().unwrap()));
        assert_eq!(divided("7/min", 2), Some("3/min".parse().unwrap()));
        assert_eq!(divided("7/min", 20), Some("1/min".parse().unwrap()));
        assert_eq!((divided("7/min", 1), divided("0/0", 20)), (None, None));
    }
}
