//! Changes for single clients.

use std::sync::Arc;

use traffik_core::{
    client::{Client, Key},
    clock::Timestamp,
    rate::Rate,
};

use super::SharedLimit;
use crate::{
    control::{LimitHandle, Until},
    engine::Error,
    limit::{
        ConfigError,
        changes::{ClientSetting, Name, SharedValue},
    },
    store::Store,
};

impl SharedLimit {
    /// Refuses all requests of a client until then: see [`LimitHandle::block`]. All processes end it by the time of day.
    ///
    /// The backend stores the client as a text, so a [secret](Client::secret) client cannot be shared.
    ///
    /// # Errors
    ///
    /// Returns an error if the client is secret or exempt by its identity, if [`MAX_CLIENTS`](LimitHandle::MAX_CLIENTS) clients
    /// have shared changes, or if the backend does not answer.
    pub async fn block(
        &self,
        client: impl Into<Client>,
        until: impl Into<Until>,
        reason: impl Into<Box<str>>,
    ) -> Result<(), Error> {
        let value = SharedValue::Block(self.end(until), reason.into());
        self.set_client(ClientSetting::Block, client.into(), Some(&value)).await
    }

    /// Removes the shared block of a client.
    ///
    /// # Errors
    ///
    /// Returns an error if the client is secret or exempt by its identity, or if the backend does not answer.
    pub async fn unblock(&self, client: impl Into<Client>) -> Result<(), Error> {
        self.set_client(ClientSetting::Block, client.into(), None).await
    }

    /// Counts no request of a client until then: see [`LimitHandle::exempt`].
    ///
    /// # Errors
    ///
    /// The same as [`block`](Self::block).
    pub async fn exempt(&self, client: impl Into<Client>, until: impl Into<Until>) -> Result<(), Error> {
        self.set_client(ClientSetting::Exempt, client.into(), Some(&SharedValue::Exempt(self.end(until)))).await
    }

    /// Removes the shared exemption of a client.
    ///
    /// # Errors
    ///
    /// The same as [`unblock`](Self::unblock).
    pub async fn end_exemption(&self, client: impl Into<Client>) -> Result<(), Error> {
        self.set_client(ClientSetting::Exempt, client.into(), None).await
    }

    /// Sets the rate of a client until then: see [`LimitHandle::override_rate`].
    ///
    /// # Errors
    ///
    /// The same as [`block`](Self::block), and an error if the strategy does not support the rate.
    pub async fn override_rate(
        &self,
        client: impl Into<Client>,
        rate: Rate,
        until: impl Into<Until>,
    ) -> Result<(), Error> {
        self.limit.definition()?.check_changed_rate(rate)?;
        let value = SharedValue::ClientRate(self.end(until), rate);
        self.set_client(ClientSetting::Rate, client.into(), Some(&value)).await
    }

    /// Removes the shared rate of a client.
    ///
    /// # Errors
    ///
    /// The same as [`unblock`](Self::unblock).
    pub async fn end_override(&self, client: impl Into<Client>) -> Result<(), Error> {
        self.set_client(ClientSetting::Rate, client.into(), None).await
    }

    fn end(&self, until: impl Into<Until>) -> Option<Timestamp> {
        let clock = self.limit.traffik.clock();
        let end = until.into().end(clock)?;
        Some(clock.wall_clock().saturating_add(end.saturating_since(clock.now())))
    }

    async fn set_client(
        &self,
        setting: ClientSetting,
        client: Client,
        value: Option<&SharedValue>,
    ) -> Result<(), Error> {
        let key = self.limit.key(client)?;
        if let (Some(store), true) = (self.store()?, value.is_some()) {
            self.limit.traffik.remove_ended(&store).await;
            self.check_room(&store, &key)?;
        }
        self.share(&Name::Client(setting, self.uid(), key), value).await
    }

    fn check_room(&self, store: &Arc<Store>, key: &Key) -> Result<(), ConfigError> {
        let max = LimitHandle::MAX_CLIENTS;
        let is_known =
            |name: &Name<'_>| matches!(name, Name::Client(_, uid, known) if *uid == self.uid() && known == key);
        let of_clients = self.limit.traffik.shared_texts(store, |name| matches!(name, Name::Client(..)));
        let is_new = !of_clients.iter().any(|(name, _)| Name::parse(name).is_some_and(|name| is_known(&name)));
        if is_new && of_clients.len() >= max {
            return Err(ConfigError::TooManyClients { uid: self.uid().into(), max });
        }
        Ok(())
    }
}
