//! The same arithmetic with MULX (BMI2) and the two carry chains of ADX: ADCX carries in CF, ADOX in OF.
//!
//! Each operation is one block of assembly, put together from pieces. The registers have fixed roles:
//!
//! | register | role |
//! |---|---|
//! | `a`, `b` | pointers to the operands; `b` is free after its last limb was read and becomes the limb 7 |
//! | `r0`..`r6`, `b` | the 512-bit product; the result ends in `r0`..`r3` |
//! | `lo`, `hi`, `zero` | scratch |
//! | `rdx` | the factor that MULX takes implicitly |
//!
//! These are all 13 registers that inline assembly may use.

use std::{arch::asm, marker::PhantomData};

use super::Arith;
use crate::{
    curve::{Curve, Edwards25519, P256, Secp256k1, Sm2},
    u256::U256,
};

/// MULX and ADX. `CpuEngine` alone chooses it, after it has asked the CPU for both.
#[derive(Clone, Copy)]
pub(crate) struct Adx<C>(PhantomData<C>);

/// A curve that has assembly.
pub(crate) trait AdxCurve: Curve {
    fn mul(a: &U256, b: &U256) -> U256;
    fn square(a: &U256) -> U256;
    fn add(a: &U256, b: &U256) -> U256;
    fn sub(a: &U256, b: &U256) -> U256;
}

impl<C: AdxCurve> Arith for Adx<C> {
    type Curve = C;

    #[inline(always)]
    fn mul(a: &U256, b: &U256) -> U256 {
        <C as AdxCurve>::mul(a, b)
    }

    #[inline(always)]
    fn square(a: &U256) -> U256 {
        <C as AdxCurve>::square(a)
    }

    #[inline(always)]
    fn add(a: &U256, b: &U256) -> U256 {
        <C as AdxCurve>::add(a, b)
    }

    #[inline(always)]
    fn sub(a: &U256, b: &U256) -> U256 {
        <C as AdxCurve>::sub(a, b)
    }
}

/// Adds `a * [b + offset]` to the limbs `s0..s3`; the highest product starts the limb `s4`.
#[rustfmt::skip]
macro_rules! add_row {
    ($offset:literal, $s0:literal, $s1:literal, $s2:literal, $s3:literal, $s4:literal) => { concat!(
        "mov rdx, [{b} + ", $offset, "]\n",
        "xor {zero:e}, {zero:e}\n", // also clears both carries
        "mulx {hi}, {lo}, [{a}]\n",      "adcx {", $s0, "}, {lo}\n", "adox {", $s1, "}, {hi}\n",
        "mulx {hi}, {lo}, [{a} + 8]\n",  "adcx {", $s1, "}, {lo}\n", "adox {", $s2, "}, {hi}\n",
        "mulx {hi}, {lo}, [{a} + 16]\n", "adcx {", $s2, "}, {lo}\n", "adox {", $s3, "}, {hi}\n",
        "mulx {", $s4, "}, {lo}, [{a} + 24]\n",
        "adcx {", $s3, "}, {lo}\n",
        "adox {", $s4, "}, {zero}\n",
        "adcx {", $s4, "}, {zero}\n",
    ) };
}

/// The 512-bit product of `[a]` and `[b]`.
#[rustfmt::skip]
macro_rules! product {
    () => { concat!(
        "mov rdx, [{b}]\n",
        "mulx {r1}, {r0}, [{a}]\n",
        "mulx {r2}, {lo}, [{a} + 8]\n",  "add {r1}, {lo}\n",
        "mulx {r3}, {lo}, [{a} + 16]\n", "adc {r2}, {lo}\n",
        "mulx {r4}, {lo}, [{a} + 24]\n", "adc {r3}, {lo}\n",
        "adc {r4}, 0\n",
        add_row!("8", "r1", "r2", "r3", "r4", "r5"),
        add_row!("16", "r2", "r3", "r4", "r5", "r6"),
        add_row!("24", "r3", "r4", "r5", "r6", "b"),
    ) };
}

