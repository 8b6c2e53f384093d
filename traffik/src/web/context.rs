//! A request meets its throttles.

use std::{fmt, pin::Pin, sync::Arc};

use axum::http::request::Parts;
use traffik_core::client::Client;

use super::hold::{Hold, hold, reserve_slots};
use crate::{
    engine::{Asked, Error, Limit, Limits, Started, Traffik},
    limit::{Definition, Throttle},
    one_or_more::OneOrMore,
    web::{
        ledger::{Ledger, Met},
        place::Place,
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
    place: Place,
}

/// A request that is let through.
#[doc(hidden)]
pub struct Passed<'a> {
    pub(super) limits: Limits,
    /// How it is held before it goes on, if it has to be.
    pub(super) hold: Option<Hold<'a>>,
}

impl fmt::Debug for Passed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limits, hold } = self;
        f.debug_struct("Passed").field("limits", limits).field("is_held", &hold.is_some()).finish()
    }
}

type Finishing<'a> = Pin<Box<dyn Future<Output = Result<Passed<'a>, ThrottleRejection>> + Send + 'a>>;

/// How far a request gets without waiting.
#[doc(hidden)]
pub enum Now<'a> {
    /// All the way.
    Decided(Result<Passed<'a>, ThrottleRejection>),
    /// All is known of it, and the decision was started.
    Waiting(Finishing<'a>),
    /// Nowhere: something that is asked about it has to be waited for, and nothing was asked.
    Nowhere,
}

impl fmt::Debug for Now<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decided(passed) => f.debug_tuple("Decided").field(passed).finish(),
            Self::Waiting(_) => f.write_str("Waiting(..)"),
            Self::Nowhere => f.write_str("Nowhere"),
        }
    }
}

impl Meeting {
    pub(in crate::web) fn begin(parts: &mut Parts, place: Place) -> Result<Self, Misconfigured> {
        place.check()?;
        let traffik = parts.extensions.get::<Traffik>().ok_or_else(Misconfigured::no_state)?;
        let Some(ledger) = parts.extensions.get::<Ledger>().cloned() else {
            let ledger = Ledger::new(traffik.clone());
            parts.extensions.insert(ledger.clone());
            return Ok(Self { ledger, other: None, place });
        };
        let other = (!traffik.is(ledger.traffik())).then(|| traffik.clone());
        Ok(Self { ledger, other, place })
    }

    /// Where the request meets its throttles.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn traffik(&self) -> &Traffik {
        self.other.as_ref().unwrap_or(self.ledger.traffik())
    }

    pub(super) fn definition<T: Throttle>(&self) -> Result<&Arc<Definition>, Misconfigured> {
        self.traffik().definition::<T>().map_err(Misconfigured::from)
    }

    /// The limit as it was, if this request was charged for the same throttle and client before.
    pub(super) fn charged_before(&self, definition: &Arc<Definition>, client: &Client) -> Option<Arc<Limit>> {
        self.ledger.charged_before(definition, client)
    }

    /// Decides, as far as that takes no waiting.
    pub(super) fn decide_now<'a>(&'a self, mut asked: OneOrMore<Asked<'a>>) -> Now<'a> {
        reserve_slots(&mut asked, self.traffik().clock());
        match Traffik::start(&asked) {
            Started::Done(answer) => Now::Decided(self.conclude(asked, answer)),
            Started::Waiting(waiting) => Now::Waiting(Box::pin(async move {
                let answer = waiting.finish(&asked).await;
                self.conclude(asked, answer)
            })),
        }
    }

    /// Decides about all that the request was not charged for before.
    pub(super) async fn decide(&self, mut asked: OneOrMore<Asked<'_>>) -> Result<Passed<'_>, ThrottleRejection> {
        reserve_slots(&mut asked, self.traffik().clock());
        let answer = self.traffik().charge(&asked).await;
        self.conclude(asked, answer)
    }

    /// Writes down what was decided.
    fn conclude(
        &self,
        mut asked: OneOrMore<Asked<'_>>,
        answer: Result<Limits, Error>,
    ) -> Result<Passed<'_>, ThrottleRejection> {
        let limits = match answer {
            Ok(limits) => limits,
            Err(error) => return Err(self.reject(error, &asked)),
        };
        let charged = limits.is_admitted();
        let hold = if charged { hold(&mut asked, &limits, self.traffik().clock()) } else { None };
        self.record(asked, &limits, charged);
        if charged {
            Ok(Passed { limits, hold })
        } else {
            Err(Limited::new(limits, self.traffik().clone(), self.ledger.clone()).into())
        }
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
        let mut recording = self.ledger.record();
        asked.into_each(|Asked { client, charged_before, .. }| {
            if let (Some(limit), None) = (limits.next(), charged_before) {
                let (limit, charged) = (Arc::clone(limit), charged && limit.is_counted());
                recording.add(Met { client, limit, charged });
            }
        });
    }
}
