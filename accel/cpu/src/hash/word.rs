//! The words that the compression functions compute with.

/// One word of a hash's state for each message that is hashed at once: a `u32` or `u64`, or a vector of them.
///
/// What makes a value takes the witness of the instructions that the type's operations use. So a value proves that the
/// CPU has them, and every operation on values is safe.
///
/// All operations are `inline(always)`: they must end up inside the function that enables the instructions.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "vectors alone use all of it"))]
pub(super) trait Word: Copy {
    /// The witness, see [`crate::detect`].
    type Cpu: Copy;
    /// `u32` or `u64`.
    type Lane: Copy;
    /// The lanes in memory: an array of `Lane`.
    type Row: Copy;

    /// The same value in every lane.
    fn splat(cpu: Self::Cpu, lane: Self::Lane) -> Self;
    /// From memory.
    fn load(cpu: Self::Cpu, row: &Self::Row) -> Self;
    /// To memory.
    fn store(self, row: &mut Self::Row);

    /// Sum, modulo the lane's size.
    fn add(self, other: Self) -> Self;
    /// `self ^ other`.
    fn xor(self, other: Self) -> Self;
    /// `n` must be a constant, else this is slow; in 1 to the lane's size - 1.
    fn rotate_left(self, n: u32) -> Self;
    /// As [`Word::rotate_left`].
    fn rotate_right(self, n: u32) -> Self;
    /// As [`Word::rotate_left`], zeros coming in.
    fn shift_right(self, n: u32) -> Self;
    /// `self ^ (self <<< n) ^ (self <<< (n + 8))`.
    #[inline(always)]
    fn xor_two_rotations(self, n: u32) -> Self {
        self.xor3(self.rotate_left(n), self.rotate_left(n + 8))
    }
    /// `self ^ b ^ c`.
    fn xor3(self, b: Self, c: Self) -> Self;
    /// Bits of `b` where `self` has a one, else of `c`.
    fn choose(self, b: Self, c: Self) -> Self;
    /// Bits that at least two of the three have.
    fn majority(self, b: Self, c: Self) -> Self;
    /// `self ^ (!b & c)`.
    fn xor_and_not(self, b: Self, c: Self) -> Self;
}

/// A single lane, on any CPU.
macro_rules! scalar_word {
    ($lane:ty) => {
        impl Word for $lane {
            type Cpu = ();
            type Lane = $lane;
            type Row = $lane;

            #[inline(always)]
            fn splat((): (), lane: $lane) -> Self {
                lane
            }
            #[inline(always)]
            fn load((): (), row: &$lane) -> Self {
                *row
            }
            #[inline(always)]
            fn store(self, row: &mut $lane) {
                *row = self;
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                self ^ other
            }
            #[inline(always)]
            fn rotate_left(self, n: u32) -> Self {
                self.rotate_left(n)
            }
            #[inline(always)]
            fn rotate_right(self, n: u32) -> Self {
                self.rotate_right(n)
            }
            #[inline(always)]
            fn shift_right(self, n: u32) -> Self {
                self >> n
            }
            #[inline(always)]
            fn xor3(self, b: Self, c: Self) -> Self {
                self ^ b ^ c
            }
            #[inline(always)]
            fn choose(self, b: Self, c: Self) -> Self {
                c ^ (self & (b ^ c))
            }
            #[inline(always)]
            fn majority(self, b: Self, c: Self) -> Self {
                (self & b) | (c & (self | b))
            }
            #[inline(always)]
            fn xor_and_not(self, b: Self, c: Self) -> Self {
                self ^ (!b & c)
            }
        }
    };
}

scalar_word!(u32);
scalar_word!(u64);
