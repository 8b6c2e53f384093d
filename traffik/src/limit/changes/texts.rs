//! Shared changes as the texts that a backend stores: a name and a value for each.

use std::{sync::Arc, time::Duration};

use traffik_core::{
    client::Key,
    clock::{AnyClock, Timestamp},
    rate::Rate,
};

use super::{
    Live,
    clients::{Block, ClientMap, Lasting, Penalty},
    values::{Setting, Switch, Values},
};

/// Separates the parts of a name. No uid contains it.
const SEPARATOR: char = '\n';

/// The value of an end that is none.
const NEVER: &str = "never";

/// What a text is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    /// Whether all limits apply.
    All,
    Setting(Setting, &'a str),
    Client(ClientSetting, &'a str, Key),
}

/// A setting of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientSetting {
    Block,
    Exempt,
    Rate,
    Penalty,
}

/// A shared value. Ends are times of day, which all processes share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SharedValue {
    Rate(Rate),
    Cost(u64),
    Switch(Switch),
    DryRun(bool),
    Block(Option<Timestamp>, Box<str>),
    Exempt(Option<Timestamp>),
    ClientRate(Option<Timestamp>, Rate),
    Penalty { until: Timestamp, length: Duration, forgotten_at: Timestamp },
}

impl Name<'_> {
    pub(crate) fn to_text(&self) -> Option<String> {
        Some(match self {
            Self::All => "enabled".to_owned(),
            Self::Setting(setting, uid) => format!("{}{SEPARATOR}{uid}", setting_name(*setting)),
            Self::Client(setting, uid, key) => {
                format!("{}{SEPARATOR}{uid}{SEPARATOR}{}", setting.name(), key.to_text()?)
            }
        })
    }
}

impl<'a> Name<'a> {
    /// Returns the uid of the limit, unless it is about all of them.
    pub(crate) fn uid(&self) -> Option<&'a str> {
        match self {
            Self::All => None,
            Self::Setting(_, uid) | Self::Client(_, uid, _) => Some(uid),
        }
    }

    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(3, SEPARATOR);
        match (parts.next()?, parts.next(), parts.next()) {
            ("enabled", None, None) => Some(Self::All),
            ("rate", Some(uid), None) => Some(Self::Setting(Setting::Rate, uid)),
            ("cost", Some(uid), None) => Some(Self::Setting(Setting::Cost, uid)),
            ("enabled", Some(uid), None) => Some(Self::Setting(Setting::Enabled, uid)),
            ("dry_run", Some(uid), None) => Some(Self::Setting(Setting::DryRun, uid)),
            ("block", Some(uid), Some(key)) => Some(Self::Client(ClientSetting::Block, uid, key.parse().ok()?)),
            ("exempt", Some(uid), Some(key)) => Some(Self::Client(ClientSetting::Exempt, uid, key.parse().ok()?)),
            ("client_rate", Some(uid), Some(key)) => Some(Self::Client(ClientSetting::Rate, uid, key.parse().ok()?)),
            ("penalty", Some(uid), Some(key)) => Some(Self::Client(ClientSetting::Penalty, uid, key.parse().ok()?)),
            _ => None,
        }
    }
}

const fn setting_name(setting: Setting) -> &'static str {
    match setting {
        Setting::Rate => "rate",
        Setting::Cost => "cost",
        Setting::Enabled => "enabled",
        Setting::DryRun => "dry_run",
        Setting::Rules => "rules",
    }
}

impl ClientSetting {
    const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Exempt => "exempt",
            Self::Rate => "client_rate",
            Self::Penalty => "penalty",
        }
    }
}

impl SharedValue {
    pub(crate) fn to_text(&self) -> String {
        let end = |end: &Option<Timestamp>| end.map_or_else(|| NEVER.to_owned(), |end| end.as_micros().to_string());
        match self {
            Self::Rate(rate) => rate.to_string(),
            Self::Cost(cost) => cost.to_string(),
            Self::Switch(Switch::On) | Self::DryRun(true) => "true".to_owned(),
            Self::Switch(Switch::Off) | Self::DryRun(false) => "false".to_owned(),
            Self::Switch(Switch::OffUntil(end)) => format!("false {}", end.as_micros()),
            Self::Block(until, reason) => format!("{} {reason}", end(until)),
            Self::Exempt(until) => end(until),
            Self::ClientRate(until, rate) => format!("{} {rate}", end(until)),
            Self::Penalty { until, length, forgotten_at } => {
                format!("{} {} {}", until.as_micros(), length.as_micros(), forgotten_at.as_micros())
            }
        }
    }

