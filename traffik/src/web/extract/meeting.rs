//! A request meets its throttles: who is it, was it charged already, and is there room.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use smallvec::SmallVec;

use crate::{
    app::{Asked, Error, Traffik},
    client::Client,
    limits::Limits,
    one_or_more::OneOrMore,
    throttle::{Definition, Throttle, all_the_tuples},
    web::{
        identity::{Source, identify, identify_now},
        ledger::{Ledger, Met},
        rejection::{Limited, Misconfigured, Raised, ThrottleRejection, Unavailable},
    },
};

/// The ledger and the handle that a request carries.
#[doc(hidden)]
#[derive(Debug)]
pub struct Meeting {
    ledger: Ledger,
    /// The handle, if it is not the ledger's.
    other: Option<Traffik>,
}

/// How far a request gets without waiting.
#[doc(hidden)]
#[derive(Debug)]
pub enum Now<'a> {
    /// All the way.
    Decided(Result<Limits, ThrottleRejection>),
    /// Its clients are named, and the backend has to be waited for.
    Named(OneOrMore<Asked<'a>>),
    /// Nowhere: who names its clients has to be waited for.
    Nowhere,
}

/// The clients that were named for a tuple, each with what named it.
type Named = SmallVec<[(Source, Client); 2]>;

impl Meeting {
    pub(super) fn begin(parts: &mut Parts) -> Result<Self, Misconfigured> {
        let traffik = parts.extensions.get::<Traffik>().ok_or_else(Misconfigured::no_state)?;
        let Some(ledger) = parts.extensions.get::<Ledger>().cloned() else {
            let ledger = Ledger::new(traffik.clone());
            parts.extensions.insert(ledger.clone());
            return Ok(Self { ledger, other: None });
        };
        let other = (!traffik.is(ledger.traffik())).then(|| traffik.clone());
        Ok(Self { ledger, other })
    }

    fn traffik(&self) -> &Traffik {
        self.other.as_ref().unwrap_or(self.ledger.traffik())
    }

