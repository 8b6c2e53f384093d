use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use fred::{
    clients::Client,
    interfaces::{ClientLike, KeysInterface},
    types::{Builder, ClusterHash, CustomCommand, Value, config::Config},
    util::sha1_hash,
};
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    decision::{Hit, LimitId},
    strategy::{AnyStrategy, FixedWindow, Gcra, SlidingWindowCounter, TokenBucket},
};
use traffik_redis::RedisBackend;

use crate::{Result, SIDES, server::Server};

const KEYS: usize = 10_000;

const SCRIPT: &str = include_str!("gcra.lua");

pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) call: Arc<dyn Call>,
}

/// A call about a client, which is selected by a number.
pub(crate) trait Call: Send + Sync {
    fn call(&self, client: usize) -> Pin<Box<dyn Future<Output = Result> + Send + '_>>;
}

impl<F, R> Call for F
where
    F: Fn(usize) -> R + Send + Sync,
    R: Future<Output = Result> + Send + 'static,
{
    fn call(&self, client: usize) -> Pin<Box<dyn Future<Output = Result> + Send + '_>> {
        Box::pin(self(client))
    }
}

pub(crate) async fn all(server: &Server) -> Result<[Side; SIDES]> {
    let client = plain(server).await?;
    let keys: Arc<[String]> = (0..KEYS).map(|n| format!("plain:{n}")).collect();
    let sha = sha1_hash(SCRIPT);
    let _: Value =
        client.custom(CustomCommand::new_static("SCRIPT", ClusterHash::Random, false), vec!["LOAD", SCRIPT]).await?;

    let asks = |limits: Limits, max_age: Duration| Asks::side(server, limits, max_age);
    let never = Duration::ZERO;
    let (one, two) = ([FixedWindow.into()], [FixedWindow.into(), SlidingWindowCounter.into()]);
    Ok([
        Side {
            name: "INCR",
            call: Arc::new(with(&client, &keys, |client, key| async move {
                let _: i64 = client.incr(key).await?;
                Ok(())
            })),
        },
        Side {
            name: "GET",
            call: Arc::new(with(&client, &keys, |client, key| async move {
                let _: Option<String> = client.get(key).await?;
                Ok(())
            })),
        },
        Side {
            name: "GCRA by hand",
            call: Arc::new(with(&client, &keys, move |client, key| {
                let sha = sha.clone();
                async move {
                    let slot = ClusterHash::FirstKey;
                    let words = vec![sha, "1".into(), format!("gcra:{key}"), "0.000001".into(), "1000".into()];
                    let _: Value = client.custom(CustomCommand::new_static("EVALSHA", slot, false), words).await?;
                    Ok(())
                }
            })),
        },
        asks(Limits::new("FixedWindow", &one, HIGH), never).await?,
        asks(Limits::new("SlidingWindowCounter", &[SlidingWindowCounter.into()], HIGH), never).await?,
        asks(Limits::new("TokenBucket", &[TokenBucket::new().into()], HIGH), never).await?,
        asks(Limits::new("Gcra", &[Gcra::new().into()], HIGH), never).await?,
        asks(Limits::new("two limits", &two, HIGH), never).await?,
        asks(Limits::new("one limit, one client", &one, HIGH).of(1), never).await?,
        asks(Limits::new("refused by Redis", &one, LOW), never).await?,
        asks(Limits::new("refused here, a hundred clients", &one, LOW).of(100), Duration::from_secs(1)).await?,
    ])
}

const HIGH: Rate = Rate::literal("1000000000/h");
const LOW: Rate = Rate::literal("1/30d");

async fn plain(server: &Server) -> Result<Client> {
    let client = Builder::from_config(Config::from_url(&server.url())?)
        .with_connection_config(|connection| connection.tcp.nodelay = Some(true))
        .build()?;
    client.init().await?;
    Ok(client)
}

/// Creates a call of the client library.
fn with<F, R>(client: &Client, keys: &Arc<[String]>, call: F) -> impl Fn(usize) -> R + use<F, R>
where
    F: Fn(Client, String) -> R,
{
    let (client, keys) = (client.clone(), Arc::clone(keys));
    move |n| call(client.clone(), keys.get(n % keys.len()).cloned().unwrap_or_default())
}

struct Limits {
    name: &'static str,
    strategies: Vec<AnyStrategy>,
    rate: Rate,
    clients: usize,
}

impl Limits {
    fn new(name: &'static str, strategies: &[AnyStrategy], rate: Rate) -> Self {
        Self { name, strategies: strategies.to_vec(), rate, clients: KEYS }
    }

    fn of(self, clients: usize) -> Self {
        Self { clients, ..self }
    }
}

struct Asks {
    backend: RedisBackend,
    limits: Limits,
    ids: Vec<LimitId>,
    keys: Vec<Key>,
}

impl Asks {
    async fn side(server: &Server, limits: Limits, max_age: Duration) -> Result<Side> {
        let backend = RedisBackend::builder(server.url())
            .namespace("bench")
            .command_timeout(Duration::from_secs(10))
            .refusal_max_age(max_age)
            .connect()
            .await?;
        let name = limits.name;
        let id = |(n, strategy): (usize, &AnyStrategy)| LimitId::new(format!("{name}:{n}"), strategy.clone());
        let ids = limits.strategies.iter().enumerate().map(id).collect();
        let keys = (0..limits.clients).map(|n| Key::from(format!("client-{n}"))).collect();
        Ok(Side { name, call: Arc::new(Self { backend, limits, ids, keys }) })
    }
}

impl Call for Asks {
    fn call(&self, client: usize) -> Pin<Box<dyn Future<Output = Result> + Send + '_>> {
        Box::pin(async move {
            let key = self.keys.get(client % self.keys.len()).ok_or("no clients")?;
            let hits: Vec<_> = self.ids.iter().map(|id| Hit::new(id, key, self.limits.rate, 1)).collect();
            self.backend.decide(&hits).await?;
            Ok(())
        })
    }
}
