//! The command line.

use std::error::Error;

pub(crate) struct Options {
    /// The address of Redis.
    pub(crate) redis: String,
    /// The URL to call.
    pub(crate) url: String,
    pub(crate) calls: u32,
}

impl Options {
    /// Reads the arguments. The address of Redis is the environment's.
    pub(crate) fn read(args: impl IntoIterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let redis = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://localhost:6379/0".to_owned());
        let (mut url, mut calls) = (None, 40);
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--calls" => calls = args.next().ok_or("`--calls` needs a number")?.parse()?,
                option if option.starts_with('-') => return Err(format!("unknown argument `{option}`: {USAGE}").into()),
                _ => url = Some(arg),
            }
        }
        Ok(Self { redis, url: url.ok_or(USAGE)?, calls })
    }
}

const USAGE: &str = "give the URL to call, and `--calls <number>`, or `--demo` alone";
