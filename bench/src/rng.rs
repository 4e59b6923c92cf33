//! The splitmix64 generator, sequential and by position, so that a stream can be made in pieces.

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The seed of every input.
pub const SEED: u64 = 42;

/// A splitmix64 stream.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// The stream of `seed`, from its first number.
    pub fn new(seed: u64) -> SplitMix64 {
        SplitMix64::at(seed, 0)
    }

    /// The stream of `seed`, from number `position` (counted from 0).
    #[inline]
    pub fn at(seed: u64, position: u64) -> SplitMix64 {
        SplitMix64 { state: seed.wrapping_add(position.wrapping_mul(STEP)) }
    }

    /// The next number.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The next number, scaled to `0..bound`.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// The next number, scaled to `0.0..1.0`.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers_and_positions() {
        let mut stream = SplitMix64::new(1234567);
        let first: Vec<u64> = (0..3).map(|_| stream.next_u64()).collect();
        assert_eq!(first, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
        assert_eq!(SplitMix64::at(1234567, 2).next_u64(), first[2]);
    }
}
