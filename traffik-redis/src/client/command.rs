//! What is sent to a server and what it answers, independent of the client library.

use std::sync::atomic::{AtomicUsize, Ordering};

use fred::{bytes::Bytes, types::Resp3Frame, util::sha1_hash};
use traffik_core::clock::Timestamp;

use super::UnexpectedReply;

/// A command in the form that both client libraries send.
#[derive(Clone)]
pub(super) struct Command {
    pub(super) name: &'static str,
    /// The slot of its keys in a cluster.
    pub(super) slot: u16,
    pub(super) words: Vec<Bytes>,
    /// Sent after `ASKING` in one message, so that the server accepts a slot that it does not own yet.
    pub(super) is_asking: bool,
}

impl Command {
    pub(super) fn new(name: &'static str, slot: u16) -> Self {
        Self { name, slot, words: Vec::new(), is_asking: false }
    }

    pub(super) fn arg(self, word: impl AsRef<[u8]>) -> Self {
        self.args([word])
    }

    pub(super) fn args(mut self, words: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        self.words.extend(words.into_iter().map(|word| Bytes::copy_from_slice(word.as_ref())));
        self
    }
}

/// A Lua script, and the digest that Redis finds it by once it is loaded.
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) sha: String,
}

impl Script {
    pub(crate) fn new(text: String) -> Self {
        Self { sha: sha1_hash(&text), text }
    }
}

/// Counts the calls handed to a client library that may run. Calls that the server rejected are not counted.
#[derive(Debug, Default)]
pub(crate) struct Sent(AtomicUsize);

impl Sent {
    pub(crate) fn may_run(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Removes a call that certainly did not run.
    pub(super) fn take_back(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The reply of a server, independent of the client library.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Nothing,
    Integer(i64),
    Bytes(Bytes),
    Items(Vec<Self>),
    /// An error, alone or as an item of a list.
    Error(String),
}

impl Reply {
    pub(crate) fn into_items(self) -> Option<Vec<Self>> {
        if let Self::Items(items) = self { Some(items) } else { None }
    }

    /// Splits the list of a script into the time, which comes first, and the rest.
    pub(crate) fn timed(self) -> Result<(Timestamp, impl Iterator<Item = Self>), UnexpectedReply> {
        let mut items = self.into_items().ok_or(UnexpectedReply("no list"))?.into_iter();
        let at = items.next().and_then(|now| now.integer()).ok_or(UnexpectedReply("no time"))?;
        Ok((Timestamp::from_micros(at), items))
    }

    pub(crate) fn integer(&self) -> Option<u64> {
        if let Self::Integer(number) = self { u64::try_from(*number).ok() } else { None }
    }

    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    pub(crate) fn text(&self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

impl From<Resp3Frame> for Reply {
    fn from(frame: Resp3Frame) -> Self {
        match frame {
            Resp3Frame::Number { data, .. } => Self::Integer(data),
            Resp3Frame::BlobString { data, .. }
            | Resp3Frame::SimpleString { data, .. }
            | Resp3Frame::VerbatimString { data, .. } => Self::Bytes(data),
            Resp3Frame::Array { data, .. } => Self::Items(data.into_iter().map(Self::from).collect()),
            Resp3Frame::SimpleError { data, .. } => Self::Error(data.to_string()),
            Resp3Frame::BlobError { data, .. } => Self::Error(String::from_utf8_lossy(&data).into_owned()),
            // No command of this crate has another kind of reply.
            _ => Self::Nothing,
        }
    }
}
