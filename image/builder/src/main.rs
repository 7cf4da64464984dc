//! `dolmen-image`: builds, checks and compares images. Each subcommand has a module of its own; this file only parses
//! and dispatches.

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};

mod commands;

use commands::{build, compare, lock, root, usb, verify};

/// Builds the box's bootable image from a recipe, the same bytes every time.
#[derive(Parser)]
#[command(name = "dolmen-image", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find the recipe's packages in Debian's archive as it is today, and write them down.
    Lock(lock::LockArgs),
    /// Fetch the locked packages and install the root from them.
    Root(root::RootArgs),
    /// Build everything: disk, stick, bundle, manifest and bill of materials.
    Build(build::BuildArgs),
    /// Build the stick of an image that is there.
    Usb(usb::UsbArgs),
    /// Check the signatures and hashes of a bundle, a disk or a stick.
    Verify(verify::VerifyArgs),
    /// Say where two results, or two files of them, are not the same.
    Compare(compare::CompareArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Lock(arguments) => lock::run(&arguments),
        Command::Root(arguments) => root::run(&arguments),
        Command::Build(arguments) => build::run(&arguments),
        Command::Usb(arguments) => usb::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
    };
    result.unwrap_or_else(|error| {
        let mut out = anstream::stderr();
        let _ = writeln!(out, "error: {error}");
        for cause in error.chain().skip(1) {
            let _ = writeln!(out, "  because: {cause}");
        }
        ExitCode::FAILURE
    })
}