    /// Decides about the throttle `T`, as far as that takes no waiting.
    fn decide_now<T: Throttle>(&self, parts: &Parts) -> Now<'_> {
        let definition = match self.definition::<T>() {
            Ok(definition) => definition,
            Err(misconfigured) => return Now::Decided(Err(misconfigured.into())),
        };
        let asked = match self.name_now::<T>(definition, parts) {
            Some(Ok(client)) => OneOrMore::new(self.asked(definition, client)),
            Some(Err(rejection)) => return Now::Decided(Err(rejection)),
            None => return Now::Nowhere,
        };
        match self.traffik().charge_now(&asked) {
            Some(answer) => Now::Decided(self.conclude(asked, answer)),
            None => Now::Named(asked),
        }
    }

    /// Asks who the client of the throttle `T` is, unless what names it did so for one before it in the tuple.
    async fn ask<T, S>(&self, named: &mut Named, parts: &mut Parts, state: &S) -> Result<Asked<'_>, ThrottleRejection>
    where
        T: Throttle<Identity: FromRequestParts<S> + Into<Client>>,
        S: Sync,
    {
        let definition = self.definition::<T>()?;
        let source = Source::of::<T>(definition);
        if let Some((_, client)) = named.iter().find(|(known, _)| *known == source) {
            return Ok(self.asked(definition, client.clone()));
        }
        let client = match self.name_now::<T>(definition, parts) {
            Some(client) => client?,
            None => self.traffik().counted_as(identify::<T, S>(definition, parts, state).await?),
        };
        named.push((source, client.clone()));
        Ok(self.asked(definition, client))
    }

    fn definition<T: Throttle>(&self) -> Result<&Arc<Definition>, Misconfigured> {
        self.traffik().definition::<T>().map_err(Misconfigured::from)
    }

    fn name_now<T: Throttle>(
        &self,
        definition: &Definition,
        parts: &Parts,
    ) -> Option<Result<Client, ThrottleRejection>> {
        let traffik = self.traffik();
        if traffik.is_disabled() {
            return Some(Ok(crate::EXEMPTED));
        }
        identify_now::<T>(definition, traffik, parts).map(|client| Ok(traffik.counted_as(client?)))
    }

    fn asked<'a>(&self, definition: &'a Arc<Definition>, client: Client) -> Asked<'a> {
        let charged_before = self.ledger.charged_before(definition, &client);
        Asked { charged_before, ..Asked::new(definition, client) }
    }

    /// Decides about all that the request was not charged for before.
    pub(super) async fn decide(&self, asked: OneOrMore<Asked<'_>>) -> Result<Limits, ThrottleRejection> {
        let answer = self.traffik().charge(&asked).await;
        self.conclude(asked, answer)
    }

    /// Writes down what was decided.
    fn conclude(
        &self,
        asked: OneOrMore<Asked<'_>>,
        answer: Result<Limits, Error>,
    ) -> Result<Limits, ThrottleRejection> {
        let limits = match answer {
            Ok(limits) => limits,
            Err(error) => return Err(self.reject(error, &asked)),
        };
        let charged = limits.is_admitted();
        self.record(asked, &limits, charged);
        if charged { Ok(limits) } else { Err(Limited::new(limits, self.traffik().clone(), self.ledger.clone()).into()) }
    }

    /// Why nothing was decided.
    #[cold]
    fn reject(&self, error: Error, asked: &OneOrMore<Asked<'_>>) -> ThrottleRejection {
        let (traffik, ledger) = (self.traffik().clone(), self.ledger.clone());
        let (error, retry_after) = match error {
            Error::Config(error) => return Misconfigured::from(error).into(),
            Error::Raised(error) => return Raised::new(error, traffik, ledger).into(),
            Error::Backend(error) => (Arc::new(error), Unavailable::RETRY_AFTER),
            Error::Refused { error, retry_after } => (error, retry_after),
        };
        let definitions = asked.iter().map(|asked| Arc::clone(asked.definition)).collect();
        Unavailable::new(error, retry_after, definitions, traffik, ledger).into()
    }

    fn record(&self, asked: OneOrMore<Asked<'_>>, limits: &Limits, charged: bool) {
        let mut limits = limits.shared();
        asked.into_each(|Asked { client, charged_before, .. }| {
            if let (Some(limit), None) = (limits.next(), charged_before) {
                let (limit, charged) = (Arc::clone(limit), charged && limit.is_counted());
                self.ledger.record(Met { client, limit, charged });
            }
        });
    }
}

/// Throttles whose clients can be named in an app with the state `S`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the client of `{Self}` cannot be named with the state `{S}`",
    note = "the `Identity` of a throttle is an extractor that turns into a `traffik::Client`"
)]
pub trait Identified<S> {
    /// A tuple is not decided like this: once it waits for one of its clients it must not ask for another twice.
    fn decide_now<'a>(meeting: &'a Meeting, parts: &Parts) -> Now<'a> {
        let _ = (meeting, parts);
        Now::Nowhere
    }

    fn identify<'a>(
        meeting: &'a Meeting,
        parts: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<OneOrMore<Asked<'a>>, ThrottleRejection>> + Send;
}

impl<T, S> Identified<S> for T
where
    T: Throttle<Identity: FromRequestParts<S> + Into<Client>>,
    S: Send + Sync,
{
    fn decide_now<'a>(meeting: &'a Meeting, parts: &Parts) -> Now<'a> {
        meeting.decide_now::<T>(parts)
    }

    async fn identify<'a>(
        meeting: &'a Meeting,
        parts: &mut Parts,
        state: &S,
    ) -> Result<OneOrMore<Asked<'a>>, ThrottleRejection> {
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
            async fn identify<'a>(
                meeting: &'a Meeting,
                parts: &mut Parts,
                state: &S,
            ) -> Result<OneOrMore<Asked<'a>>, ThrottleRejection> {
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