    pub(crate) fn parse(name: &Name<'_>, text: &str) -> Option<Self> {
        let time = |text: &str| Some(Timestamp::from_micros(text.parse().ok()?));
        let end = |text: &str| if text == NEVER { Some(None) } else { time(text).map(Some) };
        let two = || text.split_once(' ');
        match name {
            Name::Setting(Setting::Rate, _) => text.parse().ok().map(Self::Rate),
            Name::Setting(Setting::Cost, _) => text.parse().ok().map(Self::Cost),
            Name::All | Name::Setting(Setting::Enabled, _) => match two() {
                Some(("false", until)) => Some(Self::Switch(Switch::OffUntil(time(until)?))),
                Some(_) => None,
                None => text.parse::<bool>().ok().map(|is_on| Self::Switch(is_on.into())),
            },
            Name::Setting(Setting::DryRun, _) => text.parse().ok().map(Self::DryRun),
            Name::Setting(Setting::Rules, _) => None,
            Name::Client(ClientSetting::Block, ..) => {
                two().and_then(|(until, reason)| Some(Self::Block(end(until)?, reason.into())))
            }
            Name::Client(ClientSetting::Penalty, ..) => {
                let mut numbers = text.split(' ');
                let until = time(numbers.next()?)?;
                let length = Duration::from_micros(numbers.next()?.parse().ok()?);
                Some(Self::Penalty { until, length, forgotten_at: time(numbers.next()?)? })
            }
            Name::Client(ClientSetting::Exempt, ..) => end(text).map(Self::Exempt),
            Name::Client(ClientSetting::Rate, ..) => {
                two().and_then(|(until, rate)| Some(Self::ClientRate(end(until)?, rate.parse().ok()?)))
            }
        }
    }

    /// Returns `true` if a text has an end, and it has passed at this time of day.
    pub(crate) fn text_has_ended(name: &str, value: &str, wall_clock: Timestamp) -> bool {
        let value = Name::parse(name).and_then(|name| Self::parse(&name, value));
        value.is_some_and(|value| value.has_ended(wall_clock))
    }

    fn has_ended(&self, wall_clock: Timestamp) -> bool {
        let end = match self {
            Self::Switch(switch) => switch.end(),
            Self::Block(end, _) | Self::Exempt(end) | Self::ClientRate(end, _) => *end,
            Self::Penalty { forgotten_at, .. } => Some(*forgotten_at),
            Self::Rate(_) | Self::Cost(_) | Self::DryRun(_) => None,
        };
        end.is_some_and(|end| end <= wall_clock)
    }
}

impl Live {
    /// Replaces all shared values by these texts. Texts that mean nothing here have no effect.
    pub(crate) fn set_shared<'t>(&mut self, texts: impl Iterator<Item = (&'t str, &'t str)>, clock: &AnyClock) {
        self.all.shared = None;
        self.for_each(|limit| {
            limit.values.shared = Values::default();
            limit.clients.shared = ClientMap::default();
        });
        let (now, wall_clock) = (clock.now(), clock.wall_clock());
        let local = |end: Timestamp| now.saturating_add(end.saturating_since(wall_clock));
        for (name, value) in texts {
            let known = Name::parse(name).and_then(|name| Some((SharedValue::parse(&name, value)?, name)));
            if let Some((value, name)) = known {
                self.set_shared_value(name, value, local);
            }
        }
    }

    fn set_shared_value(&mut self, name: Name<'_>, value: SharedValue, local: impl Fn(Timestamp) -> Timestamp) {
        let switch = |switch: Switch| match switch {
            Switch::OffUntil(end) => Switch::OffUntil(local(end)),
            other => other,
        };
        let until = |until: Option<Timestamp>| until.map(&local);
        // Each name has the values that `SharedValue::parse` returns for it, and no others.
        match (name, value) {
            (Name::All, SharedValue::Switch(all)) => self.all.shared = Some(switch(all)),
            (Name::All, _) => {}
            (Name::Setting(_, uid), value) => {
                let values = &mut self.of_mut(uid).values.shared;
                match value {
                    SharedValue::Rate(rate) => values.rate = Some(rate),
                    SharedValue::Cost(cost) => values.cost = Some(cost),
                    SharedValue::Switch(on) => values.switch = Some(switch(on)),
                    SharedValue::DryRun(dry_run) => values.dry_run = Some(dry_run),
                    _ => {}
                }
            }
            (Name::Client(_, uid, key), value) => {
                let limit = self.of_mut(uid);
                if let SharedValue::Penalty { until, .. } = value {
                    limit.replace_local_penalty(&key, local(until));
                }
                limit.clients.shared.change(key, |client| match value {
                    SharedValue::Block(end, reason) => {
                        client.block = Some(Arc::new(Block { until: until(end), reason }))
                    }
                    SharedValue::Exempt(end) => client.exempt = Some(Lasting { value: (), until: until(end) }),
                    SharedValue::ClientRate(end, rate) => {
                        client.rate = Some(Lasting { value: rate, until: until(end) })
                    }
                    SharedValue::Penalty { until, length, forgotten_at } => {
                        let block = Block { until: Some(local(until)), reason: "too many refusals in a row".into() };
                        let forgotten_at = local(forgotten_at);
                        client.penalty = Some(Penalty { block: Arc::new(block), length, forgotten_at });
                    }
                    _ => {}
                });
            }
        }
    }
}
