//! A minimal Redis client for looking at the server without the backend.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::Result;

pub(crate) struct Raw(BufReader<TcpStream>);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Nothing,
    Integer(i64),
    Bytes(Vec<u8>),
    List(Vec<Self>),
}

impl Raw {
    pub(crate) fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn call(&mut self, words: &[impl AsRef<[u8]>]) -> Result<Reply> {
        let mut message = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            let word = word.as_ref();
            message.extend(format!("${}\r\n", word.len()).bytes());
            message.extend(word);
            message.extend(b"\r\n");
        }
        self.0.get_mut().write_all(&message)?;
        self.read()
    }

    /// Returns all keys, in order.
    pub(crate) fn keys(&mut self) -> Result<Vec<String>> {
        let Reply::List(keys) = self.call(&["KEYS", "*"])? else { return Err("no list of keys".into()) };
        let mut keys: Vec<_> = keys.iter().map(Reply::text).collect();
        keys.sort_unstable();
        Ok(keys)
    }

    /// Returns the keys without an expiry.
    pub(crate) fn keys_without_end(&mut self) -> Result<Vec<String>> {
        const PROGRAM: &str = "
            local found = {}
            for _, key in ipairs(redis.call('KEYS', '*')) do
                if redis.call('PTTL', key) == -1 then
                    found[#found + 1] = key
                end
            end
            return found";
        let Reply::List(keys) = self.call(&["EVAL", PROGRAM, "0"])? else { return Err("no list of keys".into()) };
        Ok(keys.iter().map(Reply::text).collect())
    }

    /// Returns how often each command ran since the last reset, as `(name, calls)`, in order, including commands inside
    /// programs.
    pub(crate) fn commands_run(&mut self) -> Result<Vec<(String, u64)>> {
        let stats = self.call(&["INFO", "commandstats"])?.text();
        let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
        let mut run: Vec<_> = lines
            .filter_map(|(name, rest)| Some((name.to_owned(), rest.split(',').next()?.parse().ok()?)))
            .filter(|(name, _)| !["info", "ping", "config|resetstat"].contains(&name.as_str()))
            .collect();
        run.sort_unstable();
        Ok(run)
    }

    fn read(&mut self) -> Result<Reply> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let (Some(kind), Some(rest)) = (line.get(..1), line.get(1..).map(str::trim_end)) else {
            return Err("the server hung up".into());
        };
        match kind {
            "+" => Ok(Reply::Bytes(rest.as_bytes().to_vec())),
            ":" => Ok(Reply::Integer(rest.parse()?)),
            "$" | "*" if rest == "-1" => Ok(Reply::Nothing),
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>()? + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Ok(Reply::Bytes(bytes))
            }
            "*" => (0..rest.parse::<usize>()?).map(|_| self.read()).collect::<Result<_>>().map(Reply::List),
            _ => Err(rest.into()),
        }
    }
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => format!("{other:?}"),
        }
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }
}
