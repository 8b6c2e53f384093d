//! Slow models of a changing rate as the guide documents it. Fractions are compared exactly.

use traffik::Rate;

pub(super) trait TwoRates {
    fn fits(&self, rate: Rate, cost: u64, at: u64) -> bool;
    fn charge(&mut self, rate: Rate, cost: u64, at: u64);
}

fn limit(rate: Rate) -> u128 {
    rate.limit().into()
}

fn period(rate: Rate) -> u128 {
    rate.period_micros().into()
}

/// "The count goes on. A window that was begun under a longer period is finished under it; under a longer new period the
/// next charge draws it out to the end of that period's window."
#[derive(Default)]
pub(super) struct Count {
    used: u64,
    end: u64,
}

impl TwoRates for Count {
    fn fits(&self, rate: Rate, cost: u64, at: u64) -> bool {
        let used = if at < self.end { self.used } else { 0 };
        u128::from(used) + u128::from(cost) <= limit(rate)
    }

    fn charge(&mut self, rate: Rate, cost: u64, at: u64) {
        let own_end = (at / rate.period_micros() + 1) * rate.period_micros();
        *self = if at < self.end {
            Self { used: self.used + cost, end: self.end.max(own_end) }
        } else {
            Self { used: cost, end: own_end }
        };
    }
}

/// "Each charge counts for the period of the rate that it was charged under."
#[derive(Default)]
pub(super) struct Listed(Vec<(u64, u64)>);

impl TwoRates for Listed {
    fn fits(&self, rate: Rate, cost: u64, at: u64) -> bool {
        let counting = self.0.iter().filter(|(until, _)| at < *until);
        counting.map(|(_, cost)| u128::from(*cost)).sum::<u128>() + u128::from(cost) <= limit(rate)
    }

    fn charge(&mut self, rate: Rate, cost: u64, at: u64) {
        self.0.push((at + rate.period_micros(), cost));
    }
}

/// "Until the next charge what counts fades as it did. The charge then carries what counts at that time into the new
/// period's window, and from there it fades at the new pace."
#[derive(Default)]
pub(super) struct Fading(Option<Windows>);

#[derive(Clone, Copy)]
struct Windows {
    previous: u128,
    current: u128,
    number: u64,
    length: u64,
}

impl Fading {
    /// Returns the windows that count at this time.
    fn at(&self, at: u64) -> Option<Windows> {
        let windows = self.0?;
        match at / windows.length - windows.number {
            0 => Some(windows),
            1 => Some(Windows { previous: windows.current, current: 0, number: windows.number + 1, ..windows }),
            _ => None,
        }
    }
}

impl Windows {
    /// Returns the counted amount times the length.
    fn used(self, at: u64) -> u128 {
        let inside = self.length - at % self.length;
        self.previous * u128::from(inside) + self.current * u128::from(self.length)
    }
}

impl TwoRates for Fading {
    fn fits(&self, rate: Rate, cost: u64, at: u64) -> bool {
        self.at(at).map_or(u128::from(cost) <= limit(rate), |windows| {
            let length = u128::from(windows.length);
            windows.used(at) + u128::from(cost) * length <= limit(rate) * length
        })
    }

    fn charge(&mut self, rate: Rate, cost: u64, at: u64) {
        let length = rate.period_micros();
        let windows = match self.at(at) {
            Some(windows) if windows.length == length => windows,
            other => {
                let current = other.map_or(0, |windows| windows.used(at).div_ceil(windows.length.into()));
                Windows { previous: 0, current, number: at / length, length }
            }
        };
        self.0 = Some(Windows { current: windows.current + u128::from(cost), ..windows });
    }
}

/// "Until the next charge what was taken comes back at the slower of both rates. The charge then writes it down in the new
/// rate's terms": in whole units, rounded up. It is kept for as long as it takes to come back at the rate it was written at.
#[derive(Default)]
pub(super) struct Carried {
    level: Option<Level>,
    /// The capacity, if it is not the limit of the rate.
    size: Option<u128>,
}

#[derive(Clone, Copy)]
struct Level {
    /// The level at `since`, times the period.
    held: u128,
    since: u64,
    rate: Rate,
}

impl Level {
    /// Returns the level, times the period.
    fn at(self, at: u64) -> u128 {
        self.held.saturating_sub(u128::from(at - self.since) * limit(self.rate))
    }

    fn in_terms_of(self, rate: Rate, at: u64) -> Self {
        if rate == self.rate {
            return self;
        }
        Self { held: self.at(at).div_ceil(period(self.rate)) * period(rate), since: at, rate }
    }
}

impl Carried {
    pub(super) fn of_size(size: u64) -> Self {
        Self { level: None, size: Some(size.into()) }
    }

    fn size(&self, rate: Rate) -> u128 {
        self.size.unwrap_or(limit(rate))
    }

    fn read(&self, rate: Rate, at: u64) -> Option<Level> {
        let level = self.level.filter(|level| level.at(at) > 0)?;
        let is_slower = limit(rate) * period(level.rate) < limit(level.rate) * period(rate);
        Some(if is_slower { level.in_terms_of(rate, level.since) } else { level })
    }
}

impl TwoRates for Carried {
    fn fits(&self, rate: Rate, cost: u64, at: u64) -> bool {
        self.read(rate, at).map_or(u128::from(cost) <= self.size(rate), |level| {
            let period = period(level.rate);
            level.at(at) + u128::from(cost) * period <= self.size(rate) * period
        })
    }

    fn charge(&mut self, rate: Rate, cost: u64, at: u64) {
        let level = self.read(rate, at).map(|level| level.in_terms_of(rate, at));
        let held = level.map_or(0, |level| level.at(at)) + u128::from(cost) * period(rate);
        self.level = Some(Level { held, since: at, rate });
    }
}
