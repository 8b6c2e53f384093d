//! One throttle, or a tuple of them: all is asked that they ask about a request, and then there is one decision.

use axum::{extract::FromRequestParts, http::request::Parts};
use traffik_core::client::Client;

use super::{
    answers::{ForOne, ForSeveral},
    meeting::{Meeting, Now},
};
use crate::{
    engine::Asked,
    limit::{Throttle, all_the_tuples},
    one_or_more::OneOrMore,
    web::rejection::ThrottleRejection,
};

/// Throttles whose clients can be named in an app with the state `S`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the client of `{Self}` cannot be named with the state `{S}`",
    note = "the `Identity` of a throttle is an extractor that turns into a `traffik::Client`"
)]
pub trait Identified<S> {
    /// Decides, as far as that takes no waiting.
    fn decide_now<'a>(meeting: &'a Meeting, parts: &Parts) -> Now<'a>;

    /// Asks all that there is to know before a backend decides.
    fn ask<'a>(
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
        let definition = match meeting.definition::<T>() {
            Ok(definition) if meeting.asks_at_once(definition) => definition,
            Ok(_) => return Now::Nowhere,
            Err(misconfigured) => return Now::Decided(Err(misconfigured.into())),
        };
        match meeting.ask_now::<T>(definition, &mut ForOne, parts) {
            Ok(Some(asked)) => meeting.decide_now(OneOrMore::new(asked)),
            Ok(None) => Now::Nowhere,
            Err(rejection) => Now::Decided(Err(rejection)),
        }
    }

    async fn ask<'a>(
        meeting: &'a Meeting,
        parts: &mut Parts,
        state: &S,
    ) -> Result<OneOrMore<Asked<'a>>, ThrottleRejection> {
        meeting.ask::<T, S>(&mut ForOne, parts, state).await.map(OneOrMore::new)
    }
}

/// Whether a throttle of a tuple asks nothing that has to be waited for. What is wrong with it is told at once, too.
fn asks_at_once<T: Throttle>(meeting: &Meeting) -> bool {
    meeting.traffik().definition::<T>().map_or(true, |definition| meeting.asks_at_once(definition))
}

fn ask_now<'a, T: Throttle>(
    meeting: &'a Meeting,
    answers: &mut ForSeveral,
    parts: &Parts,
) -> Result<Option<Asked<'a>>, ThrottleRejection> {
    meeting.ask_now::<T>(meeting.definition::<T>()?, answers, parts)
}

macro_rules! tuple_of_identified {
    ($first:ident $(, $throttle:ident)*) => {
        impl<$first, $($throttle,)* S> Identified<S> for ($first, $($throttle,)*)
        where
            $first: Throttle<Identity: FromRequestParts<S> + Into<Client>>,
            $($throttle: Throttle<Identity: FromRequestParts<S> + Into<Client>>,)*
            S: Send + Sync,
        {
            fn decide_now<'a>(meeting: &'a Meeting, parts: &Parts) -> Now<'a> {
                // Before anything is asked: once one has to be waited for, no other must be asked twice.
                if !(asks_at_once::<$first>(meeting) $(&& asks_at_once::<$throttle>(meeting))*) {
                    return Now::Nowhere;
                }
                let mut answers = ForSeveral::default();
                #[allow(unused_mut)]
                let mut asked = match ask_now::<$first>(meeting, &mut answers, parts) {
                    Ok(Some(asked)) => OneOrMore::new(asked),
                    Ok(None) => return Now::Nowhere,
                    Err(rejection) => return Now::Decided(Err(rejection)),
                };
                $(match ask_now::<$throttle>(meeting, &mut answers, parts) {
                    Ok(Some(one)) => asked.add(one, Asked::is_same),
                    Ok(None) => return Now::Nowhere,
                    Err(rejection) => return Now::Decided(Err(rejection)),
                })*
                meeting.decide_now(asked)
            }

            async fn ask<'a>(
                meeting: &'a Meeting,
                parts: &mut Parts,
                state: &S,
            ) -> Result<OneOrMore<Asked<'a>>, ThrottleRejection> {
                let mut answers = ForSeveral::default();
                #[allow(unused_mut)]
                let mut asked = OneOrMore::new(meeting.ask::<$first, S>(&mut answers, parts, state).await?);
                $(asked.add(meeting.ask::<$throttle, S>(&mut answers, parts, state).await?, Asked::is_same);)*
                Ok(asked)
            }
        }
    };
}

all_the_tuples!(tuple_of_identified);
