use super::{
    client_ip::{ClientIp, HeaderWatch},
    drain::Drain,
    identity::Identity,
    throttle_defaults::ThrottleDefaults,
};
use crate::observe::LogThrottle;
#[cfg(feature = "ws")]
use crate::observe::MessageInstruments;

/// The settings of an app for requests, which a throttle can override.
#[derive(Debug, Default)]
pub(crate) struct RequestDefaults {
    pub(crate) identity: Option<Identity>,
    pub(crate) client_ip: Option<ClientIp>,
    pub(crate) share_anonymous: bool,
    pub(crate) drain: Drain,
    pub(crate) outages: LogThrottle,
    pub(crate) strangers: LogThrottle,
    /// Bounds the log lines about rates that a strategy does not support.
    pub(crate) unworkable: LogThrottle,
    pub(crate) watch: HeaderWatch,
    pub(crate) charge_preflights: bool,
    pub(crate) throttles: ThrottleDefaults,
    #[cfg(feature = "ws")]
    pub(crate) messages: MessageInstruments,
}
