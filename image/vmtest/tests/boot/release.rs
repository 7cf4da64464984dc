//! The next version of an image, whose boot file may be broken. Signed by the test keys, as the builder does it.

use anyhow::{Context as _, Result, ensure};
use dolmen_image_bundle::{Manifest, PART_NAMES, Part, SignedManifest, Version, write};
use dolmen_image_disk::verity::RootHash;
use dolmen_image_uki::{
    authenticode,
    key::PublicKey,
    measure::{PcrSignatures, Phase, uki},
    pe::Image as Pe,
};
use dolmen_image_vmtest::Keys;
use openssl::pkey::PKey;

use crate::image::{Image, pcr_keys, signing_key};

/// A release.
pub(crate) struct Release {
    pub(crate) version: Version,
    pub(crate) root_hash: RootHash,
    /// The first eight digits of its root hash.
    pub(crate) root: String,
    pub(crate) bundle: Vec<u8>,
}

/// What its boot file adds to the kernel's command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// No first process: the kernel panics.
    Panic,
    /// systemd ends where it does when something that it needs fails.
    Emergency,
    /// systemd starts neither the node nor what waits for it.
    NoNode,
    /// The node finds no TPM, where its keys are, and so does not come up; all else does.
    NoKeys,
}

impl Fault {
    const fn words(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Panic => " rdinit=/nothing-there",
            Self::Emergency => " systemd.unit=emergency.target",
            Self::NoNode => " systemd.unit=basic.target",
            Self::NoKeys => " systemd.setenv=TCTI=device:/dev/none",
        }
    }
}

impl Release {
    /// The version after the image's.
    pub(crate) fn after(image: &Image, fault: Fault) -> Result<Self> {
        let next = Image::next()?;
        let version = next.manifest.version.clone();
        ensure!(version > image.manifest.version, "{version} is to be the version after {}", image.manifest.version);
        let [boot, mut uki, tree, root] = next.parts()?;
        if fault != Fault::None {
            uki = boot_file(&uki, fault)?;
        }
        let contents = [&boot[..], &uki, &tree, &root];
        let mut parts = Vec::new();
        for (name, content) in PART_NAMES.into_iter().zip(contents) {
            parts.push(Part::of(name, content)?);
        }
        let parts = <[Part; 4]>::try_from(parts).map_err(|_| anyhow::anyhow!("a bundle has four parts"))?;
        let root_hash = next.manifest.root_hash;
        let signed = SignedManifest::sign(Manifest { parts, ..next.manifest }, &signing_key()?)?;
        let mut bundle = Vec::new();
        let [boot, uki, tree, root] = &mut contents.map(|content| content);
        write(&mut bundle, &signed, [boot, uki, tree, root])?;
        Ok(Self { version, root_hash, root: root_hash.to_string()[..8].to_owned(), bundle })
    }
}

/// The same boot file with this fault, signed anew.
fn boot_file(old: &[u8], fault: Fault) -> Result<Vec<u8>> {
    let mut file = authenticode::remove(old)?;
    let image = Pe::parse(&file)?;
    let section = image.section(".cmdline").context("the boot file has no command line")?;
    let command_line = String::from_utf8(image.data(section).to_vec())?;
    let command_line = format!("{}{}", command_line.trim_end_matches(['\0', '\n']), fault.words());
    replace(&mut file, ".cmdline", &command_line)?;

    let (private, public) = pcr_keys()?;
    let measured = uki(&Pe::parse(&file)?)?;
    let (private, public) = (PKey::private_key_from_pem(private.as_bytes())?, PublicKey::from_pem(&public)?);
    let signatures = PcrSignatures::sign(&measured, &[&[Phase::EnterInitrd]], &private, &public)?;
    replace(&mut file, ".pcrsig", &signatures.json())?;
    Ok(Keys::test()?.db[0].sign(&file)?)
}

/// Gives a section another text, which has to fit where the old one is.
fn replace(file: &mut [u8], section: &str, text: &str) -> Result<()> {
    let number = |file: &[u8], at: usize| -> Result<usize> {
        let bytes = file.get(at..).and_then(|rest| rest.first_chunk()).context("the boot file ends early")?;
        Ok(usize::try_from(u32::from_le_bytes(*bytes))?)
    };
    // The PE header has the number of sections and the length of the optional header, behind which they are.
    let pe = number(file, 60)?;
    let (count, optional) = (number(file, pe + 6)? & 0xffff, number(file, pe + 20)? & 0xffff);
    let entries = (0..count).map(|index| pe + 24 + optional + 40 * index);
    let mut name = [0; 8];
    name[..section.len()].copy_from_slice(section.as_bytes());
    let mut entries = entries.filter(|at| file.get(*at..at + 8) == Some(&name[..]));
    let entry = entries.next().with_context(|| format!("the boot file has no {section}"))?;
    let (room, at) = (number(file, entry + 16)?, number(file, entry + 20)?);
    ensure!(text.len() <= room, "{section} has room for {room} bytes, {} are needed", text.len());
    file[at..at + room].fill(0);
    file[at..at + text.len()].copy_from_slice(text.as_bytes());
    file[entry + 8..entry + 12].copy_from_slice(&u32::try_from(text.len())?.to_le_bytes());
    Ok(())
}
