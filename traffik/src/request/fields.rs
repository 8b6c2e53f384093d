/// The fields that show a client its limits: which of them, and in which responses. Defaults to [`standard`](Self::standard).
///
/// [`TraffikBuilder::fields`](crate::TraffikBuilder::fields) sets them for an app, and
/// [`Settings::fields`](crate::Settings::fields) for a throttle:
///
/// ```
/// use traffik::{DefaultIdentity, Fields, MemoryBackend, Rate, Settings, Throttle, Traffik};
///
/// struct Search;
///
/// impl Throttle for Search {
///     const UID: &'static str = "fields:search";
///     const RATE: Rate = Rate::literal("100/min");
///     type Identity = DefaultIdentity;
///
///     fn settings() -> Settings {
///         // Shown only when a request is refused.
///         Settings::new().fields(Fields::standard().on_refusal())
///     }
/// }
///
/// let traffik = Traffik::builder(MemoryBackend::new("myapp")).fields(Fields::both()).build()?;
/// # Ok::<(), traffik::ConfigError>(())
/// ```
///
/// `Retry-After` is not one of these fields: every refusal that has a wait has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Fields {
    standard: bool,
    x_ratelimit: bool,
    on_refusal: bool,
}

impl Fields {
    /// Returns the standard fields, `RateLimit-Policy` and `RateLimit`, which name every limit of the request.
    pub const fn standard() -> Self {
        Self { standard: true, x_ratelimit: false, on_refusal: false }
    }

    /// Returns `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (seconds since the Unix epoch), for the
    /// tightest limit of the request.
    pub const fn x_ratelimit() -> Self {
        Self { standard: false, x_ratelimit: true, on_refusal: false }
    }

    /// Returns the standard fields and the `X-RateLimit` fields.
    pub const fn both() -> Self {
        Self { standard: true, x_ratelimit: true, on_refusal: false }
    }

    /// Returns no field.
    pub const fn never() -> Self {
        Self { standard: false, x_ratelimit: false, on_refusal: false }
    }

    /// Restricts the fields to responses that refuse a request. They then name all limits that the request met.
    pub const fn on_refusal(self) -> Self {
        Self { on_refusal: true, ..self }
    }

    pub(crate) const fn has_standard(self, is_refusal: bool) -> bool {
        self.standard && (is_refusal || !self.on_refusal)
    }

    pub(crate) const fn has_x_ratelimit(self, is_refusal: bool) -> bool {
        self.x_ratelimit && (is_refusal || !self.on_refusal)
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self::standard()
    }
}
