use fred::bytes::Bytes;

/// A command in the form that both client libraries send.
#[derive(Clone)]
pub(super) struct Command {
    pub(super) name: &'static str,
    /// The slot of its keys in a cluster.
    pub(super) slot: u16,
    pub(super) words: Vec<Bytes>,
    /// Sent after `ASKING` in one message, so that the server accepts a slot that it does not own yet.
    #[cfg(feature = "cluster")]
    pub(super) is_asking: bool,
}

impl Command {
    pub(super) fn new(name: &'static str, slot: u16) -> Self {
        Self {
            name,
            slot,
            words: Vec::new(),
            #[cfg(feature = "cluster")]
            is_asking: false,
        }
    }

    pub(super) fn arg(self, word: impl AsRef<[u8]>) -> Self {
        self.args([word])
    }

    pub(super) fn args(mut self, words: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        self.words.extend(words.into_iter().map(|word| Bytes::copy_from_slice(word.as_ref())));
        self
    }
}
