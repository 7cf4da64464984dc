//! `dolmen-image compare`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use dolmen_image_builder::compare::compare;

use super::say;

/// Examples:
///   dolmen-image compare out/image out/again
///   dolmen-image compare out/image/dolmen.img /media/release/dolmen.img
///
/// Exits with 1 if they are not the same.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CompareArgs {
    /// A result's folder, or a file of one.
    #[arg(value_name = "A")]
    first: PathBuf,
    /// The other.
    #[arg(value_name = "B")]
    second: PathBuf,
}

pub(crate) fn run(arguments: &CompareArgs) -> anyhow::Result<ExitCode> {
    let differences = compare(&arguments.first, &arguments.second)?;
    for difference in &differences {
        say(difference)?;
    }
    if differences.is_empty() {
        say("the same")?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}
