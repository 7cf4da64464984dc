//! What the CPU can do, asked at run time and in this module alone.
//!
//! A function that uses an instruction set takes that set's witness ([`Avx2`], [`Avx512`], ...). Only `detect` makes a
//! witness, and only where the CPU has the instructions, so no safe code runs them on a CPU that lacks them.

use std::fmt;

/// Defines a witness: a value that exists only where the CPU has all the named features.
macro_rules! witness {
    ($(#[$doc:meta])* $name:ident: $($feature:tt)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(());

        impl $name {
            /// The witness, if this CPU has the instructions. Cheap: the standard library keeps the answer.
            #[must_use]
            pub fn detect() -> Option<Self> {
                #[cfg(target_arch = "x86_64")]
                let has = $(std::arch::is_x86_feature_detected!($feature))&&+;
                #[cfg(not(target_arch = "x86_64"))]
                let has = false;
                has.then_some(Self(()))
            }
        }
    };
}

witness! {
    /// MULX (BMI2) and ADCX/ADOX (ADX): multiplication of large integers with two carry chains.
    Adx: "bmi2" "adx"
}
witness! {
    /// 256-bit integer vectors.
    Avx2: "avx2"
}
witness! {
    /// 512-bit integer vectors: the subsets F, BW, DQ and VL, which every CPU since Skylake-SP and Zen 4 has together.
    Avx512: "avx512f" "avx512bw" "avx512dq" "avx512vl"
}
witness! {
    /// 52-bit multiply-add on 512-bit vectors: [`Avx512`] and IFMA.
    Ifma: "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512ifma"
}
witness! {
    /// The SHA-1 and SHA-256 instructions.
    ShaNi: "sha" "sse2" "ssse3" "sse4.1"
}

/// The instruction sets that code of this crate may use. Clearing a flag turns the code for that set off; setting one
/// that the CPU lacks does nothing, for the code asks for a witness as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuFeatures {
    /// BMI2 and ADX, see [`Adx`].
    pub adx: bool,
    /// See [`Avx2`].
    pub avx2: bool,
    /// F, BW, DQ and VL, see [`Avx512`].
    pub avx512: bool,
    /// See [`Ifma`].
    pub ifma: bool,
}

impl CpuFeatures {
    /// None of them: portable code only.
    pub const PORTABLE: Self = Self { adx: false, avx2: false, avx512: false, ifma: false };

    /// What this CPU has.
    #[must_use]
    pub fn detect() -> Self {
        Self {
            adx: Adx::detect().is_some(),
            avx2: Avx2::detect().is_some(),
            avx512: Avx512::detect().is_some(),
            ifma: Ifma::detect().is_some(),
        }
    }

    /// The fastest implementation of the hashes within these features.
    #[must_use]
    pub fn lanes(self) -> Lanes {
        self.lanes_available().last().unwrap_or(Lanes::Scalar)
    }

    /// All implementations of the hashes within these features, from the slowest to the fastest.
    pub fn lanes_available(self) -> impl Iterator<Item = Lanes> {
        #[cfg(target_arch = "x86_64")]
        let wide = [
            self.avx2.then(Avx2::detect).flatten().map(Lanes::Avx2),
            self.avx512.then(Avx512::detect).flatten().map(Lanes::Avx512),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let wide: [Option<Lanes>; 0] = [];
        std::iter::once(Lanes::Scalar).chain(wide.into_iter().flatten())
    }
}

/// The names of the features in use, e.g. `adx avx2 avx512`, or `portable` without any.
impl fmt::Display for CpuFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [(self.adx, "adx"), (self.avx2, "avx2"), (self.avx512, "avx512"), (self.ifma, "ifma")];
        let mut names = names.into_iter().filter_map(|(has, name)| has.then_some(name));
        f.write_str(names.next().unwrap_or("portable"))?;
        names.try_for_each(|name| write!(f, " {name}"))
    }
}

/// Which implementation of the hashes runs. Other than [`Lanes::Scalar`] they come from [`CpuFeatures`] only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// One message at a time, on any CPU.
    Scalar,
    /// Eight messages (four of a hash with 64-bit words) in 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// Sixteen messages (eight of a hash with 64-bit words) in 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl fmt::Display for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_named() {
        assert_eq!(CpuFeatures::PORTABLE.to_string(), "portable");
        let some = CpuFeatures { adx: true, avx512: true, ..CpuFeatures::PORTABLE };
        assert_eq!(some.to_string(), "adx avx512");
        let all = CpuFeatures { adx: true, avx2: true, avx512: true, ifma: true };
        assert_eq!(all.to_string(), "adx avx2 avx512 ifma");
    }

    #[test]
    fn lanes_follow_the_flags_and_the_cpu() {
        assert_eq!(CpuFeatures::PORTABLE.lanes(), Lanes::Scalar);
        assert_eq!(CpuFeatures::PORTABLE.lanes_available().count(), 1);

        // A flag that the CPU does not bear out gives no lanes.
        let claimed = CpuFeatures { adx: true, avx2: true, avx512: true, ifma: true };
        let detected = CpuFeatures::detect();
        assert_eq!(claimed.lanes_available().collect::<Vec<_>>(), detected.lanes_available().collect::<Vec<_>>());
        assert_eq!(detected.lanes_available().last(), Some(detected.lanes()));
        let count = 1 + usize::from(detected.avx2) + usize::from(detected.avx512);
        assert_eq!(detected.lanes_available().count(), count);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_cleared_flag_turns_its_lanes_off() {
        let no_avx512 = CpuFeatures { avx512: false, ..CpuFeatures::detect() };
        assert!(no_avx512.lanes_available().all(|lanes| !matches!(lanes, Lanes::Avx512(_))));
    }
}
