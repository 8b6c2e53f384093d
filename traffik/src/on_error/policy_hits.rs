//! Hits with the policies of their throttles.

use std::sync::Arc;

use traffik_core::{
    backend::{Answer, BackendError},
    decision::{Decision, Hit},
};

use super::{
    budget::Budget,
    decided::{Decided, DecidedBy},
    fallback_backend::FallbackBackend,
    policy::ErrorPolicy,
};

/// The hits of one decision, each with the policy of its throttle. The strictest policy applies to all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PolicyHits<'h, 'p> {
    pub(crate) hits: &'h [Hit<'h>],
    pub(crate) policies: &'h [&'p ErrorPolicy],
    /// The policies of throttles of the decision that are not counted. Their fallbacks may have refused the client too.
    pub(crate) others: &'h [&'p ErrorPolicy],
}

impl<'h, 'p> PolicyHits<'h, 'p> {
    /// Returns the strictest policy, and of equally strict ones the first. Those of hits that are not enforced apply only if
    /// there are no others. `None` if there are no hits.
    #[inline]
    pub(super) fn strictest(self) -> Option<&'p ErrorPolicy> {
        let rank = |(hit, policy): (&Hit<'_>, &'p ErrorPolicy)| (hit.enforced, policy.kind);
        let both = self.hits.iter().zip(self.policies.iter().copied());
        both.reduce(|one, other| if rank(other) > rank(one) { other } else { one }).map(|(_, policy)| policy)
    }

    /// Returns the first hit whose throttle has this policy, and an enforced one if there is one.
    pub(super) fn hit_of(self, policy: &ErrorPolicy) -> Option<&'h Hit<'h>> {
        let mut own = self.hits.iter().zip(self.policies).filter(|(_, own)| std::ptr::eq(**own, policy));
        let first = own.clone().next();
        own.find(|(hit, _)| hit.enforced).or(first).map(|(hit, _)| hit)
    }

    /// Takes a decision of the primary.
    pub(super) fn by_primary(self, decision: Decision) -> Result<Decided, BackendError> {
        Decided::new(self.hits, decision, DecidedBy::Primary)
    }

    /// Takes a decision of a fallback, which remembers refusals.
    pub(super) fn by_fallback(
        self,
        fallback: &Arc<FallbackBackend>,
        decision: Decision,
    ) -> Result<Decided, BackendError> {
        let decided = Decided::new(self.hits, decision, DecidedBy::Fallback(Arc::clone(fallback)))?;
        fallback.store.answered();
        fallback.decided(self.hits, &decided.decision);
        Ok(decided)
    }

    /// Receives a decision of a fallback.
    pub(super) async fn receive(
        self,
        fallback: &Arc<FallbackBackend>,
        answer: Answer<'_, Decision>,
        budget: Budget<'_>,
    ) -> Result<Decided, BackendError> {
        let decision = budget.hold(answer).await.inspect_err(|error| fallback.failed(error))?;
        self.by_fallback(fallback, decision)
    }

    /// Returns what the fallback would decide.
    pub(super) async fn peek_in(
        self,
        fallback: &Arc<FallbackBackend>,
        budget: Budget<'_>,
    ) -> Result<Decided, BackendError> {
        let decision = budget.hold(fallback.peek(self.hits)).await?;
        Decided::new(self.hits, decision, DecidedBy::Fallback(Arc::clone(fallback)))
    }

    /// Returns `true` if a fallback refused any of the clients lately.
    #[inline]
    pub(super) fn may_be_refused(self) -> bool {
        self.fallbacks().any(|fallback| fallback.may_refuse(self.hits))
    }

    /// Returns a refusal if a fallback refused any of the clients before, and still would.
    ///
    /// Each fallback has a quarter of the time to answer. If it does not, the primary decides: a fallback that hangs is no
    /// failure of the primary.
    pub(super) async fn still_refused(self, budget: Budget<'_>) -> Option<Decided> {
        for fallback in self.fallbacks().filter(|fallback| fallback.may_refuse(self.hits)) {
            match self.peek_in(fallback, budget.a_quarter()).await {
                Ok(decided) if !decided.decision.is_admitted() => return Some(decided),
                _ => {}
            }
        }
        None
    }

    fn fallbacks(self) -> impl Iterator<Item = &'p Arc<FallbackBackend>> {
        self.policies.iter().chain(self.others).filter_map(|policy| policy.fallback.as_ref())
    }
}
