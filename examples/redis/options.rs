//! The command line.

use std::{error::Error, str::FromStr, time::Duration};

use traffik_redis::RedisBackendBuilder;

pub(crate) struct Options {
    /// The address of Redis.
    pub(crate) redis: String,
    pub(crate) port: u16,
    pub(crate) command_timeout: Duration,
}

impl Options {
    /// Reads the arguments. The address of Redis defaults to the environment's, and the rest to the usual values.
    pub(crate) fn read(args: impl IntoIterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            redis: std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://localhost:6379/0".to_owned()),
            port: 3000,
            command_timeout: RedisBackendBuilder::DEFAULT_COMMAND_TIMEOUT,
        };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--port" => options.port = number(&arg, args.next())?,
                "--timeout" => options.command_timeout = Duration::from_millis(number(&arg, args.next())?),
                option if option.starts_with('-') => return Err(unknown(option)),
                _ => options.redis = arg,
            }
        }
        Ok(options)
    }
}

fn number<T: FromStr>(option: &str, value: Option<String>) -> Result<T, Box<dyn Error>> {
    let number = value.and_then(|value| value.parse().ok());
    number.ok_or_else(|| format!("`{option}` needs a number").into())
}

fn unknown(option: &str) -> Box<dyn Error> {
    format!(
        "unknown argument `{option}`: give the address of a Redis server, `--port <number>`, `--timeout <milliseconds>` for a \
         call to Redis, or `--demo` alone"
    )
    .into()
}
