//! Changes for single clients.

use axum::Json;
use serde::{Deserialize, Serialize};
use traffik_core::{
    client::{Client, Key, KeyTextError},
    rate::Rate,
};

use super::{
    Admin,
    endpoint::{Answer, Body, Changer, Entry, NamedInBackend, Problem, Scope, Target},
};
use crate::{
    control::{ClientInfo, Source, Until},
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

pub(super) async fn block(target: Target, Body(body): Body<BlockBody>) -> Answer<ChangedClient> {
    let (until, value) = target.admin.end(body.time, body.until)?;
    let change = ClientChanging::new(target, body.client, Kind::Block, value);
    let (limit, client) = (&change.target.limit, change.client.clone());
    let changed = match change.target.scope {
        Scope::Local => limit.block(client, until, body.reason).map_err(Error::from),
        Scope::Shared => limit.shared().block(client, until, body.reason).await,
    };
    change.finish(changed)
}

pub(super) async fn exempt(target: Target, Body(body): Body<ExemptBody>) -> Answer<ChangedClient> {
    let (until, value) = target.admin.end(body.time, body.until)?;
    let change = ClientChanging::new(target, body.client, Kind::Exempt, value);
    let (limit, client) = (&change.target.limit, change.client.clone());
    let changed = match change.target.scope {
        Scope::Local => limit.exempt(client, until).map_err(Error::from),
        Scope::Shared => limit.shared().exempt(client, until).await,
    };
    change.finish(changed)
}

pub(super) async fn override_rate(target: Target, Body(body): Body<OverrideBody>) -> Answer<ChangedClient> {
    let (until, value) = target.admin.end(body.time, body.until)?;
    let value = format!("{}, {value}", body.rate);
    let change = ClientChanging::new(target, body.client, Kind::Override, value);
    let (limit, client) = (&change.target.limit, change.client.clone());
    let changed = match change.target.scope {
        Scope::Local => limit.override_rate(client, body.rate, until).map_err(Error::from),
        Scope::Shared => limit.shared().override_rate(client, body.rate, until).await,
    };
    change.finish(changed)
}

pub(super) async fn unblock(target: Target, body: Body<ClientBody>) -> Answer<ChangedClient> {
    end_of(Kind::Block, target, body).await
}

pub(super) async fn end_exemption(target: Target, body: Body<ClientBody>) -> Answer<ChangedClient> {
    end_of(Kind::Exempt, target, body).await
}

pub(super) async fn end_override(target: Target, body: Body<ClientBody>) -> Answer<ChangedClient> {
    end_of(Kind::Override, target, body).await
}

async fn end_of(kind: Kind, target: Target, Body(body): Body<ClientBody>) -> Answer<ChangedClient> {
    let change = ClientChanging::new(target, body.client, kind, "removed".to_owned());
    let (limit, client) = (&change.target.limit, change.client.clone());
    let changed = match change.target.scope {
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
    Changer { operator, .. }: Changer,
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
    let ClientText(client) = body.client;
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
    target: Target,
    client: Client,
    kind: Kind,
    value: String,
    before: String,
}

impl ClientChanging {
    fn new(target: Target, ClientText(client): ClientText, kind: Kind, value: String) -> Self {
        let before = kind.shown(&target.limit.client(&client), target.scope);
        Self { target, client, kind, value, before }
    }

    /// Logs the change, and returns those of the client as they are now.
    fn finish(self, changed: Result<(), Error>) -> Answer<ChangedClient> {
        let Target { scope, limit, .. } = &self.target;
        let (clients, digest) = (limit.client(&self.client), limit.digest(&self.client));
        let to = self.kind.shown(&clients, *scope);
        let entry = self.target.entry(self.kind.as_str(), &self.value);
        Entry { client: digest.as_deref(), from: Some(&self.before), to: Some(&to), ..entry }.log(&changed);
        changed?;
        let outlives_restart = self.target.outlives_restart();
        Ok(Json(ChangedClient { scope: *scope, outlives_restart, uid: limit.uid().into(), clients }))
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