/// The 512-bit square of `[a]`: the six mixed products once, then doubled on one carry chain while the four squares
/// are added on the other.
#[rustfmt::skip]
macro_rules! square {
    () => { concat!(
        "mov rdx, [{a}]\n",
        "mulx {r2}, {r1}, [{a} + 8]\n",
        "mulx {r3}, {lo}, [{a} + 16]\n", "add {r2}, {lo}\n",
        "mulx {r4}, {lo}, [{a} + 24]\n", "adc {r3}, {lo}\n",
        "adc {r4}, 0\n",
        "mov rdx, [{a} + 8]\n",
        "xor {zero:e}, {zero:e}\n",
        "mulx {hi}, {lo}, [{a} + 16]\n", "adcx {r3}, {lo}\n", "adox {r4}, {hi}\n",
        "mulx {r5}, {lo}, [{a} + 24]\n", "adcx {r4}, {lo}\n", "adox {r5}, {zero}\n",
        "adcx {r5}, {zero}\n",
        "mov rdx, [{a} + 16]\n",
        "mulx {r6}, {lo}, [{a} + 24]\n", "add {r5}, {lo}\n",
        "adc {r6}, 0\n",
        "mov rdx, [{a}]\n",
        "xor {b:e}, {b:e}\n",
        "mulx {hi}, {r0}, rdx\n", "adcx {r1}, {r1}\n", "adox {r1}, {hi}\n",
        "mov rdx, [{a} + 8]\n",
        "mulx {hi}, {lo}, rdx\n", "adcx {r2}, {r2}\n", "adox {r2}, {lo}\n", "adcx {r3}, {r3}\n", "adox {r3}, {hi}\n",
        "mov rdx, [{a} + 16]\n",
        "mulx {hi}, {lo}, rdx\n", "adcx {r4}, {r4}\n", "adox {r4}, {lo}\n", "adcx {r5}, {r5}\n", "adox {r5}, {hi}\n",
        "mov rdx, [{a} + 24]\n",
        "mulx {hi}, {lo}, rdx\n", "adcx {r6}, {r6}\n", "adox {r6}, {lo}\n", "adcx {b}, {b}\n", "adox {b}, {hi}\n",
    ) };
}

/// Four rounds of Montgomery's reduction on the low half, then the high half added and its carry folded in. A round clears
/// its lowest limb, whose register becomes the next highest, so that after four the limbs are in order.
#[rustfmt::skip]
macro_rules! montgomery {
    ($round:ident, $carry:ident) => { concat!(
        $round!("r0", "r1", "r2", "r3"),
        $round!("r1", "r2", "r3", "r0"),
        $round!("r2", "r3", "r0", "r1"),
        $round!("r3", "r0", "r1", "r2"),
        "add {r0}, {r4}\n",
        "adc {r1}, {r5}\n",
        "adc {r2}, {r6}\n",
        "adc {r3}, {b}\n",
        "sbb {lo}, {lo}\n",
        $carry!("add", "adc"),
    ) };
}

/// With `m` the lowest limb, `m p + m` is `m + 2^64 (2^192 - 2^160 - 2^32) m` above it (`curve/sm2.rs`).
#[rustfmt::skip]
macro_rules! sm2_round {
    ($m:literal, $s1:literal, $s2:literal, $s3:literal) => { concat!(
        "rorx {lo}, {", $m, "}, 32\n",
        "mov {hi:e}, {lo:e}\n",  // m >> 32
        "xor {lo}, {hi}\n",      // m << 32
        "add {", $s1, "}, {", $m, "}\n",
        "adc {", $s2, "}, 0\n",
        "adc {", $s3, "}, 0\n",
        "adc {", $m, "}, 0\n",
        "sub {", $s1, "}, {lo}\n",
        "sbb {", $s2, "}, {hi}\n",
        "sbb {", $s3, "}, {lo}\n",
        "sbb {", $m, "}, {hi}\n",
    ) };
}

