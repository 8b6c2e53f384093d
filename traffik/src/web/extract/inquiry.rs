//! What is asked about a request before a backend is: whether the throttle applies, what it costs, and who the client is.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use smallvec::SmallVec;

use super::meeting::Meeting;
use crate::{
    app::Asked,
    client::Client,
    throttle::{Definition, Throttle},
    web::{
        identity::{self, Source},
        place::Place,
        rejection::ThrottleRejection,
    },
};

/// What was answered about one request for one decision: of several throttles that ask the same, the first does.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Whether any other throttle may ask.
    is_for_several: bool,
    clients: SmallVec<[(Source, Client); 2]>,
}

impl Answers {
    pub(super) fn for_one() -> Self {
        Self::default()
    }

    pub(super) fn for_several() -> Self {
        Self { is_for_several: true, ..Self::default() }
    }

    fn client(&self, source: Source) -> Option<Client> {
        self.clients.iter().find(|(known, _)| *known == source).map(|(_, client)| client.clone())
    }

    fn add_client(&mut self, source: Source, client: &Client) {
        if self.is_for_several {
            self.clients.push((source, client.clone()));
        }
    }
}

/// The order in which a throttle asks about a request. It is here twice: as it goes where nothing has to be waited for,
/// which is so for most, and as it goes where something has to be.
impl Meeting {
    /// Whether nothing that the throttle `T` asks has to be waited for.
    pub(super) fn asks_at_once<T: Throttle>(&self) -> bool {
        self.definition::<T>().map_or(true, |definition| {
            self.traffik().is_disabled()
                || (definition.settings.web.applies.is_at_once()
                    && self.place().is_at_once::<T>()
                    && identity::is_at_once::<T>(definition, self.traffik()))
        })
    }

    /// Asks all that is to be asked for the throttle `T`, which [asks at once](Self::asks_at_once).
    pub(super) fn ask_now<T: Throttle>(
        &self,
        answers: &mut Answers,
        parts: &Parts,
    ) -> Result<Option<Asked<'_>>, ThrottleRejection> {
        let definition = self.definition::<T>()?;
        if self.asks_nothing(definition) {
            return Ok(Some(Asked::nothing(definition)));
        }
        match self.applies_now(definition, parts) {
            Some(true) => {}
            Some(false) => return Ok(Some(Asked::nothing(definition))),
            None => return Ok(None),
        }
        let Some(client) = self.client_now::<T>(definition, answers, parts)? else { return Ok(None) };
        Ok(Some(self.asked(definition, client)))
    }

    /// The same for any throttle, however long it takes.
    pub(super) async fn ask<T, S>(
        &self,
        answers: &mut Answers,
        parts: &mut Parts,
        state: &S,
    ) -> Result<Asked<'_>, ThrottleRejection>
    where
        T: Throttle<Identity: FromRequestParts<S> + Into<Client>>,
        S: Sync,
    {
        let definition = self.definition::<T>()?;
        if self.asks_nothing(definition) || !self.applies(definition, parts).await {
            return Ok(Asked::nothing(definition));
        }
        let client = self.client::<T, S>(definition, answers, parts, state).await?;
        Ok(self.asked(definition, client))
    }

    /// Whether the throttle leaves the request alone, whoever makes it.
    fn asks_nothing(&self, definition: &Definition) -> bool {
        definition.settings.cost == 0 || self.traffik().is_disabled()
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
        answers: &mut Answers,
        parts: &Parts,
    ) -> Result<Option<Client>, ThrottleRejection> {
        let source = Source::of::<T>(definition);
        if let Some(client) = answers.client(source) {
            return Ok(Some(client));
        }
        let Some(client) = identity::identify_now::<T>(definition, self.traffik(), parts) else { return Ok(None) };
        let client = self.traffik().counted_as(client?);
        answers.add_client(source, &client);
        Ok(Some(client))
    }

    async fn client<T, S>(
        &self,
        definition: &Definition,
        answers: &mut Answers,
        parts: &mut Parts,
        state: &S,
    ) -> Result<Client, ThrottleRejection>
    where
        T: Throttle<Identity: FromRequestParts<S> + Into<Client>>,
        S: Sync,
    {
        if let Some(client) = self.client_now::<T>(definition, answers, parts)? {
            return Ok(client);
        }
        let client = self.traffik().counted_as(identity::identify::<T, S>(definition, parts, state).await?);
        answers.add_client(Source::of::<T>(definition), &client);
        Ok(client)
    }

    fn asked<'a>(&self, definition: &'a Arc<Definition>, client: Client) -> Asked<'a> {
        let charged_before = self.charged_before(definition, &client);
        Asked { charged_before, ..Asked::new(definition, client) }
    }
}
