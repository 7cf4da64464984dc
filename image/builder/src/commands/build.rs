//! `dolmen-image build`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Args;
use dolmen_image_builder::{image, materials::Materials, progress::Progress, stick};
use dolmen_image_bundle::{SecurityVersion, Version};

use super::{SigningArgs, SourceArgs, seconds, workspace};

/// Examples:
///   dolmen-image build --dolmen target/release/dolmen
///   dolmen-image build --dolmen target/release/dolmen --production --keys /media/keys
///   dolmen-image build --dolmen target/release/dolmen --image-version 0.2.0 --no-usb --out out/next
///
/// Run it in a checkout of Dolmen. The result has dolmen.img, dolmen-usb.img, dolmen-VERSION.bundle, manifest.json,
/// manifest.json.sig and sbom.json. Built again from the same commit it is the same, byte for byte.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    signing: SigningArgs,
    /// Where the result goes.
    #[arg(long, value_name = "DIR", default_value = "out/image")]
    out: PathBuf,
    /// The node, as cargo builds it for release; it is stripped.
    #[arg(long, value_name = "FILE")]
    dolmen: PathBuf,
    /// The image's version.
    #[arg(long, value_name = "VERSION", default_value = env!("CARGO_PKG_VERSION"))]
    image_version: Version,
    /// Its security version [default: the recipe's].
    #[arg(long, value_name = "NUMBER")]
    security_version: Option<SecurityVersion>,
    /// The first process of a box [default: built with cargo].
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// What opens a box's data partition [default: built with cargo].
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// The first process of a stick [default: built with cargo].
    #[arg(long, value_name = "FILE")]
    installer: Option<PathBuf>,
    /// Build no stick.
    #[arg(long)]
    no_usb: bool,
}

pub(crate) fn run(arguments: &BuildArgs) -> anyhow::Result<ExitCode> {
    let progress = Progress::shown();
    let places = arguments.source.places(arguments.signing.keys.as_deref())?;
    let materials = Materials::gather(&places, arguments.signing.production, &progress)?;
    let workspace = workspace()?;
    let recipe = &materials.recipe;
    let from_recipe = SecurityVersion::new(recipe.security_version).context("the recipe's security-version is none")?;
    let request = image::Request {
        version: arguments.image_version.clone(),
        security_version: arguments.security_version.unwrap_or(from_recipe),
        seconds: seconds(recipe, &workspace)?,
        dolmen: arguments.dolmen.clone(),
        initrd: arguments.initrd.clone(),
        data: arguments.data.clone(),
        overlay: places.overlay(),
        cache: places.cache.clone(),
        out: arguments.out.clone(),
        workspace: workspace.clone(),
    };
    let image = image::build(&request, &materials, &progress)?;
    if !arguments.no_usb {
        let (seconds, installer) = (request.seconds, arguments.installer.clone());
        let request = stick::Request { seconds, installer, workspace, out: arguments.out.clone() };
        stick::build(&request, &image, &materials, &progress)?;
    }
    if materials.keys.test {
        progress.note("signed with test keys, which everybody has: for tests alone");
    }
    progress.note(&format!("done: {}", arguments.out.display()));
    Ok(ExitCode::SUCCESS)
}
