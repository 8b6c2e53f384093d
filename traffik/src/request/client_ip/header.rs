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
    /// `CloudFront-Viewer-Address`, of Amazon CloudFront: an address and a port, with a colon between them and without
    /// brackets.
    CloudFrontViewerAddress,
    /// `Fastly-Client-IP`, of Fastly.
    FastlyClientIp,
    /// `Fly-Client-IP`, of Fly.io.
    FlyClientIp,
    /// `X-Azure-ClientIP`, of Azure Front Door. Azure takes it from the `X-Forwarded-For` of the client if there is one, so
    /// clients can choose it: use [`AzureSocketIp`](Self::AzureSocketIp) unless you trust what is in front of Front Door.
    AzureClientIp,
    /// `X-Azure-SocketIP`, of Azure Front Door: the other end of the connection to Front Door.
    AzureSocketIp,
    /// Another header with one address. The name of a header above is read like that one.
    Other(HeaderName),
}

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
static TRUE_CLIENT_IP: HeaderName = HeaderName::from_static("true-client-ip");
static CF_CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
static CLOUDFRONT_VIEWER_ADDRESS: HeaderName = HeaderName::from_static("cloudfront-viewer-address");
static FASTLY_CLIENT_IP: HeaderName = HeaderName::from_static("fastly-client-ip");
static FLY_CLIENT_IP: HeaderName = HeaderName::from_static("fly-client-ip");
static X_AZURE_CLIENTIP: HeaderName = HeaderName::from_static("x-azure-clientip");
static X_AZURE_SOCKETIP: HeaderName = HeaderName::from_static("x-azure-socketip");

impl ForwardedHeader {
    /// The headers with a variant of their own.
    pub(super) const KNOWN: [Self; 10] = [
        Self::XForwardedFor,
        Self::Forwarded,
        Self::XRealIp,
        Self::TrueClientIp,
        Self::CfConnectingIp,
        Self::CloudFrontViewerAddress,
        Self::FastlyClientIp,
        Self::FlyClientIp,
        Self::AzureClientIp,
        Self::AzureSocketIp,
    ];

    /// Returns the variant with this name, if there is one.
    pub(super) fn known(self) -> Self {
        match self {
            Self::Other(name) => {
                let known = Self::KNOWN.into_iter().find(|known| *known.name() == name);
                known.unwrap_or(Self::Other(name))
            }
            known => known,
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &HeaderName {
        match self {
            Self::Forwarded => &header::FORWARDED,
            Self::XForwardedFor => &X_FORWARDED_FOR,
            Self::XRealIp => &X_REAL_IP,
            Self::TrueClientIp => &TRUE_CLIENT_IP,
            Self::CfConnectingIp => &CF_CONNECTING_IP,
            Self::CloudFrontViewerAddress => &CLOUDFRONT_VIEWER_ADDRESS,
            Self::FastlyClientIp => &FASTLY_CLIENT_IP,
            Self::FlyClientIp => &FLY_CLIENT_IP,
            Self::AzureClientIp => &X_AZURE_CLIENTIP,
            Self::AzureSocketIp => &X_AZURE_SOCKETIP,
            Self::Other(name) => name,
        }
    }
}
