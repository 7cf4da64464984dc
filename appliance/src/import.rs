//! `dolmen import`: blocks from a file, proven and executed.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use dolmen_archive::Imported;
use dolmen_store::Store;

use crate::{
    archive::{self, Meter},
    config::BoxConfig,
};

/// Arguments of `dolmen import`.
#[derive(Args)]
#[command(after_help = "Examples:\n  dolmen import --config box.toml chain.blocks\n  \
    dolmen import --config box.toml more.blocks --json")]
pub(crate) struct ImportArgs {
    /// The box's settings. The box must be stopped.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The file of a `dolmen export`.
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Reads the file.
pub(crate) fn import(args: ImportArgs) -> anyhow::Result<()> {
    archive::raise_open_files();
    let config = BoxConfig::load(&args.config)?;
    let chain = archive::chain(&config)?;
    let store = Arc::new(Store::open(&archive::database(&config), chain.origin(), config.history.options())?);
    let mut meter = Meter::new();
    let imported = dolmen_archive::import(&chain, &store, &args.file, &mut |progress| meter.show(progress))?;
    drop(meter);
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&imported)?);
        return Ok(());
    }
    let Imported { imported, skipped, left_out, head } = imported;
    anstream::println!("imported {imported} blocks, {skipped} were there; the last block is {head}");
    if left_out > 0 {
        anstream::println!("left out {left_out} blocks at the end of the file that no certificate proves");
    }
    Ok(())
}
