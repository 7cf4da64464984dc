//! `dolmen box`: the end of a box, and another in its place.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Subcommand;
use dolmen_hsm_api::{KeyError, KeyUri};
use dolmen_provisioning_appraisal::Serial;

use crate::{
    backends::keys::Keys,
    boot::{self, Belongings},
    pledge::{self, Home, Report},
    registrar,
    run::VOTE_LOG,
};

/// How long a box looks for its registrar that is decommissioned: some rounds.
const LEAVE_MAX: Duration = Duration::from_secs(60);

/// Subcommands of `dolmen box`.
#[derive(Subcommand)]
pub(crate) enum BoxCommand {
    /// At the registrar: have another box take the place of one that is dead. The new one is plugged in and has come; it
    /// need not be approved any more. The chain retires the dead one's key in the step that admits the new one's, so that
    /// it can never vote again, and its certificates are revoked.
    #[command(after_help = "Example:\n  dolmen box replace BOX-0001 --with BOX-0009 --yes")]
    Replace {
        /// The dead box's serial number.
        serial: Serial,
        /// The new one's.
        #[arg(long = "with", value_name = "SERIAL")]
        new: Serial,
        /// The registrar's directory.
        #[arg(long, value_name = "DIR", default_value = "registrar")]
        registrar: PathBuf,
        /// Who does this, for the journal.
        #[arg(long, value_name = "NAME", default_value = "operator")]
        by: String,
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
    /// On the box, which is stopped: tell its registrar, which revokes its certificates and has the chain retire its key;
    /// then delete its keys, its chain, and what it knows of its owner. It is as it came from the factory then, and follows
    /// none of the vouchers that it followed before.
    #[command(after_help = "Example:\n  dolmen box decommission --dir /data/dolmen --yes")]
    Decommission {
        /// Where the box keeps all that is its own.
        #[arg(long, value_name = "DIR", default_value = "/data/dolmen")]
        dir: PathBuf,
        /// Do it: no copy of the keys is anywhere else.
        #[arg(long)]
        yes: bool,
        /// Tell nobody, where no registrar can be reached: revoke the box there.
        #[arg(long)]
        alone: bool,
    },
}

/// Runs a subcommand.
pub(crate) async fn boxes(command: BoxCommand) -> anyhow::Result<()> {
    match command {
        BoxCommand::Replace { serial, new, registrar, by, yes } => {
            ensure!(yes, "{serial} would never vote again; say --yes to have {new} take its place");
            registrar::replace(&registrar, &by, serial, new).await
        }
        BoxCommand::Decommission { dir, yes, alone } => {
            ensure!(yes, "the keys of {} would be gone for good; say --yes to delete them", dir.display());
            decommission(&dir, alone).await
        }
    }
}

/// The keys go first, so that power lost on the way leaves a box that signs nothing; the settings, which name them, last.
async fn decommission(directory: &Path, alone: bool) -> anyhow::Result<()> {
    let Belongings { keys: settings, data, p2p } = boot::belongings(directory)?;
    let serial_number = Report::load(directory).map(|report| report.serial_number);
    let keys = Arc::new(Keys::new(settings.devices.clone())?);
    // A box that runs holds its log of votes.
    let _votes = match File::open(keys.dir().join(VOTE_LOG)) {
        Ok(votes) => {
            votes.try_lock().with_context(|| format!("the box of {} runs; stop it first", directory.display()))?;
            Some(votes)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).context("cannot read the box's log of votes"),
    };
    let is_owned = pledge::is_owned(directory);
    if is_owned && !alone {
        let consensus = keys.store(&settings.consensus)?.open(&settings.consensus).context(
            "the box's key, by which its registrar knows it, cannot be opened; where an earlier decommission was cut short \
             after it deleted the key, say --alone to finish it",
        )?;
        let home = Home { directory: directory.to_owned(), keys: keys.clone(), consensus, p2p };
        pledge::leave(home, LEAVE_MAX).await.context(
            "the box's registrar was not told, so that its certificates would stay good; let it reach its registrar, or say \
             --alone and revoke the box there",
        )?;
        anstream::println!("its registrar revoked its certificates, and has the chain retire its key");
    }
    let ldevid: KeyUri = pledge::LDEVID.parse().context("the name of the certificate's key")?;
    for uri in [Some(&settings.consensus), Some(&settings.tls), settings.api.as_ref(), Some(&ldevid)] {
        let Some(uri) = uri else { continue };
        match keys.store(uri)?.delete(uri) {
            Ok(()) => anstream::println!("{uri} is gone"),
            Err(KeyError::NotFound(_)) => {}
            Err(error) => return Err(error).with_context(|| format!("{uri} cannot be deleted")),
        }
    }
    remove(&data)?;
    remove(keys.dir())?;
    for file in pledge::FILES.into_iter().chain(boot::FILES) {
        remove(&directory.join(file))?;
    }
    match serial_number {
        Some(serial) if is_owned && alone => anstream::println!(
            "the box is nobody's; have its registrar revoke it: \
             `dolmen registrar revoke {serial} --reason decommissioned --yes`"
        ),
        _ => anstream::println!("the box is as new"),
    }
    Ok(())
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
