use axum::http::{HeaderName, header};

/// The header in which proxies report the client's address.
///
/// In the first two, each proxy adds the address of its peer to the end of a list. The others hold one address, and the
/// proxy at the edge replaces what a client sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `Forwarded`, of [RFC 7239](https://www.rfc-editor.org/rfc/rfc7239).
    Forwarded,
    /// `X-Forwarded-For`, which most proxies add to.
    #[default]
    XForwardedFor,
    /// `X-Real-IP`, which nginx is often configured to set.
    XRealIp,
    /// `True-Client-IP`, of Akamai and Cloudflare.
    TrueClientIp,
    /// `CF-Connecting-IP`, of Cloudflare.
    CfConnectingIp,
    /// Another header with one address, such as `Fly-Client-IP` or `Fastly-Client-IP`.
    Other(HeaderName),
}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
static TRUE_CLIENT_IP: HeaderName = HeaderName::from_static("true-client-ip");
static CF_CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");

impl ForwardedHeader {
    /// The headers with a variant of their own.
    pub(super) const KNOWN: [Self; 5] =
        [Self::XForwardedFor, Self::Forwarded, Self::XRealIp, Self::TrueClientIp, Self::CfConnectingIp];

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &HeaderName {
        match self {
            Self::Forwarded => &header::FORWARDED,
            Self::XForwardedFor => &X_FORWARDED_FOR,
            Self::XRealIp => &X_REAL_IP,
            Self::TrueClientIp => &TRUE_CLIENT_IP,
            Self::CfConnectingIp => &CF_CONNECTING_IP,
            Self::Other(name) => name,
        }
    }
}
