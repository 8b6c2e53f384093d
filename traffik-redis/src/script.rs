use fred::util::sha1_hash;

/// A Lua program, and the digest by which Redis finds it once it was loaded.
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) sha: String,
}

impl Script {
    pub(crate) fn new(text: String) -> Self {
        Self { sha: sha1_hash(&text), text }
    }
}
