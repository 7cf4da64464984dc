//! `dolmen backup`: an encrypted copy of a running box's chain.

use std::path::PathBuf;

use clap::Args;
use dolmen_archive::{BackupKind, Recipients};
use serde_json::json;

use crate::{
    archive::{self, Meter},
    config::BoxConfig,
};

/// Arguments of `dolmen backup`.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    dolmen backup --config box.toml --to /mnt/backup --recipient age1...\n  \
    dolmen backup --config box.toml --to /mnt/backup --recipient-file recipients.txt --full --json")]
pub(crate) struct BackupArgs {
    /// The box's settings. The box may be running.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The directory of the backups; made if it is missing. What is there already is added to.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// A public key of `age-keygen` whose secret half opens the backup; once for each.
    #[arg(long = "recipient", value_name = "age1...")]
    recipients: Vec<String>,
    /// A file with a public key a line; once for each.
    #[arg(long = "recipient-file", value_name = "FILE")]
    recipient_files: Vec<PathBuf>,
    /// Back up everything, not the blocks since the last backup alone.
    #[arg(long)]
    full: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Makes a backup.
pub(crate) fn backup(args: BackupArgs) -> anyhow::Result<()> {
    archive::raise_open_files();
    let mut keys = args.recipients;
    for path in &args.recipient_files {
        keys.extend(Recipients::lines_of(path)?);
    }
    let recipients = Recipients::parse(keys.iter().map(String::as_str))?;
    let config = BoxConfig::load(&args.config)?;
    let (chain, database) = (archive::chain(&config)?, archive::database(&config));
    let mut meter = Meter::new();
    let watch = &mut |progress| meter.show(progress);
    let made = dolmen_archive::backup(&chain, &database, &args.to, &recipients, args.full, watch)?;
    drop(meter);
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&json!({ "backup": made }))?);
        return Ok(());
    }
    let Some(made) = made else {
        anstream::println!("{}: no block was proven since the last backup", args.to.display());
        return Ok(());
    };
    let kind = match made.kind {
        BackupKind::Full => "full",
        BackupKind::Incremental => "incremental",
    };
    let bytes: u64 = made.files.iter().map(|file| file.bytes).sum();
    anstream::println!(
        "{}: {kind} backup {} of blocks {} to {}, {bytes} bytes, for {} recipients",
        args.to.display(),
        made.number,
        made.from,
        made.to,
        made.recipients.len()
    );
    Ok(())
}
