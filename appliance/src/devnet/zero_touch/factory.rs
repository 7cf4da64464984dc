//! The factory of the devnet: a maker with his ceremony, the image of his boxes, and TPMs that are programs.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use dolmen_hsm_api::private;
use dolmen_image_bundle::{Sign as _, SignedManifest, SigningKey, Version};
use dolmen_image_disk::verity::RootHash;
use dolmen_provisioning_rehearsal::{self as rehearsal, Boot};
use openssl::pkey::PKey;

use super::{
    super::{
        devices::{Swtpm, TpmMaker},
        layout::Place,
        process,
        site::Site,
    },
    PluggedIn,
    join::Joining,
    organisation::{Organisation, text},
};
use crate::pledge::Provisioning;

/// The image that boxes run.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Of its root file system, which there is not.
const ROOT_HASH: [u8; 32] = [0xd0; 32];
/// The kind of the boxes: a number of the maker's, as in documentation (RFC 5612).
const HARDWARE: &str = "1.3.6.1.4.1.32473.1";

/// The factory.
pub(super) struct Factory {
    maker: PathBuf,
    image: PathBuf,
    tpms: TpmMaker,
    boot: Boot,
}

impl Factory {
    /// Whether a directory has one.
    pub(super) fn is_in(dir: &Path) -> bool {
        dir.join("maker/root.pem").exists()
    }

    /// The factory of a devnet, founded where there is none.
    pub(super) async fn open(dir: &Path) -> anyhow::Result<Self> {
        let tpms = TpmMaker::open(dir.join("tpms"))?;
        let this = Self { maker: dir.join("maker"), image: dir.join("image"), tpms, boot: Boot::default() };
        if !this.maker.join("root.pem").exists() {
            let init = ["masa", "init", "Devnet Works", "--hardware", HARDWARE, "--maker", text(&this.maker)?];
            process::run(init).await?;
        }
        if !this.image.exists() {
            this.release()?;
        }
        Ok(this)
    }

    /// Has boxes boot another kernel than the image's.
    pub(super) fn tamper(&mut self) {
        self.boot.firmware.push((4, "a root kit"));
    }

    /// Makes up an image, signed by a key of the devnet's own, and what a boot of it leaves for a box to read.
    fn release(&self) -> anyhow::Result<()> {
        // Whole or not there.
        let new = self.image.with_extension("new");
        if new.exists() {
            fs::remove_dir_all(&new).with_context(|| format!("cannot remove {}", new.display()))?;
        }
        fs::create_dir(&new).with_context(|| format!("cannot create {}", new.display()))?;
        let key = PKey::generate_ed25519()?;
        private::write_new(&new.join("release.key"), &key.private_key_to_pem_pkcs8()?)?;
        let key = SigningKey::from_pem(std::str::from_utf8(&key.private_key_to_pem_pkcs8()?)?)?;
        let public = PKey::public_key_from_raw_bytes(key.public_key().as_bytes(), openssl::pkey::Id::ED25519)?;
        let version: Version = VERSION.parse()?;
        let root_hash = RootHash::from_bytes(ROOT_HASH);
        let manifest = rehearsal::manifest(version, root_hash, &key.public_key(), &self.boot)?;
        let manifest = SignedManifest::sign(manifest, &key)?;
        let os_release = format!("IMAGE_ID=dolmen\nIMAGE_VERSION={VERSION}\n");
        let command_line = format!("roothash={}\n", alloy_primitives::hex::encode(ROOT_HASH));
        let files: [(&str, &[u8]); 7] = [
            ("release.pem", &public.public_key_to_pem()?),
            ("dolmen.json", manifest.json()),
            ("dolmen.json.sig", manifest.signature()),
            ("firmware.log", &self.boot.firmware_log()),
            ("userspace.log", &self.boot.userspace_log()),
            ("os-release", os_release.as_bytes()),
            ("command-line", command_line.as_bytes()),
        ];
        for (name, bytes) in files {
            fs::write(new.join(name), bytes).with_context(|| format!("cannot write {name} into {}", new.display()))?;
        }
        fs::rename(&new, &self.image).with_context(|| format!("cannot make {}", self.image.display()))
    }

    /// What an organisation asks of these boxes.
    pub(super) fn policy(&self) -> anyhow::Result<String> {
        let [root, issuer] = self.tpms.certificates()?;
        Ok(format!(
            "versions = [\"{VERSION}\"]\n# The image is signed by a key of this devnet, and its TPMs are programs.\n\
             test-keys = true\nhardware-only = false\nek-roots = ['''\n{root}''', '''\n{issuer}''']\n"
        ))
    }

    /// Makes a box, certifies it and sells it; powers its TPM on, whose firmware measures what it starts.
    pub(super) async fn make(
        &self,
        place: &Place,
        index: u16,
        site: &Site,
        registrars: Option<&[SocketAddr]>,
        owner: &Organisation,
    ) -> anyhow::Result<PluggedIn> {
        let serial_number = format!("DEVNET-{index:04}");
        let state = place.directory.join("tpm");
        self.tpms.make(&state)?;
        let tpm = Swtpm::start(&state, site.tpm())?;
        tpm.extend(&self.boot.digests())?;
        let [birth, certificate] = ["birth.json", "idevid.pem"].map(|name| place.directory.join(name));
        let maker = text(&self.maker)?;
        let idevid = ["keys", "idevid", "--tcti", &tpm.tcti()].map(str::to_owned);
        if !certificate.exists() {
            let born = ["--birth", text(&birth)?, "--serial", &serial_number].map(str::to_owned);
            process::run(idevid.iter().chain(&born)).await?;
            process::run(["masa", "certify", text(&birth)?, "--out", text(&certificate)?, "--maker", maker]).await?;
        }
        let install = ["--install", text(&certificate)?].map(str::to_owned);
        process::run(idevid.iter().chain(&install)).await?;
        let (root, vouchers) = (owner.root(), owner.vouchers());
        let to = ["--to", text(&root)?, "--out", text(&vouchers)?, "--maker", maker];
        process::run(["masa", "sell", &serial_number].iter().chain(&to)).await?;
        let settings = self.settings(place, registrars);
        let path = place.directory.join(Provisioning::FILE);
        fs::write(&path, toml::to_string(&settings)?).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(PluggedIn { joining: Joining::new(place.clone(), serial_number, owner.name), tpm })
    }

    /// What a box finds where its image has it; and the registrars, where they are announced on no network. None where no
    /// network leads to any.
    fn settings(&self, place: &Place, registrars: Option<&[SocketAddr]>) -> Provisioning {
        Provisioning {
            registrars: registrars.iter().copied().flatten().map(ToString::to_string).collect(),
            discover: registrars.is_some_and(<[_]>::is_empty),
            stick: place.directory.join("stick"),
            masa_roots: self.maker.join("root.pem"),
            endpoint: Some(place.p2p),
            firmware_log: self.image.join("firmware.log"),
            userspace_log: self.image.join("userspace.log"),
            os_release: self.image.join("os-release"),
            command_line: self.image.join("command-line"),
        }
    }
}
