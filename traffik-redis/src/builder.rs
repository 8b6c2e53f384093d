use std::{fmt, time::Duration};

use crate::{Error, RedisBackend, address, client::Client, keys::Keys};

/// Sets a [`RedisBackend`] up: see [`RedisBackend::builder`].
#[derive(Clone)]
#[must_use]
pub struct RedisBackendBuilder {
    address: String,
    namespace: String,
    secret: Option<Vec<u8>>,
    command_timeout: Duration,
}

impl RedisBackendBuilder {
    /// How long a call may take unless told otherwise.
    pub const DEFAULT_COMMAND_TIMEOUT: Duration = Duration::from_millis(50);

    pub(crate) fn new(address: String) -> Self {
        Self { address, namespace: String::new(), secret: None, command_timeout: Self::DEFAULT_COMMAND_TIMEOUT }
    }

    /// What keeps the limits of this app apart from all others on the same Redis, such as `myapp:prod`. It has to be given.
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), ..self }
    }

    /// The key that secret clients, such as API keys, are digested under before they leave the process.
    ///
    /// It is the same in every process, long, random and known to nobody else: who has it can try out which client a digest
    /// stands for. With another one, clients whose keys are secret or long start fresh. Without one a secret client is an
    /// error.
    pub fn secret(self, secret: impl Into<Vec<u8>>) -> Self {
        Self { secret: Some(secret.into()), ..self }
    }

    /// How long a call to Redis may take before it is an error, 50 ms unless told otherwise. It may still run after that.
    pub fn command_timeout(self, timeout: Duration) -> Self {
        Self { command_timeout: timeout, ..self }
    }

    /// Connects. Once it did, a connection that is lost is made again without end, and until then calls are errors.
    ///
    /// # Errors
    ///
    /// When there is no namespace, when the address is none, and when the server cannot be reached within five seconds or
    /// turns the connection down.
    pub async fn connect(self) -> Result<RedisBackend, Error> {
        let config = address::parse(&self.address)?;
        if self.namespace.is_empty() {
            return Err(Error::NoNamespace);
        }
        let keys = Keys::new(&self.namespace, self.secret.as_deref());
        let client = Client::connect(config, self.command_timeout).await?;
        Ok(RedisBackend::new(self.namespace, keys, client, self.command_timeout))
    }
}

/// Neither the address, which may hold a password, nor the secret.
impl fmt::Debug for RedisBackendBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackendBuilder")
            .field("namespace", &self.namespace)
            .field("command_timeout", &self.command_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_neither_password_nor_secret() {
        let builder = RedisBackend::builder("redis://:hunter2@localhost").namespace("myapp").secret(*b"hunter2");
        let shown = format!("{builder:?}");
        assert!(shown.contains("myapp") && !shown.contains("hunter2"), "{shown}");
    }

    #[tokio::test]
    async fn a_namespace_has_to_be_given() {
        let error = RedisBackend::builder("redis://localhost").connect().await.unwrap_err().to_string();
        assert!(error.contains(".namespace("), "{error}");
    }
}
