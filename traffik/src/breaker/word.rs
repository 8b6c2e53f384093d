use super::BreakerState;

/// What has to change as one, in one word: the state, the how many-th it is, and what is counted while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) state: BreakerState,
    /// Told apart by it is what belongs to a state that has ended. It starts again after four million changes.
    pub(super) turn: u64,
    /// Half-open: the trials under way.
    pub(super) trials: u64,
    /// Closed: the failures in a row. Half-open: the trials that succeeded.
    pub(super) count: u64,
}

/// The highest number that fits: of trials, or of what is counted.
pub(super) const MOST: u64 = (1 << 20) - 1;

const MOST_TURNS: u64 = (1 << 22) - 1;

impl Word {
    /// The first of all: closed, and nothing has failed.
    pub(super) const FIRST: Self = Self { state: BreakerState::Closed, turn: 0, trials: 0, count: 0 };

    /// The state after this one, in which nothing is counted yet.
    pub(super) fn then(self, state: BreakerState) -> Self {
        Self { state, turn: (self.turn + 1) & MOST_TURNS, trials: 0, count: 0 }
    }

    pub(super) fn pack(self) -> u64 {
        let state = match self.state {
            BreakerState::Closed => 0,
            BreakerState::Open => 1,
            BreakerState::HalfOpen => 2,
        };
        state << 62 | self.turn << 40 | self.trials << 20 | self.count
    }

    pub(super) fn unpack(word: u64) -> Self {
        let state = match word >> 62 {
            0 => BreakerState::Closed,
            1 => BreakerState::Open,
            _ => BreakerState::HalfOpen,
        };
        Self { state, turn: word >> 40 & MOST_TURNS, trials: word >> 20 & MOST, count: word & MOST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        for state in [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen] {
            for (turn, trials, count) in [(0, 0, 0), (1, 2, 3), (MOST_TURNS, MOST, MOST), (0, MOST, 0)] {
                let word = Word { state, turn, trials, count };
                assert_eq!(Word::unpack(word.pack()), word);
            }
        }
    }

    #[test]
    fn turns_start_again() {
        let last = Word { turn: MOST_TURNS, count: 7, ..Word::FIRST };
        assert_eq!(last.then(BreakerState::Open), Word { state: BreakerState::Open, ..Word::FIRST });
    }
}
