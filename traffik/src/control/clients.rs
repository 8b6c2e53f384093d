//! Changes for single clients.

use std::{sync::Arc, time::Duration};

use traffik_core::{
    client::{Client, Key},
    clock::Timestamp,
    rate::Rate,
};

use super::{LimitHandle, Source, Until};
use crate::{
    limit::{
        ConfigError,
        changes::{Block, ClientChange, ClientMap, Lasting},
    },
    observe::ClientDigest,
};

impl LimitHandle {
    /// The highest number of clients with local changes in an app: 10 000.
    pub const MAX_CLIENTS: usize = ClientMap::MAX;

    /// Refuses all requests of a client until then, without asking the backend.
    ///
    /// The refusal is the same as at the limit, and its `retry_after` is the time until the end of the block. Nothing is charged.
    /// A block holds even if the limit is [disabled](Self::disable), and while the client is [exempt](Self::exempt). No response
    /// shows the `reason`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik, control::Until};
    ///
    /// struct Api;
    ///
    /// impl Throttle for Api {
    ///     const UID: &'static str = "block:api";
    ///     const RATE: Rate = Rate::literal("100/min");
    ///     type Identity = DefaultIdentity;
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp")).register::<Api>().build()?;
    /// let api = traffik.limit("block:api")?;
    ///
    /// api.block("mallory", Duration::from_secs(60), "scrapes")?;
    /// assert!(traffik.limiter::<Api>("mallory").check().await.is_err());
    ///
    /// assert!(api.unblock("mallory"));
    /// assert!(traffik.limiter::<Api>("mallory").check().await.is_ok());
    ///
    /// api.block("eve", Until::Removed, "unpaid")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The client is the one that the throttle's identity returns. An IPv6 address counts by
    /// [network](crate::TraffikBuilder::ipv6_prefix).
    ///
    /// # Errors
    ///
    /// Returns an error if the client is exempt by its identity, or if [`MAX_CLIENTS`](Self::MAX_CLIENTS) clients have changes.
    pub fn block(
        &self,
        client: impl Into<Client>,
        until: impl Into<Until>,
        reason: impl Into<Box<str>>,
    ) -> Result<(), ConfigError> {
        let block = Arc::new(Block { until: self.end(until), reason: reason.into() });
        self.change_client(client, |client| client.block = Some(block))
    }

    /// Removes the local block of a client. Returns `true` if there was one.
    pub fn unblock(&self, client: impl Into<Client>) -> bool {
        self.remove(client, |client| client.block.take().is_some())
    }

    /// Counts no request of a client until then.
    ///
    /// # Errors
    ///
    /// Returns an error if the client is exempt by its identity, or if [`MAX_CLIENTS`](Self::MAX_CLIENTS) clients have changes.
    pub fn exempt(&self, client: impl Into<Client>, until: impl Into<Until>) -> Result<(), ConfigError> {
        let exempt = Lasting { value: (), until: self.end(until) };
        self.change_client(client, |client| client.exempt = Some(exempt))
    }

    /// Removes the local exemption of a client. Returns `true` if there was one.
    pub fn end_exemption(&self, client: impl Into<Client>) -> bool {
        self.remove(client, |client| client.exempt.take().is_some())
    }

    /// Sets the rate of a client until then, in place of every other rate. What was counted stays counted.
    ///
    /// # Errors
    ///
    /// Returns an error if the strategy does not support the rate, if the client is exempt by its identity, or if
    /// [`MAX_CLIENTS`](Self::MAX_CLIENTS) clients have changes.
    pub fn override_rate(
        &self,
        client: impl Into<Client>,
        rate: Rate,
        until: impl Into<Until>,
    ) -> Result<(), ConfigError> {
        self.definition()?.check_changed_rate(rate)?;
        let rate = Lasting { value: rate, until: self.end(until) };
        self.change_client(client, |client| client.rate = Some(rate))
    }

    /// Removes the local rate of a client. Returns `true` if there was one.
    pub fn end_override(&self, client: impl Into<Client>) -> bool {
        self.remove(client, |client| client.rate.take().is_some())
    }

