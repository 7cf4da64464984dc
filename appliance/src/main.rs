//! `dolmen`: the box's one program. Each subcommand has a module of its own; this file only parses and dispatches.

use std::{io::Write as _, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

mod admin;
mod archive;
mod backends;
mod backup;
mod bench;
mod boot;
mod boxes;
mod ca;
mod ceremony;
mod claim;
mod config;
mod console;
mod devnet;
mod evm;
mod export;
mod genesis;
mod gov;
mod http;
mod import;
mod keys;
mod local_token;
mod logging;
mod masa;
mod pledge;
mod power_button;
mod registrar;
mod restart;
mod restore;
mod restored;
mod run;
mod secret_file;
mod status;
mod supervisor;
mod top;
mod update;
mod usb;
mod verify;

use self::restart::Ended;

/// How long a box that ended waits for its threads; nothing of its data is open by then.
const THREADS_END: Duration = Duration::from_secs(2);

/// Dolmen, the box that joins a chain: a permissioned Ethereum node with Byzantine fault tolerant finality.
#[derive(Parser)]
#[command(name = "dolmen", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one box until it is stopped.
    Run(run::RunArgs),
    /// Run the box of this machine, as its image does; a box that has no settings yet gets its keys and a chain first.
    Boot(boot::BootArgs),
    /// Run several boxes of a new or existing development chain on this machine.
    Devnet(devnet::DevnetArgs),
    /// Show the box on its own screen and serial line.
    Console(console::ConsoleArgs),
    /// Write, keep and leave versions of the image on a box of it.
    Update(update::UpdateArgs),
    /// Write sticks that install the image.
    Usb(usb::UsbArgs),
    /// Create and check genesis files.
    #[command(subcommand)]
    Genesis(genesis::GenesisCommand),
    /// Make, list, rotate and delete keys; have their devices attest and seal.
    Keys(Box<keys::KeysArgs>),
    /// Keep an organisation's root: certify its registrars, revoke, list.
    Ca(Box<ca::CaArgs>),
    /// The maker's ceremony: certify boxes at the factory, sign vouchers that say whose they are.
    Masa(Box<masa::MasaArgs>),
    /// Serve an organisation's boxes that join: vouchers, certificates, and their admission to the chain.
    Registrar(Box<registrar::RegistrarArgs>),
    /// Put a box in the place of another; take a box out of use.
    #[command(subcommand)]
    Box(boxes::BoxCommand),
    /// Show who governs a chain, and propose and vote on changes of it.
    Gov(Box<gov::GovArgs>),
    /// Show how a running box is doing.
    Status(status::StatusArgs),
    /// Show how a running box is doing, on this terminal, as it happens.
    Top(top::TopArgs),
    /// Copy a running box's chain, encrypted, to another place.
    Backup(backup::BackupArgs),
    /// Make a box's database from a backup.
    Restore(restore::RestoreArgs),
    /// Check every record of a stopped box's database.
    Verify(verify::VerifyArgs),
    /// Write blocks and their certificates to a file.
    Export(export::ExportArgs),
    /// Add the blocks of such a file to a stopped box's database.
    Import(import::ImportArgs),
    /// Measure.
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Work with the EVM alone.
    #[command(subcommand)]
    Evm(evm::EvmCommand),
}

fn main() -> ExitCode {
    backends::keys::silence_libraries();
    match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // Every error names its cause and the next step; the chain of causes goes on one line each.
            // Where they cannot be written, as into a log on a full disk, the exit status has to do.
            let mut out = anstream::stderr();
            let _ = writeln!(out, "error: {error}");
            for cause in error.chain().skip(1) {
                let _ = writeln!(out, "  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("dolmen")
        .build()
        .context("cannot start the runtime's threads")?;
    let passed = match command {
        Command::Run(args) => return ended(runtime, |runtime| runtime.block_on(run::run(args))),
        Command::Boot(args) => return ended(runtime, |runtime| runtime.block_on(boot::boot(args))),
        Command::Devnet(args) => runtime.block_on(devnet::devnet(args)).map(|()| true),
        Command::Console(args) => runtime.block_on(console::console(args)).map(|()| true),
        Command::Update(args) => runtime.block_on(update::update(args)),
        Command::Usb(args) => usb::usb(args).map(|()| true),
        Command::Genesis(command) => genesis::genesis(command).map(|()| true),
        Command::Keys(args) => keys::keys(*args),
        Command::Ca(args) => runtime.block_on(ca::ca(*args)).map(|()| true),
        Command::Masa(args) => runtime.block_on(masa::masa(*args)).map(|()| true),
        Command::Registrar(args) => runtime.block_on(registrar::registrar(*args)).map(|()| true),
        Command::Box(command) => runtime.block_on(boxes::boxes(command)).map(|()| true),
        Command::Gov(args) => runtime.block_on(gov::gov(*args)).map(|()| true),
        Command::Status(args) => runtime.block_on(status::status(args)),
        Command::Top(args) => runtime.block_on(top::top(args)).map(|()| true),
        Command::Backup(args) => backup::backup(args).map(|()| true),
        Command::Restore(args) => restore::restore(args).map(|()| true),
        Command::Verify(args) => verify::verify(args),
        Command::Export(args) => export::export(args).map(|()| true),
        Command::Import(args) => import::import(args).map(|()| true),
        Command::Bench(command) => runtime.block_on(bench::bench(command)).map(|()| true),
        Command::Evm(command) => evm::evm(command),
    }?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A box that is to begin again does, once nothing of it runs any more.
fn ended(runtime: Runtime, run: impl FnOnce(&Runtime) -> anyhow::Result<Ended>) -> anyhow::Result<ExitCode> {
    let ended = run(&runtime)?;
    runtime.shutdown_timeout(THREADS_END);
    match ended {
        Ended::Stopped => Ok(ExitCode::SUCCESS),
        Ended::Again => Err(restart::begin_again()),
    }
}