/// Adds `m 2^96` and `m 2^192 (2^64 - 2^32 + 1)`, of which `rdx` holds the factor (`curve/p256.rs`).
#[rustfmt::skip]
macro_rules! p256_round {
    ($m:literal, $s1:literal, $s2:literal, $s3:literal) => { concat!(
        "mov {lo}, {", $m, "}\n",
        "mov {hi}, {", $m, "}\n",
        "shl {lo}, 32\n",
        "shr {hi}, 32\n",
        "add {", $s1, "}, {lo}\n",
        "adc {", $s2, "}, {hi}\n",
        "mulx {", $m, "}, {lo}, {", $m, "}\n",
        "adc {", $s3, "}, {lo}\n",
        "adc {", $m, "}, 0\n",
    ) };
}

/// Folds the high half in with `2^256 = k`, and what then is above once more. That leaves a carry only where the sum was
/// within `k^2` of `2^256`, which is next to never, so a jump costs less than a mask.
#[rustfmt::skip]
macro_rules! fold_high {
    ($k:literal) => { concat!(
        "mov rdx, ", $k, "\n",
        "xor {zero:e}, {zero:e}\n",
        "mulx {hi}, {lo}, {r4}\n", "adcx {r0}, {lo}\n", "adox {r1}, {hi}\n",
        "mulx {hi}, {lo}, {r5}\n", "adcx {r1}, {lo}\n", "adox {r2}, {hi}\n",
        "mulx {hi}, {lo}, {r6}\n", "adcx {r2}, {lo}\n", "adox {r3}, {hi}\n",
        "mulx {hi}, {lo}, {b}\n",  "adcx {r3}, {lo}\n", "adox {hi}, {zero}\n",
        "adcx {hi}, {zero}\n",
        "mulx {hi}, {lo}, {hi}\n",
        "add {r0}, {lo}\n",
        "adc {r1}, {hi}\n",
        "adc {r2}, 0\n",
        "adc {r3}, 0\n",
        "jnc 2f\n",
        "add {r0}, rdx\n", // the rest is tiny: no carry goes on
        "adc {r1}, 0\n",
        "2:\n",
    ) };
}

/// Adds (`add`, `adc`) or subtracts (`sub`, `sbb`) `2^256 - p` where the mask `lo` is set.
#[rustfmt::skip]
macro_rules! sm2_carry {
    ($first:literal, $next:literal) => { concat!(
        "mov {hi:e}, {lo:e}\n",
        "neg {lo}\n",
        "mov rdx, {lo}\n",
        "shl rdx, 32\n",
        $first, " {r0}, {lo}\n",
        $next, " {r1}, {hi}\n",
        $next, " {r2}, 0\n",
        $next, " {r3}, rdx\n",
    ) };
}

#[rustfmt::skip]
macro_rules! p256_carry {
    ($first:literal, $next:literal) => { concat!(
        "mov {hi}, {lo}\n",
        "shl {hi}, 32\n",
        "mov edx, 0xfffffffe\n",
        "and rdx, {lo}\n",
        "mov {zero}, {lo}\n",
        "neg {zero}\n",
        $first, " {r0}, {zero}\n",
        $next, " {r1}, {hi}\n",
        $next, " {r2}, {lo}\n",
        $next, " {r3}, rdx\n",
    ) };
}

#[rustfmt::skip]
macro_rules! small_carry {
    ($k:literal, $first:literal, $next:literal) => { concat!(
        "mov rdx, ", $k, "\n",
        "and rdx, {lo}\n",
        $first, " {r0}, rdx\n",
        $next, " {r1}, 0\n",
        $next, " {r2}, 0\n",
        $next, " {r3}, 0\n",
    ) };
}

#[rustfmt::skip]
macro_rules! secp256k1_carry {
    ($first:literal, $next:literal) => { small_carry!("0x1000003d1", $first, $next) };
}

