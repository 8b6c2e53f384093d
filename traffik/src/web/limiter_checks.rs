//! The checks of limiters, which a handler makes itself.

use std::sync::Arc;

use axum::http::request::Parts;
use traffik_core::client::Client;

use super::{
    RequestContext, Site, ThrottleRejection,
    check::begin,
    rejection::{Misconfigured, has_responder},
    request_head::RequestHead,
    resolve::{Memo, rated, unless_in_dry_run},
    site::KeptRejection,
};
use crate::{
    engine::{Check, Checks, Demand, KeptCheck, LimiterOptions, Limits, Resolved, resolve},
    limit::ConfigError,
    one_or_more::OneOrMore,
};

/// What a [`Limiter`](super::Limiter) checks, as its request resolved it and as the handler sets it.
#[derive(Clone)]
pub(super) struct LimiterChecks {
    pub(super) context: RequestContext,
    checks: OneOrMore<KeptCheck>,
    /// Why the throttle has no client.
    unidentified: KeptRejection,
    pub(super) client: Option<Client>,
    pub(super) options: LimiterOptions,
    /// The request, if a throttle has a function for the rate, which is called for each check, or if an observer reads it.
    parts: Option<Arc<Parts>>,
    /// What a rejection keeps of the request.
    head: RequestHead,
}

impl LimiterChecks {
    pub(super) fn new(
        context: &RequestContext,
        checks: &Checks<'_>,
        unidentified: KeptRejection,
        parts: &Parts,
    ) -> Self {
        let head = RequestHead::of(parts, checks.iter().any(|check| has_responder(check.definition)));
        let reads_parts = |check: &Check<'_>| {
            check.definition.settings.request.rate.is_some() || check.definition.observers.read_parts()
        };
        let parts = checks.iter().any(reads_parts).then(|| Arc::new(parts.clone()));
        let checks = checks.map(Check::kept_uncharged);
        Self {
            context: context.clone(),
            checks,
            unidentified,
            client: None,
            options: LimiterOptions::default(),
            parts,
            head,
        }
    }

    /// Returns the number of throttles.
    pub(super) fn len(&self) -> usize {
        self.checks.iter().count()
    }

    /// Returns the client that each throttle charges, as far as it is known yet.
    pub(super) fn clients(&self) -> impl Iterator<Item = &Client> {
        self.checks.iter().map(|check| self.client.as_ref().unwrap_or(&check.client))
    }

    /// Returns the checks as the handler has set them.
    async fn checks(&self) -> Result<Checks<'_>, ThrottleRejection> {
        let mut checks = self.checks.map(KeptCheck::check);
        let live = self.context.traffik().changes().live();
        // What does not apply stays free.
        for check in checks.iter_mut().filter(|check| check.resolved > Resolved::Nothing) {
            self.options.apply_to(check).map_err(Misconfigured::from)?;
            if let Some(client) = &self.client {
                check.client = client.clone();
            } else if check.cost > 0 {
                if let Some(rejection) = self.unidentified.take(check.definition.identity) {
                    let live = live.as_deref().map(|live| live.of(&check.definition.uid));
                    *check = unless_in_dry_run(check.definition, live, rejection)?;
                }
            }
        }
        match self.parts.as_deref().filter(|_| self.options.rate.is_none()) {
            Some(parts) => self.rated(&checks, parts).await,
            None => Ok(checks),
        }
    }

    /// Returns the checks at the rates of their clients.
    async fn rated<'a>(&'a self, checks: &Checks<'a>, parts: &Parts) -> Result<Checks<'a>, ThrottleRejection> {
        let traffik = self.context.traffik();
        let live = traffik.changes().live();
        let tolerated = |check: &Check<'a>, rated: Result<_, _>| {
            let live = live.as_deref().map(|live| live.of(&check.definition.uid));
            rated.or_else(|rejection| unless_in_dry_run(check.definition, live, rejection))
        };
        let first = checks.first();
        let mut all = Checks::new(tolerated(first, rated(first.clone(), traffik, Memo(None), parts).await)?);
        for check in checks.iter().skip(1) {
            let check = tolerated(check, rated(check.clone(), traffik, Memo(Some(&all)), parts).await)?;
            all.add(check, |_, _| false);
        }
        Ok(all)
    }
}

/// Charges what the limiters of a request say, as one decision. A limiter that waits is alone.
pub(super) async fn decide(limiters: &[LimiterChecks]) -> Result<Limits, ThrottleRejection> {
    let decided = async {
        let (first, mut checks) = all_checks(limiters).await?;
        let site = Site::Handler;
        let context = &first.context.clone().with_latest_changes();
        let (slots, decided) = match first.options.wait {
            None => begin(&mut checks, context, &site)?,
            Some(max) => {
                context.check_refunds(&checks, &site)?;
                (None, context.traffik().wait(Demand::new(&checks, context.traffik().changes()), max))
            }
        };
        let parts = limiters.iter().find_map(|limiter| limiter.parts.as_deref());
        let limits = context.record_check(resolve!(decided), parts)?;
        if let Some(slots) = slots {
            slots.turn(&limits, context.traffik().clock()).await;
        }
        Ok(limits)
    };
    decided.await.map_err(|rejection| with_head(rejection, limiters))
}

/// Returns the limits of the limiters of a request, and charges nothing.
pub(super) async fn peek(limiters: &[LimiterChecks]) -> Result<Limits, ThrottleRejection> {
    let looked = async {
        let (first, checks) = all_checks(limiters).await?;
        first.context.peek(checks).await
    };
    looked.await.map_err(|rejection| with_head(rejection, limiters))
}

/// Returns the checks of limiters, and the first limiter.
async fn all_checks(limiters: &[LimiterChecks]) -> Result<(&LimiterChecks, Checks<'_>), ThrottleRejection> {
    let Some((first, others)) = limiters.split_first() else {
        return Err(Misconfigured::from(ConfigError::EmptyQuota).into());
    };
    let mut checks = first.checks().await?;
    for other in others {
        for check in other.checks().await?.iter() {
            checks.add(check.clone(), |_, _| false);
        }
    }
    Ok((first, checks))
}

/// Adds what the response needs of the request. A limiter whose throttle has a responder keeps all of it.
pub(super) fn with_head(rejection: ThrottleRejection, limiters: &[LimiterChecks]) -> ThrottleRejection {
    let heads = || limiters.iter().map(|limiter| &limiter.head);
    match heads().find(|head| head.request().is_some()).or_else(|| heads().next()) {
        Some(head) => rejection.with_head(head.clone()),
        None => rejection,
    }
}
