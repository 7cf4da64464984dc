//! `dolmen-image usb`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use dolmen_image_builder::{
    file,
    materials::Materials,
    progress::Progress,
    result::{MANIFEST, SIGNATURE},
    stick,
};
use dolmen_image_bundle::SignedManifest;

use super::{SigningArgs, SourceArgs, workspace};

/// Examples:
///   dolmen-image usb                       of the image in out/image
///   dolmen-image usb --image /srv/release --production --keys /media/keys
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct UsbArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    signing: SigningArgs,
    /// The folder with the image, where the stick goes too.
    #[arg(long, value_name = "DIR", default_value = "out/image")]
    image: PathBuf,
    /// The first process of a stick [default: built with cargo].
    #[arg(long, value_name = "FILE")]
    installer: Option<PathBuf>,
}

pub(crate) fn run(arguments: &UsbArgs) -> anyhow::Result<ExitCode> {
    let progress = Progress::shown();
    let places = arguments.source.places(arguments.signing.keys.as_deref())?;
    let materials = Materials::gather(&places, arguments.signing.production, &progress)?;
    let signature = arguments.image.join(SIGNATURE);
    let bytes = file::read(&signature)?.try_into().ok();
    let bytes = bytes.with_context(|| format!("{} is no signature of 64 bytes", signature.display()))?;
    let json = file::read(&arguments.image.join(MANIFEST))?;
    let image = SignedManifest::verify(json, bytes, &[materials.keys.release])
        .context("the image is not by the keys of this stick: name them with --keys DIR")?;
    let request = stick::Request {
        // A stick is as old as its image.
        seconds: image.manifest().created,
        installer: arguments.installer.clone(),
        workspace: workspace()?,
        out: arguments.image.clone(),
    };
    stick::build(&request, &image, &materials, &progress)?;
    Ok(ExitCode::SUCCESS)
}
