//! `dolmen-image verify`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use dolmen_image_builder::verify::{PublicKeys, verify};

use super::{TEST_KEYS, say};

/// Examples:
///   dolmen-image verify out/image/dolmen-0.1.0.bundle
///   dolmen-image verify out/image/dolmen.img --keys /media/keys
///   dolmen-image verify /dev/sdb           a stick that was written
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct VerifyArgs {
    /// A bundle, a disk or a stick.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder with db.crt, pcr.pub and release.pem; private keys are not needed.
    #[arg(long, value_name = "DIR", default_value = TEST_KEYS)]
    keys: PathBuf,
}

pub(crate) fn run(arguments: &VerifyArgs) -> anyhow::Result<ExitCode> {
    for line in verify(&arguments.file, &PublicKeys::read(&arguments.keys)?)? {
        say(&line)?;
    }
    Ok(ExitCode::SUCCESS)
}