#[rustfmt::skip]
macro_rules! edwards25519_carry {
    ($first:literal, $next:literal) => { small_carry!("38", $first, $next) };
}

/// A sum or difference with its carry folded in. The jump is taken but where both operands are close to the edge.
macro_rules! carried {
    ($carry:ident, $first:literal, $next:literal, $a:ident, $b:ident) => {{
        let [mut r0, mut r1, mut r2, mut r3] = *$a;
        // SAFETY: reads 32 bytes at `b`, writes registers only.
        unsafe {
            asm!(
                concat!($first, " {r0}, [{b}]"),
                concat!($next, " {r1}, [{b} + 8]"),
                concat!($next, " {r2}, [{b} + 16]"),
                concat!($next, " {r3}, [{b} + 24]"),
                "sbb {lo}, {lo}",
                $carry!($first, $next),
                "jnc 2f",
                "mov {lo}, -1",
                $carry!($first, $next),
                "2:",
                "/* {hi} {zero} */",
                b = in(reg) $b.as_ptr(),
                r0 = inout(reg) r0, r1 = inout(reg) r1, r2 = inout(reg) r2, r3 = inout(reg) r3,
                lo = out(reg) _, hi = out(reg) _, zero = out(reg) _, out("rdx") _,
                options(pure, readonly, nostack),
            );
        }
        [r0, r1, r2, r3]
    }};
}

macro_rules! operations {
    ($curve:ty, reduce: [$($reduce:expr),*], carry: $carry:ident) => {
        impl AdxCurve for $curve {
            #[inline(always)]
            fn mul(a: &U256, b: &U256) -> U256 {
                let (r0, r1, r2, r3): (u64, u64, u64, u64);
                // SAFETY: reads 32 bytes at `a` and at `b`, writes registers only.
                unsafe {
                    asm!(
                        product!(), $($reduce,)*
                        a = in(reg) a.as_ptr(), b = inout(reg) b.as_ptr() => _,
                        r0 = out(reg) r0, r1 = out(reg) r1, r2 = out(reg) r2, r3 = out(reg) r3,
                        r4 = out(reg) _, r5 = out(reg) _, r6 = out(reg) _,
                        lo = out(reg) _, hi = out(reg) _, zero = out(reg) _, out("rdx") _,
                        options(pure, readonly, nostack),
                    );
                }
                [r0, r1, r2, r3]
            }

            #[inline(always)]
            fn square(a: &U256) -> U256 {
                let (r0, r1, r2, r3): (u64, u64, u64, u64);
                // SAFETY: reads 32 bytes at `a`, writes registers only.
                unsafe {
                    asm!(
                        square!(), $($reduce,)*
                        a = in(reg) a.as_ptr(), b = out(reg) _,
                        r0 = out(reg) r0, r1 = out(reg) r1, r2 = out(reg) r2, r3 = out(reg) r3,
                        r4 = out(reg) _, r5 = out(reg) _, r6 = out(reg) _,
                        lo = out(reg) _, hi = out(reg) _, zero = out(reg) _, out("rdx") _,
                        options(pure, readonly, nostack),
                    );
                }
                [r0, r1, r2, r3]
            }

            #[inline(always)]
            fn add(a: &U256, b: &U256) -> U256 {
                carried!($carry, "add", "adc", a, b)
            }

            #[inline(always)]
            fn sub(a: &U256, b: &U256) -> U256 {
                carried!($carry, "sub", "sbb", a, b)
            }
        }
    };
}

operations!(Sm2, reduce: [montgomery!(sm2_round, sm2_carry)], carry: sm2_carry);
operations!(P256, reduce: ["mov rdx, 0xffffffff00000001", montgomery!(p256_round, p256_carry)], carry: p256_carry);
operations!(Secp256k1, reduce: [fold_high!("0x1000003d1")], carry: secp256k1_carry);
operations!(Edwards25519, reduce: [fold_high!("38")], carry: edwards25519_carry);
