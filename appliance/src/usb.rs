//! `dolmen usb`: sticks that install the image.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use dolmen_archive::Progress;
use dolmen_image_installer::usb::{self, Phase};

use crate::archive::Meter;

/// Arguments of `dolmen usb`.
#[derive(Args)]
pub(crate) struct UsbArgs {
    #[command(subcommand)]
    command: UsbCommand,
}

#[derive(Subcommand)]
enum UsbCommand {
    /// Write a stick and read it back. All that was on it is lost.
    #[command(after_help = "Example:\n  dolmen usb write --device /dev/sdX dolmen-usb.img")]
    Write {
        /// The image of a stick, dolmen-usb.img.
        image: PathBuf,
        /// The whole stick, not a partition of it.
        #[arg(long, value_name = "DEVICE")]
        device: PathBuf,
        /// Write to a disk that is neither removable nor on USB.
        #[arg(long)]
        force: bool,
    },
}

/// Runs a subcommand.
pub(crate) fn usb(args: UsbArgs) -> anyhow::Result<()> {
    let UsbCommand::Write { image, device, force } = args.command;
    let mut meter = Meter::new();
    let written = usb::write(&image, &device, force, &mut |progress| {
        let step = match progress.phase {
            Phase::Write => "bytes written",
            Phase::Sync => "waiting for the stick",
            Phase::Compare => "bytes read back",
        };
        meter.show(Progress { step, done: progress.done, total: progress.all });
    })?;
    drop(meter);
    anstream::println!("{}: {} bytes written and read back; the stick can be pulled", device.display(), written.bytes);
    Ok(())
}
