//! Changes for single clients.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use traffik_core::{
    client::{Client, Key, KeyTextError},
    rate::Rate,
};

use super::{
    Admin, Operator,
    endpoint::{Answer, Body, Changer, Entry, Named, NamedInBackend, Problem, Scope},
};
use crate::{
    control::{ClientInfo, LimitHandle, Source, Until},
    engine::{Error, Limit},
    limit::written::{Moment, Time},
};

/// A client, as a limits file writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct ClientText(Client);

impl TryFrom<String> for ClientText {
    type Error = KeyTextError;

    fn try_from(text: String) -> Result<Self, KeyTextError> {
        text.parse::<Key>().map(|key| Self(key.into()))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientBody {
    client: ClientText,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockBody {
    client: ClientText,
    #[serde(rename = "for")]
    time: Option<Time>,
    until: Option<Moment>,
    #[serde(default)]
    reason: Box<str>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExemptBody {
    client: ClientText,
    #[serde(rename = "for")]
    time: Option<Time>,
    until: Option<Moment>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OverrideBody {
    client: ClientText,
    rate: Rate,
    #[serde(rename = "for")]
    time: Option<Time>,
    until: Option<Moment>,
}

/// The changes for a client after one was made.
#[derive(Debug, Serialize)]
pub(super) struct ChangedClient {
    scope: Scope,
    outlives_restart: bool,
    uid: Box<str>,
    clients: Vec<ClientInfo>,
}

/// How a client stands.
#[derive(Debug, Serialize)]
pub(super) struct Peeked {
    limit: Option<Limit>,
    clients: Vec<ClientInfo>,
}

pub(super) async fn block(
    State(admin): State<Arc<Admin>>,
    Changer(operator): Changer,
    scope: Scope,
    Named(limit): Named,
    Body(body): Body<BlockBody>,
) -> Answer<ChangedClient> {
    let (until, value) = admin.end(body.time, body.until)?;
    let change = ClientChanging::new(operator, scope, limit, body.client, Kind::Block, value);
    let client = change.client.clone();
    let changed = match scope {
        Scope::Local => change.limit.block(client, until, body.reason).map_err(Error::from),
        Scope::Shared => change.limit.shared().block(client, until, body.reason).await,
    };
    change.finish(changed)
}

pub(super) async fn exempt(
    State(admin): State<Arc<Admin>>,
    Changer(operator): Changer,
    scope: Scope,
    Named(limit): Named,
    Body(body): Body<ExemptBody>,
) -> Answer<ChangedClient> {
    let (until, value) = admin.end(body.time, body.until)?;
    let change = ClientChanging::new(operator, scope, limit, body.client, Kind::Exempt, value);
    let client = change.client.clone();
    let changed = match scope {
        Scope::Local => change.limit.exempt(client, until).map_err(Error::from),
        Scope::Shared => change.limit.shared().exempt(client, until).await,
    };
    change.finish(changed)
}

pub(super) async fn override_rate(
    State(admin): State<Arc<Admin>>,
    Changer(operator): Changer,
    scope: Scope,
    Named(limit): Named,
    Body(body): Body<OverrideBody>,
) -> Answer<ChangedClient> {
    let (until, value) = admin.end(body.time, body.until)?;
    let value = format!("{}, {value}", body.rate);
    let change = ClientChanging::new(operator, scope, limit, body.client, Kind::Override, value);
    let client = change.client.clone();
    let changed = match scope {
        Scope::Local => change.limit.override_rate(client, body.rate, until).map_err(Error::from),
        Scope::Shared => change.limit.shared().override_rate(client, body.rate, until).await,
    };
    change.finish(changed)
}

pub(super) async fn unblock(
    changer: Changer,
    scope: Scope,
    limit: Named,
    body: Body<ClientBody>,
) -> Answer<ChangedClient> {
    end_of(Kind::Block, changer, scope, limit, body).await
}

pub(super) async fn end_exemption(
    changer: Changer,
    scope: Scope,
    limit: Named,
    body: Body<ClientBody>,
) -> Answer<ChangedClient> {
    end_of(Kind::Exempt, changer, scope, limit, body).await
}

pub(super) async fn end_override(
    changer: Changer,
    scope: Scope,
    limit: Named,
    body: Body<ClientBody>,
) -> Answer<ChangedClient> {
    end_of(Kind::Override, changer, scope, limit, body).await
}

async fn end_of(
    kind: Kind,
    Changer(operator): Changer,
    scope: Scope,
    Named(limit): Named,
    Body(body): Body<ClientBody>,
) -> Answer<ChangedClient> {
    let change = ClientChanging::new(operator, scope, limit, body.client, kind, "removed".to_owned());
    let (limit, client) = (&change.limit, change.client.clone());
    let changed = match scope {
        Scope::Local => {
            match kind {
                Kind::Block => limit.unblock(client),
                Kind::Exempt => limit.end_exemption(client),
                Kind::Override => limit.end_override(client),
            };
            Ok(())
        }
        Scope::Shared => match kind {
            Kind::Block => limit.shared().unblock(client).await,
            Kind::Exempt => limit.shared().end_exemption(client).await,
            Kind::Override => limit.shared().end_override(client).await,
        },
    };
    change.finish(changed)
}

pub(super) async fn reset(
    Changer(operator): Changer,
    NamedInBackend(limit): NamedInBackend,
    Body(body): Body<ClientBody>,
) -> Answer<Peeked> {
    let ClientText(client) = body.client;
    let changed = limit.reset(client.clone()).await;
    let digest = limit.digest(&client);
    let entry = Entry::new(&operator, "reset", "fresh");
    Entry { uid: Some(limit.uid()), client: digest.as_deref(), ..entry }.log(&changed);
    changed?;
    // The change was made, also if the limit cannot be shown.
    let clients = limit.client(&client);
    let shown = limit.peek(client).await.ok();
    Ok(Json(Peeked { limit: shown.and_then(|limits| limits.iter().next().cloned()), clients }))
}

pub(super) async fn peek(NamedInBackend(limit): NamedInBackend, Body(body): Body<ClientBody>) -> Answer<Peeked> {
    peeked(&limit, body.client.0).await
}

async fn peeked(limit: &LimitHandle, client: Client) -> Answer<Peeked> {
    let clients = limit.client(&client);
    let limits = limit.peek(client).await?;
    Ok(Json(Peeked { limit: limits.iter().next().cloned(), clients }))
}

impl Admin {
    /// Returns the end of a change, and its text for the log.
    pub(super) fn end(&self, time: Option<Time>, until: Option<Moment>) -> Result<(Until, String), Problem> {
        let (until, text) = match (time, until) {
            (None, None) => (Until::Removed, "until removed".to_owned()),
            (Some(time), None) => (Until::After(time.0), format!("for {time}")),
            (None, Some(Moment(until))) => (Until::At(until), format!("until {}", humantime::format_rfc3339(until))),
            (Some(_), Some(_)) => {
                return Err(Problem::invalid("the change has two ends: set either `for` or `until`"));
            }
        };
        let clock = self.traffik.clock();
        if until.end(clock).is_some_and(|end| end <= clock.now()) {
            return Err(Problem::invalid(format!("the change lasts {text}, so it has ended already: set a later end")));
        }
        Ok((until, text))
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Block,
    Exempt,
    Override,
}

/// A change for a client that an operator makes.
struct ClientChanging {
    operator: Operator,
    scope: Scope,
    limit: LimitHandle,
    client: Client,
    kind: Kind,
    value: String,
    before: String,
}

impl ClientChanging {
    fn new(
        operator: Operator,
        scope: Scope,
        limit: LimitHandle,
        ClientText(client): ClientText,
        kind: Kind,
        value: String,
    ) -> Self {
        let before = kind.shown(&limit.client(&client), scope);
        Self { operator, scope, limit, client, kind, value, before }
    }

    /// Logs the change, and returns those of the client as they are now.
    fn finish(self, changed: Result<(), Error>) -> Answer<ChangedClient> {
        let (clients, digest) = (self.limit.client(&self.client), self.limit.digest(&self.client));
        let to = self.kind.shown(&clients, self.scope);
        let entry = Entry {
            scope: Some(self.scope),
            uid: Some(self.limit.uid()),
            client: digest.as_deref(),
            from: Some(&self.before),
            to: Some(&to),
            ..Entry::new(&self.operator, self.kind.as_str(), &self.value)
        };
        entry.log(&changed);
        changed?;
        let outlives_restart = self.scope == Scope::Shared && self.limit.shared().outlives_restart();
        Ok(Json(ChangedClient { scope: self.scope, outlives_restart, uid: self.limit.uid().into(), clients }))
    }
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Exempt => "exempt",
            Self::Override => "override",
        }
    }

    /// Returns what a client has of this kind and scope.
    fn shown(self, clients: &[ClientInfo], scope: Scope) -> String {
        let source = if scope == Scope::Local { Source::Local } else { Source::Shared };
        let client = clients.iter().find(|client| client.source() == source);
        let ends = match (self, client) {
            (Self::Block, Some(client)) => client.block_reason().map(|_| client.block_ends_in()),
            (Self::Exempt, Some(client)) => client.is_exempt().then(|| client.exemption_ends_in()),
            (Self::Override, Some(client)) => client.rate().map(|_| client.rate_ends_in()),
            (_, None) => None,
        };
        let end = match ends {
            None => return "none".to_owned(),
            Some(None) => "until removed".to_owned(),
            Some(Some(time)) => format!("for {}", humantime::format_duration(time)),
        };
        match client.and_then(ClientInfo::rate) {
            Some(rate) if matches!(self, Self::Override) => format!("{rate}, {end}"),
            _ => end,
        }
    }
}
