//! `dolmen-image lock`.

use std::process::ExitCode;

use clap::Args;
use dolmen_image_builder::{
    file,
    lock::{Lock, resolve},
    progress::Progress,
    recipe::Recipe,
};

use super::SourceArgs;

/// Examples:
///   dolmen-image lock
///   git diff image/recipes/box.lock        what changed since the last time
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct LockArgs {
    #[command(flatten)]
    source: SourceArgs,
}

pub(crate) fn run(arguments: &LockArgs) -> anyhow::Result<ExitCode> {
    let (progress, places) = (Progress::shown(), arguments.source.places(None)?);
    let recipe = Recipe::read(&places.recipe)?;
    let folder = tempfile::tempdir()?;
    progress.note(&format!("looking up packages of {}", recipe.debian.suite));
    let [install, unpack, tools] = resolve(&recipe.debian, &places.mirror()?, folder.path())?;
    let lock = Lock::new(recipe.debian, install, unpack, tools);
    let path = places.lock();
    file::write(&path, lock.text().as_bytes())?;
    let (install, unpack, tools) = (lock.install.len(), lock.unpack.len(), lock.tools.len());
    progress.note(&format!("{}: {install} to install, {unpack} to unpack, {tools} for tools", path.display()));
    Ok(ExitCode::SUCCESS)
}
