//! `dolmen export`: blocks and their certificates in one file.

use std::path::PathBuf;

use clap::Args;
use dolmen_archive::Exported;

use crate::{
    archive::{self, Meter},
    config::BoxConfig,
};

/// Arguments of `dolmen export`.
#[derive(Args)]
#[command(after_help = "Examples:\n  dolmen export --config box.toml --out chain.blocks\n  \
    dolmen export --config box.toml --out more.blocks --from 4711 --to 9000 --json")]
pub(crate) struct ExportArgs {
    /// The box's settings. The box may be running.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The file to write; must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The first block.
    #[arg(long, value_name = "HEIGHT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    from: u64,
    /// The last block; if not given, the last one that there is.
    #[arg(long, value_name = "HEIGHT")]
    to: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Writes the file.
pub(crate) fn export(args: ExportArgs) -> anyhow::Result<()> {
    archive::raise_open_files();
    let config = BoxConfig::load(&args.config)?;
    let (chain, database) = (archive::chain(&config)?, archive::database(&config));
    let mut meter = Meter::new();
    let watch = &mut |progress| meter.show(progress);
    let exported = dolmen_archive::export(&chain, &database, &args.out, args.from, args.to, watch)?;
    drop(meter);
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&exported)?);
        return Ok(());
    }
    let Exported { from, to, certificates, left_out, bytes } = exported;
    anstream::println!("{}: blocks {from} to {to} with {certificates} certificates, {bytes} bytes", args.out.display());
    if left_out > 0 {
        anstream::println!("left out {left_out} later blocks that no certificate proves yet");
    }
    Ok(())
}
