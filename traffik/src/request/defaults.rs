use super::{
    client_ip::{ClientIp, HeaderWatch},
    drain::Drain,
    identity::Identity,
    rules::ByUid,
    settings::ErasedResponder,
};
use crate::observe::LogThrottle;

/// What an app does with requests unless a throttle says otherwise.
#[derive(Debug, Default)]
pub(crate) struct RequestDefaults {
    pub(crate) identity: Option<Identity>,
    pub(crate) client_ip: Option<ClientIp>,
    pub(crate) share_anonymous: bool,
    pub(crate) responder: Option<ErasedResponder>,
    pub(crate) x_ratelimit: bool,
    pub(crate) drain: Drain,
    pub(crate) outages: LogThrottle,
    pub(crate) strangers: LogThrottle,
    /// Rates of requests with which a throttle cannot work.
    pub(crate) unworkable: LogThrottle,
    pub(crate) watch: HeaderWatch,
    pub(crate) charge_preflights: bool,
    /// What is added to throttles of other modules.
    pub(crate) rules: ByUid,
}
