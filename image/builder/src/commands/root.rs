//! `dolmen-image root`.

use std::process::ExitCode;

use clap::Args;
use dolmen_image_builder::{materials, progress::Progress, root};

use super::{SourceArgs, say};

/// Examples:
///   dolmen-image root                      prints where the root's archive is
///   tar --list --file "$(dolmen-image root)"
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct RootArgs {
    #[command(flatten)]
    source: SourceArgs,
}

pub(crate) fn run(arguments: &RootArgs) -> anyhow::Result<ExitCode> {
    let (progress, places) = (Progress::shown(), arguments.source.places(None)?);
    let (recipe, lock) = materials::recipe_and_lock(&places)?;
    let debs = materials::fetch(&places, &lock, &progress)?;
    let archive = root::root(&lock, recipe.epoch, &debs, &places.cache, &progress)?;
    say(&archive.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}
