//! Fuzz targets for all that reads untrusted bytes on a box's way to its chain: certificates, vouchers, what TPMs state,
//! letters, calls to the registrar and its answers, journals, images and disks.
//!
//! Each [`Target`] says more than that nothing panics: what is taken is the same once it is written again, wherever it can
//! be, and nothing that was changed is trusted. Inputs begin as what the encoders write. Where a signature or checksum
//! would hide the decoder, the target makes it right after the change, so that what is behind it is reached.
//!
//! - The short form is in `tests/targets.rs` and runs with all other tests: some thousand changed inputs for each target,
//!   the same ones every time.
//! - The long form is `make fuzz`: libFuzzer, guided by what code an input reaches, with the same targets and changes
//!   (`src/main.rs`). `DOLMEN_FUZZ_SECONDS` says how long for each of them.
//! - What the long form found lies in `regressions/TARGET`, and the short form begins with it.

mod appraisal;
mod ca;
mod chain;
mod disk;
mod evidence;
mod image;
mod journal;
pub mod mutation;
mod pledge;
mod registrar;
mod stick;
mod target;
mod tpm;
mod uki;
mod voucher;
mod world;

pub use target::Target;

/// All targets.
#[must_use]
pub fn targets() -> Vec<Target> {
    [
        ca::TARGETS,
        voucher::TARGETS,
        evidence::TARGETS,
        appraisal::TARGETS,
        chain::TARGETS,
        stick::TARGETS,
        registrar::TARGETS,
        pledge::TARGETS,
        journal::TARGETS,
        image::TARGETS,
        uki::TARGETS,
        disk::TARGETS,
    ]
    .concat()
}