    /// Returns the clients that have changes, with one entry for each source.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientInfo> {
        self.infos(None)
    }

    /// Returns the changes of one client, with one entry for each source.
    #[cfg(feature = "admin")]
    pub(crate) fn client(&self, client: &Client) -> Vec<ClientInfo> {
        self.key(client.clone()).map(|key| self.infos(Some(&key))).unwrap_or_default()
    }

    /// Returns the digest of a client in logs. `None` if it is exempt.
    #[cfg(feature = "admin")]
    pub(crate) fn digest(&self, client: &Client) -> Option<String> {
        self.key(client.clone()).ok().map(|key| self.traffik.table().observers().refusals.digest.of(&key))
    }

    /// Returns the changes of one client, or of all.
    fn infos(&self, only: Option<&Key>) -> Vec<ClientInfo> {
        let (live, now) = (self.traffik.changes().latest(), self.traffik.clock().now());
        let clients = &live.of(self.uid()).clients;
        let digest = self.traffik.table().observers().refusals.digest;
        let sources =
            [(Source::Local, &clients.local), (Source::Shared, &clients.shared), (Source::File, &clients.file)];
        let of = |(source, clients): (Source, &ClientMap)| -> Vec<_> {
            let info = |(key, change): (&Key, &ClientChange)| ClientInfo::new(source, key, change, now, digest);
            match only {
                Some(key) => clients.get(key).and_then(|change| info((key, change))).into_iter().collect(),
                None => clients.iter().filter_map(info).collect(),
            }
        };
        sources.into_iter().flat_map(of).collect()
    }

    fn end(&self, until: impl Into<Until>) -> Option<Timestamp> {
        until.into().end(self.traffik.clock())
    }

    pub(super) fn key(&self, client: impl Into<Client>) -> Result<Key, ConfigError> {
        let client = self.traffik.counted_as(client.into());
        client.key().cloned().ok_or_else(|| ConfigError::ExemptClient { uid: self.uid().into() })
    }

    fn change_client(
        &self,
        client: impl Into<Client>,
        change: impl FnOnce(&mut ClientChange),
    ) -> Result<(), ConfigError> {
        self.definition()?;
        let (key, uid, now) = (self.key(client)?, self.uid(), self.traffik.clock().now());
        self.try_change(|live| {
            let is_full = live.is_full(now);
            let clients = &mut live.of_mut(uid).clients.local;
            if is_full && clients.get(&key).is_none() {
                return Err(ConfigError::TooManyClients { uid: uid.into(), max: Self::MAX_CLIENTS });
            }
            clients.change(key, change);
            Ok(())
        })
    }

    fn remove(&self, client: impl Into<Client>, remove: impl FnOnce(&mut ClientChange) -> bool) -> bool {
        let Ok(key) = self.key(client) else { return false };
        let now = self.traffik.clock().now();
        self.local(|limit| {
            limit.clients.local.expire(now);
            limit.clients.local.change(key, remove)
        })
    }
}

/// A client that has changes of its own for a limit.
///
/// With the feature `serde` it serializes as an object with the fields `client`, `digest`, `source`, `block`, `exempt`, `rate` and
/// `penalty`. The last four are null, or objects with `ends_in_ms`, which is null without an end, and `reason` or `value`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ClientInfo {
    client: Box<str>,
    digest: Box<str>,
    source: Source,
    block: Option<BlockInfo>,
    exempt: Option<ExemptInfo>,
    rate: Option<RateInfo>,
    penalty: Option<BlockInfo>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
struct BlockInfo {
    reason: Box<str>,
    #[cfg_attr(feature = "serde", serde(rename = "ends_in_ms", serialize_with = "millis"))]
    ends_in: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
struct ExemptInfo {
    #[cfg_attr(feature = "serde", serde(rename = "ends_in_ms", serialize_with = "millis"))]
    ends_in: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
struct RateInfo {
    value: Rate,
    #[cfg_attr(feature = "serde", serde(rename = "ends_in_ms", serialize_with = "millis"))]
    ends_in: Option<Duration>,
}

impl ClientInfo {
    /// Returns `None` if everything has ended.
    fn new(source: Source, key: &Key, change: &ClientChange, now: Timestamp, digest: ClientDigest) -> Option<Self> {
        let change = change.lasting(now);
        let penalty = change.penalty(now).cloned();
        if change.block.is_none() && change.exempt.is_none() && change.rate.is_none() && penalty.is_none() {
            return None;
        }
        let ends_in = |until: Option<Timestamp>| until.map(|until| until.saturating_since(now));
        Some(Self {
            client: format!("{key:?}").into(),
            digest: digest.of(key).into(),
            source,
            block: change.block.map(|block| BlockInfo { reason: block.reason.clone(), ends_in: ends_in(block.until) }),
            exempt: change.exempt.map(|exempt| ExemptInfo { ends_in: ends_in(exempt.until) }),
            rate: change.rate.map(|rate| RateInfo { value: rate.value, ends_in: ends_in(rate.until) }),
            penalty: penalty
                .map(|penalty| BlockInfo { reason: penalty.reason.clone(), ends_in: ends_in(penalty.until) }),
        })
    }

    /// Returns the client as logs show it: its parts with `/` between them, or `[secret]`.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// Returns the digest of the client, as in the [log of refusals](crate::TraffikBuilder::log_secret).
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the source of the changes.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Returns the reason of the block, if the client is blocked.
    #[must_use]
    pub fn block_reason(&self) -> Option<&str> {
        self.block.as_ref().map(|block| &*block.reason)
    }

    /// Returns how long the client stays blocked. `None` if it is not blocked, or if the block has no end.
    #[must_use]
    pub fn block_ends_in(&self) -> Option<Duration> {
        self.block.as_ref()?.ends_in
    }

    /// Returns how long the [penalty](crate::Settings::penalty) of the client lasts. `None` if it has none.
    #[must_use]
    pub fn penalty_ends_in(&self) -> Option<Duration> {
        self.penalty.as_ref()?.ends_in
    }

    /// Returns `true` if the client is exempt.
    #[must_use]
    pub fn is_exempt(&self) -> bool {
        self.exempt.is_some()
    }

    /// Returns how long the client stays exempt. `None` if it is not exempt, or if the exemption has no end.
    #[must_use]
    pub fn exemption_ends_in(&self) -> Option<Duration> {
        self.exempt.as_ref()?.ends_in
    }

    /// Returns the rate of the client, if it has its own.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.rate.as_ref().map(|rate| rate.value)
    }

    /// Returns how long the client has its rate. `None` if it has none, or if the rate has no end.
    #[must_use]
    pub fn rate_ends_in(&self) -> Option<Duration> {
        self.rate.as_ref()?.ends_in
    }
}

#[cfg(feature = "serde")]
#[expect(clippy::ref_option, reason = "as serde calls it")]
fn millis<S: serde::Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    let millis = time.map(|time| u64::try_from(time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
    serde::Serialize::serialize(&millis, serializer)
}
