//! What is asked about a request before a backend is: whether the throttle applies, what it costs, who the client is, and
//! which rate he has.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use traffik_core::{client::Client, rate::Rate};

use super::{answers::Answers, meeting::Meeting};
use crate::{
    engine::Asked,
    limit::{Definition, Throttle},
    web::{
        Asks, cost,
        identity::{self, Identifier},
        place::Place,
        rejection::{Misconfigured, ThrottleRejection},
    },
};

/// An answer, or nothing if it has to be waited for.
type Now<T> = Result<Option<T>, ThrottleRejection>;

/// The order in which a throttle asks about a request. It is here twice: as it goes where nothing has to be waited for,
/// which is so for most, and as it goes where something has to be.
impl Meeting {
    /// Whether nothing that the throttle `T` asks has to be waited for.
    pub(super) fn asks_at_once(&self, definition: &Definition) -> bool {
        let is_at_once = match definition.asks {
            Asks::AtOnce => true,
            Asks::AsTheApp => self.traffik().web().identifier.as_ref().is_none_or(Identifier::is_at_once),
            Asks::Later => false,
        };
        (is_at_once && self.place().is_at_once(definition)) || self.traffik().is_disabled()
    }

    /// Asks all that is to be asked for the throttle `T`, which [asks at once](Self::asks_at_once).
    pub(super) fn ask_now<'a, T: Throttle>(
        &self,
        definition: &'a Arc<Definition>,
        answers: &mut impl Answers,
        parts: &Parts,
    ) -> Now<Asked<'a>> {
        if self.traffik().is_disabled() {
            return Ok(Some(Asked::nothing(definition)));
        }
        match self.applies_now(definition, parts) {
            Some(true) => {}
            Some(false) => return Ok(Some(Asked::nothing(definition))),
            None => return Ok(None),
        }
        let Some(cost) = cost_now(definition, answers, parts)? else { return Ok(None) };
        if cost == 0 {
            return Ok(Some(Asked::nothing(definition)));
        }
        let Some(client) = self.client_now::<T>(definition, answers, parts)? else { return Ok(None) };
        let asked = self.asked(definition, cost, client);
        let Some(rate) = rate_now(&asked, answers, parts)? else { return Ok(None) };
        self.at_rate(asked, rate).map(Some)
    }

    /// The same for any throttle, however long it takes.
    pub(super) async fn ask<T, S>(
        &self,
        answers: &mut impl Answers,
        parts: &mut Parts,
        state: &S,
    ) -> Result<Asked<'_>, ThrottleRejection>
    where
        T: Throttle<Identity: FromRequestParts<S> + Into<Client>>,
        S: Sync,
    {
        let definition = self.definition::<T>()?;
        if self.traffik().is_disabled() || !self.applies(definition, parts).await {
            return Ok(Asked::nothing(definition));
        }
        let cost = match cost_now(definition, answers, parts)? {
            Some(cost) => cost,
            None => cost_later(definition, answers, parts).await?,
        };
        if cost == 0 {
            return Ok(Asked::nothing(definition));
        }
        let client = match self.client_now::<T>(definition, answers, parts)? {
            Some(client) => client,
            None => self.client_later::<T, S>(definition, answers, parts, state).await?,
        };
        let asked = self.asked(definition, cost, client);
        let rate = match rate_now(&asked, answers, parts)? {
            Some(rate) => rate,
            None => rate_later(&asked, answers, parts).await?,
        };
        self.at_rate(asked, rate)
    }

    /// Whether the throttle applies to the request, if that is known without waiting.
    #[inline]
    fn applies_now(&self, definition: &Definition, parts: &Parts) -> Option<bool> {
        let here = match self.place() {
            Place::Handler => Some(true),
            Place::Layer(rules) => rules.let_apply_now(definition, self.traffik(), parts),
        };
        match here {
            Some(true) => definition.settings.web.applies.to_now(parts),
            Some(false) => here,
            // What need not be waited for may settle it all the same.
            None => definition.settings.web.applies.to_now(parts).filter(|applies| !applies),
        }
    }

    async fn applies(&self, definition: &Definition, parts: &Parts) -> bool {
        if let Some(applies) = self.applies_now(definition, parts) {
            return applies;
        }
        let here = match self.place() {
            Place::Handler => true,
            Place::Layer(rules) => rules.let_apply(definition, parts).await,
        };
        here && definition.settings.web.applies.to(parts).await
    }

    fn client_now<T: Throttle>(
        &self,
        definition: &Definition,
        answers: &mut impl Answers,
        parts: &Parts,
    ) -> Now<Client> {
        let source = identity::source::<T>(definition);
        if let Some(client) = answers.client(source) {
            return Ok(Some(client));
        }
        let Some(client) = identity::identify_now::<T>(definition, self.traffik(), parts) else { return Ok(None) };
        let client = self.traffik().counted_as(client?);
        answers.keep_client(source, &client);
        Ok(Some(client))
    }

    async fn client_later<T, S>(
        &self,
        definition: &Definition,
        answers: &mut impl Answers,
        parts: &mut Parts,
        state: &S,
    ) -> Result<Client, ThrottleRejection>
    where
        T: Throttle<Identity: FromRequestParts<S> + Into<Client>>,
        S: Sync,
    {
        let client = self.traffik().counted_as(identity::identify::<T, S>(definition, parts, state).await?);
        answers.keep_client(identity::source::<T>(definition), &client);
        Ok(client)
    }

    fn asked<'a>(&self, definition: &'a Arc<Definition>, cost: u64, client: Client) -> Asked<'a> {
        let charged_before = self.charged_before(definition, &client);
        Asked { cost, charged_before, ..Asked::new(definition, client) }
    }

    fn at_rate<'a>(&self, asked: Asked<'a>, rate: Rate) -> Result<Asked<'a>, ThrottleRejection> {
        if rate == asked.rate {
            return Ok(asked);
        }
        match asked.at_rate(rate) {
            Ok(asked) => Ok(asked),
            Err(error) => Err(Misconfigured::by_a_request(error, self.traffik()).into()),
        }
    }
}

