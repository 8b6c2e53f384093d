//! Limits that are values, as a request meets them.

use std::{fmt, sync::Arc};

use axum::http::request::Parts;

use super::{RequestContext, Site, ThrottleRejection, memo::Memo, rejection::Misconfigured, throttled::Sought};
#[cfg(feature = "file")]
use crate::engine::Traffik;
use crate::{
    engine::{Check, Checks},
    limit::{DefaultIdentity, Definition},
    one_or_more::OneOrMore,
};

/// The limits of a layer, which are one decision.
#[derive(Clone, Debug)]
pub(super) enum LimitSet {
    Listed(OneOrMore<Uid>),
    /// Those that the limits file makes, at least one.
    #[cfg(feature = "file")]
    OfFile(OneOrMore<Arc<Definition>>),
}

/// Returns the limits that the file makes. `None` if there are none.
#[cfg(feature = "file")]
pub(super) fn of_file(traffik: &Traffik) -> Option<LimitSet> {
    let made = traffik.made_by_file();
    let mut made = made.iter().map(|made| made.definition.clone());
    let mut all = OneOrMore::new(made.next()?);
    made.for_each(|definition| all.add(definition, |_, _| false));
    Some(LimitSet::OfFile(all))
}

/// Names a limit.
#[derive(Clone)]
pub(super) enum Uid {
    One(Arc<str>),
    Of(Arc<dyn Fn(&Parts) -> Arc<str> + Send + Sync>),
}

impl RequestContext {
    /// Returns the limit with this uid.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request if the app has no such limit.
    pub(super) fn value(&self, uid: &str) -> Result<Arc<Definition>, ThrottleRejection> {
        self.traffik().table().value(uid).map_err(|error| Misconfigured::by_a_request(error, self.traffik()).into())
    }
}

impl<S: Send + Sync> Sought<S> for LimitSet {
    type Found = OneOrMore<Arc<Definition>>;

    fn find(self, context: &RequestContext, parts: &Parts) -> Result<Self::Found, ThrottleRejection> {
        let find = |uid: &Uid| match uid {
            Uid::One(uid) => context.value(uid),
            Uid::Of(function) => context.value(&function(parts)),
        };
        let uids = match self {
            Self::Listed(uids) => uids,
            #[cfg(feature = "file")]
            Self::OfFile(found) => return Ok(found),
        };
        let mut found = OneOrMore::new(find(uids.first())?);
        for uid in uids.iter().skip(1) {
            found.add(find(uid)?, Arc::ptr_eq);
        }
        Ok(found)
    }

    async fn checks<'a>(
        found: &'a Self::Found,
        context: &'a RequestContext,
        site: &Site,
        parts: &mut Parts,
        state: &S,
    ) -> Result<Checks<'a>, ThrottleRejection> {
        let first = context.check::<DefaultIdentity, S>(found.first(), site, Memo(None), parts, state).await?;
        let mut checks = Checks::new(first);
        for definition in found.iter().skip(1) {
            let memo = Memo(Some(&checks));
            let check = context.check::<DefaultIdentity, S>(definition, site, memo, parts, state).await?;
            checks.add(check, Check::is_same);
        }
        Ok(checks)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(uid) => fmt::Debug::fmt(uid, f),
            Self::Of(_) => f.write_str("Function(..)"),
        }
    }
}
