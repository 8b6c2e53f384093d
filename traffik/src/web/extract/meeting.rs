//! A request meets its throttles: who is it, was it charged already, and is there room.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use smallvec::SmallVec;

use crate::{
    app::{Asked, Error, Traffik},
    client::Client,
    limits::Limits,
    one_or_more::OneOrMore,
    throttle::{Throttle, all_the_tuples},
    web::{
        identity::{Source, identify},
        ledger::{Ledger, Met},
        rejection::{Limited, Misconfigured, ThrottleRejection, Unavailable},
    },
};

/// The handle and the ledger that a request carries.
#[doc(hidden)]
#[derive(Debug)]
pub struct Meeting {
    traffik: Traffik,
    ledger: Ledger,
}

/// The clients that were named for this decision, each with what named it.
type Named = SmallVec<[(Source, Client); 2]>;

impl Meeting {
    pub(super) fn begin(parts: &mut Parts) -> Result<Self, Misconfigured> {
        let traffik = parts.extensions.get::<Traffik>().cloned().ok_or_else(Misconfigured::no_state)?;
        Ok(Self { traffik, ledger: Ledger::of(&mut parts.extensions) })
    }

    /// Asks who the client of the throttle `T` is, unless the same was asked for one before it in the tuple.
    async fn ask<T, S>(&self, named: &mut Named, parts: &mut Parts, state: &S) -> Result<Asked, ThrottleRejection>
    where
        T: Throttle<Identity: FromRequestParts<S> + Into<Client>>,
        S: Sync,
    {
        let definition = self.traffik.definition::<T>().map_err(Misconfigured::from)?;
        if self.traffik.is_disabled() {
            return Ok(Asked::new(definition, crate::EXEMPTED));
        }
        let source = Source::of::<T>(&definition);
        let known = named.iter().find(|(known, _)| *known == source).map(|(_, client)| client.clone());
        let client = match known {
            Some(client) => client,
            None => self.traffik.counted_as(identify::<T, S>(&definition, parts, state).await?),
        };
        named.push((source, client.clone()));
        let charged_before = self.ledger.charged_before(&definition, &client);
        Ok(Asked { charged_before, ..Asked::new(definition, client) })
    }

    /// Decides about all that the request was not charged for before, and writes it down.
    pub(super) async fn decide(self, asked: OneOrMore<Asked>) -> Result<Limits, ThrottleRejection> {
        let limits = match self.traffik.charge(&asked).await {
            Ok(limits) => limits,
            Err(Error::Config(error)) => return Err(Misconfigured::from(error).into()),
            Err(Error::Backend(error)) => {
                let definitions = asked.iter().map(|asked| Arc::clone(&asked.definition)).collect();
                return Err(Unavailable::new(error, definitions, self.traffik, self.ledger).into());
            }
        };
        let charged = limits.is_admitted();
        let new = asked.iter().zip(limits.iter()).filter(|(asked, _)| asked.charged_before.is_none());
        self.ledger.record(new.map(|(asked, limit)| Met {
            traffik: self.traffik.clone(),
            client: asked.client.clone(),
            limit: limit.clone(),
            charged: charged && limit.is_counted(),
        }));
        if charged { Ok(limits) } else { Err(Limited::new(limits, self.traffik, self.ledger).into()) }
    }
}

/// Throttles whose clients can be named in an app with the state `S`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the client of `{Self}` cannot be named with the state `{S}`",
    note = "the `Identity` of a throttle is an extractor that turns into a `traffik::Client`"
)]
pub trait Identified<S> {
    fn identify(
        meeting: &Meeting,
        parts: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<OneOrMore<Asked>, ThrottleRejection>> + Send;
}

impl<T, S> Identified<S> for T
where
    T: Throttle<Identity: FromRequestParts<S> + Into<Client>>,
    S: Send + Sync,
{
    async fn identify(meeting: &Meeting, parts: &mut Parts, state: &S) -> Result<OneOrMore<Asked>, ThrottleRejection> {
        meeting.ask::<T, S>(&mut Named::new(), parts, state).await.map(OneOrMore::new)
    }
}

macro_rules! tuple_of_identified {
    ($first:ident $(, $throttle:ident)*) => {
        impl<$first, $($throttle,)* S> Identified<S> for ($first, $($throttle,)*)
        where
            $first: Throttle<Identity: FromRequestParts<S> + Into<Client>>,
            $($throttle: Throttle<Identity: FromRequestParts<S> + Into<Client>>,)*
            S: Send + Sync,
        {
            async fn identify(
                meeting: &Meeting,
                parts: &mut Parts,
                state: &S,
            ) -> Result<OneOrMore<Asked>, ThrottleRejection> {
                let mut named = Named::new();
                #[allow(unused_mut)]
                let mut asked = OneOrMore::new(meeting.ask::<$first, S>(&mut named, parts, state).await?);
                $(asked.add(meeting.ask::<$throttle, S>(&mut named, parts, state).await?, Asked::is_same);)*
                Ok(asked)
            }
        }
    };
}

all_the_tuples!(tuple_of_identified);