fn cost_now(definition: &Definition, answers: &mut impl Answers, parts: &Parts) -> Now<u64> {
    let Some(function) = &definition.settings.web.cost else { return Ok(Some(definition.settings.cost)) };
    if let Some(cost) = answers.cost(function.source()) {
        return Ok(Some(cost));
    }
    let Some(cost) = function.ask_now(parts) else { return Ok(None) };
    let cost = cost::answered(cost)?;
    answers.keep_cost(function.source(), cost);
    Ok(Some(cost))
}

async fn cost_later(
    definition: &Definition,
    answers: &mut impl Answers,
    parts: &Parts,
) -> Result<u64, ThrottleRejection> {
    let Some(function) = &definition.settings.web.cost else { return Ok(definition.settings.cost) };
    let cost = cost::answered(function.ask(parts).await)?;
    answers.keep_cost(function.source(), cost);
    Ok(cost)
}

/// The function is not asked about what is not counted at any rate.
fn rate_now(asked: &Asked<'_>, answers: &mut impl Answers, parts: &Parts) -> Now<Rate> {
    let function = match &asked.definition.settings.web.rate {
        Some(function) if asked.is_counted_at_some_rate() => function,
        _ => return Ok(Some(asked.rate)),
    };
    if let Some(rate) = answers.rate(function.source(), &asked.client) {
        return Ok(Some(rate));
    }
    let Some(rate) = function.ask_now(parts, &asked.client) else { return Ok(None) };
    let rate = rate?;
    answers.keep_rate(function.source(), &asked.client, rate);
    Ok(Some(rate))
}

async fn rate_later(asked: &Asked<'_>, answers: &mut impl Answers, parts: &Parts) -> Result<Rate, ThrottleRejection> {
    let Some(function) = &asked.definition.settings.web.rate else { return Ok(asked.rate) };
    let rate = function.ask(parts, &asked.client).await?;
    answers.keep_rate(function.source(), &asked.client, rate);
    Ok(rate)
}
