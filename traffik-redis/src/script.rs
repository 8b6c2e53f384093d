use fred::util::sha1_hash;

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
