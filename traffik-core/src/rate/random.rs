//! Random input for the tests: xorshift, the same in every run.

pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// From 0 to `most`.
    pub(super) fn upto(&mut self, most: u64) -> u64 {
        self.next() % (most + 1)
    }

    /// From 1 to `most`, with as many digits as it happens.
    pub(super) fn of_any_size(&mut self, most: u64) -> u64 {
        let size = self.upto(63);
        (self.next() >> size) % most + 1
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.upto(length as u64 - 1)).unwrap()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    pub(super) fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.index(items.len())]
    }

    /// White space, or none.
    pub(super) fn space(&mut self) -> &'static str {
        self.pick(&["", "", " ", "\t ", "\n"])
    }
}
