//! The command line.

use std::{
    error::Error,
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    time::Duration,
};

use traffik_redis::RedisBackendBuilder;

pub(crate) struct Options {
    /// The address of Redis.
    pub(crate) redis: String,
    pub(crate) port: u16,
    /// The limits file.
    pub(crate) limits: Option<PathBuf>,
    /// The token of the operator.
    pub(crate) token: String,
    pub(crate) command_timeout: Duration,
}

impl Options {
    /// Reads the arguments. The address of Redis and the token default to the environment's.
    pub(crate) fn read(args: impl IntoIterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            redis: std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://localhost:6379/0".to_owned()),
            port: 3000,
            limits: None,
            token: std::env::var("ADMIN_TOKEN").unwrap_or_else(|_| random_token()),
            command_timeout: RedisBackendBuilder::DEFAULT_COMMAND_TIMEOUT,
        };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("`{arg}` needs a value"));
            match arg.as_str() {
                "--port" => options.port = value()?.parse()?,
                "--limits" => options.limits = Some(value()?.into()),
                "--timeout" => options.command_timeout = Duration::from_millis(value()?.parse()?),
                option if option.starts_with('-') => return Err(unknown(option)),
                _ => options.redis = arg,
            }
        }
        Ok(options)
    }
}

/// Returns a token that nobody else knows. A real app takes its token from where it keeps secrets.
fn random_token() -> String {
    let random = || RandomState::new().hash_one(());
    format!("{:016x}{:016x}", random(), random())
}

fn unknown(option: &str) -> Box<dyn Error> {
    format!(
        "unknown argument `{option}`: give the address of a Redis server, `--port <number>`, `--limits <file>`, `--timeout \
         <milliseconds>` for a call to Redis, or `--demo` alone"
    )
    .into()
}
