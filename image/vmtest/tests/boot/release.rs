//! The next version of an image: the same root under another hash tree, so that it has a root hash of its own, and a
//! boot file for it that may be broken. Signed by the test keys, as the builder does it.

use std::io::Cursor;

use anyhow::{Context as _, Result, ensure};
use dolmen_image_bundle::{Manifest, PART_NAMES, Part, SignedManifest, Version, write};
use dolmen_image_disk::verity::{self, BLOCK_BYTES, RootHash, Salt, Superblock};
use dolmen_image_uki::{
    authenticode,
    key::PublicKey,
    measure::{PcrSignatures, Phase, uki},
    pe::Image as Pe,
};
use dolmen_image_vmtest::Keys;
use openssl::pkey::PKey;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

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
    /// The patch version after the image's.
    pub(crate) fn after(image: &Image, fault: Fault) -> Result<Self> {
        let mut version = image.manifest.version.clone();
        version.patch += 1;
        let [boot, old_uki, _, root] = image.parts()?;

        let seed: [u8; 32] = Sha256::digest(version.to_string()).into();
        let data_blocks = (root.len() / BLOCK_BYTES) as u64;
        let salt = Salt::new(&seed).context("a salt of 32 bytes")?;
        let superblock = Superblock { uuid: Uuid::from_slice(&seed[..16])?, data_blocks, salt };
        let mut tree = Cursor::new(Vec::new());
        let root_hash = verity::format(&mut &root[..], &mut tree, &superblock, &mut |_| {})?;
        let tree = tree.into_inner();

        let uki = boot_file(&old_uki, &image.manifest, &version, &root_hash.to_string(), fault)?;
        let contents = [&boot[..], &uki, &tree, &root];
        let mut parts = Vec::new();
        for (name, content) in PART_NAMES.into_iter().zip(contents) {
            parts.push(Part::of(name, content)?);
        }
        let parts = <[Part; 4]>::try_from(parts).map_err(|_| anyhow::anyhow!("a bundle has four parts"))?;
        let manifest = Manifest { version: version.clone(), root_hash, parts, ..image.manifest.clone() };
        let signed = SignedManifest::sign(manifest, &signing_key()?)?;
        let mut bundle = Vec::new();
        let [boot, uki, tree, root] = &mut contents.map(|content| content);
        write(&mut bundle, &signed, [boot, uki, tree, root])?;
        Ok(Self { version, root_hash, root: root_hash.to_string()[..8].to_owned(), bundle })
    }
}

/// A boot file like another, for this root and with this fault, signed anew.
fn boot_file(old: &[u8], of: &Manifest, version: &Version, root_hash: &str, fault: Fault) -> Result<Vec<u8>> {
    let mut file = authenticode::remove(old)?;
    let text = |file: &[u8], section: &str| -> Result<String> {
        let image = Pe::parse(file)?;
        let section = image.section(section).with_context(|| format!("the boot file has no {section}"))?;
        Ok(String::from_utf8(image.data(section).to_vec())?)
    };
    let (command_line, os_release) = (text(&file, ".cmdline")?, text(&file, ".osrel")?);
    let old_hash = format!("roothash={}", of.root_hash);
    ensure!(command_line.contains(&old_hash), "{command_line:?} has not {old_hash}");
    let command_line = command_line.replace(&old_hash, &format!("roothash={root_hash}"));
    let command_line = format!("{}{}", command_line.trim_end_matches(['\0', '\n']), fault.words());
    replace(&mut file, ".cmdline", &command_line)?;
    replace(&mut file, ".osrel", &os_release.replace(&of.version.to_string(), &version.to_string()))?;

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
