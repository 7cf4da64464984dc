//! `dolmen restore`: a box's chain from a backup.

use std::path::PathBuf;

use clap::Args;
use dolmen_archive::{Identities, Restored};

use crate::{
    archive::{self, Meter},
    config::BoxConfig,
};

/// Arguments of `dolmen restore`.
#[derive(Args)]
#[command(after_help = "Examples:\n  dolmen restore --from /mnt/backup --identity key.txt --config box.toml\n  \
    dolmen restore --from /mnt/backup --identity key.txt --config box.toml --json")]
pub(crate) struct RestoreArgs {
    /// The directory of the backups.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// A file of `age-keygen` with the secret half of a recipient's key.
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// The box's settings. Its data_dir must be empty.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Restores the box's database.
pub(crate) fn restore(args: RestoreArgs) -> anyhow::Result<()> {
    archive::raise_open_files();
    let identities = Identities::read(&args.identity)?;
    let config = BoxConfig::load(&args.config)?;
    let chain = archive::chain(&config)?;
    let mut meter = Meter::new();
    let watch = &mut |progress| meter.show(progress);
    let (data_dir, options) = (&config.data_dir, config.history.options());
    let restored = dolmen_archive::restore(&chain, &args.from, &identities, data_dir, options, watch)?;
    drop(meter);
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&restored)?);
        return Ok(());
    }
    let Restored { loaded, head, hash, backups } = restored;
    anstream::println!(
        "{}: block {head} ({hash}), from {backups} backups; the state is kept from block {loaded}",
        data_dir.display()
    );
    anstream::println!("start the box: it fetches what is newer, and what other boxes ask it for, from its peers");
    Ok(())
}
