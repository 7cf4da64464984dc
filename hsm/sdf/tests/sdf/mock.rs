//! The device: a directory with its library, its keys and its faults.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
};

use dolmen_accel_api::{BatchVerifier as _, Verdict, VerifyJob};
use dolmen_hsm_api::{Algorithm, Domain, KeyError, KeyUri, Message, Signer};
use dolmen_hsm_sdf::{Device, Library, SdfConfig, SdfStore, Session};
use futures::executor::block_on;
use tempfile::TempDir;

/// What the device's maker answers for a key that is locked.
pub(crate) const LOCKED: u32 = 0x0100_0021;
pub(crate) const PASSWORD: &str = "planted-88";

/// A device with the signing keys 1 to 3 and the key-encryption key 1.
pub(crate) struct Mock {
    directory: TempDir,
}

impl Mock {
    pub(crate) fn new() -> Self {
        let mock = Self { directory: tempfile::tempdir().expect("a directory") };
        fs::write(mock.library(), compiled()).expect("the library is written");
        for index in 1..=3 {
            mock.set_key(index);
        }
        mock.set("kek-1", &const_hex::encode(rand::random::<[u8; 16]>()));
        mock.set("password", PASSWORD);
        mock.pin("pin", PASSWORD);
        mock
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.path("libsdf.so")
    }

    /// Writes one of the files that the device reads.
    pub(crate) fn set(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("the file is written");
    }

    pub(crate) fn unset(&self, name: &str) {
        fs::remove_file(self.path(name)).expect("the file is there");
    }

    /// Puts a new key at an index.
    pub(crate) fn set_key(&self, index: u32) {
        self.set(&format!("key-{index}"), &const_hex::encode(rand::random::<[u8; 32]>()));
    }

    /// Makes all sessions invalid that are open.
    pub(crate) fn forget(&self) {
        let before = fs::read_to_string(self.path("forget")).map_or(0_u32, |text| text.parse().expect("a number"));
        self.set("forget", &(before + 1).to_string());
    }

    /// Writes a file with a password for the program, mode 0600.
    pub(crate) fn pin(&self, name: &str, password: &str) -> PathBuf {
        self.set(name, &format!("{password}\n"));
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).expect("the mode is set");
        self.path(name)
    }

    /// What the device counted: `sessions`, `devices`, `access`, `wrong`, `leaked` or `overlaps`.
    pub(crate) fn count(&self, what: &str) -> usize {
        let counts = fs::read_to_string(self.path("counts")).unwrap_or_default();
        let line = counts.lines().find_map(|line| line.strip_prefix(what));
        line.map_or(0, |number| number.trim().parse().expect("a number"))
    }

    pub(crate) fn config(&self) -> SdfConfig {
        SdfConfig {
            module_path: Some(self.library()),
            pin_source: Some(self.path("pin")),
            locked_codes: vec![LOCKED],
            ..SdfConfig::default()
        }
    }

    pub(crate) fn store(&self) -> SdfStore {
        SdfStore::new(self.config())
    }

    /// The device without a store around it.
    pub(crate) fn open(&self) -> Arc<Device> {
        let library = Library::load(&self.library()).expect("the library loads");
        Device::open(&library).expect("the device opens")
    }

    pub(crate) fn session(&self) -> Session {
        Session::open(&self.open()).expect("a session opens")
    }
}

pub(crate) fn uri(index: u32) -> KeyUri {
    format!("sdf:{index}").parse().expect("a name")
}

pub(crate) const MESSAGE: Message<'static> = Message::Bytes(b"a message");

/// Signs the message, and says whether that holds.
pub(crate) fn signs(key: &dyn Signer) -> Result<bool, KeyError> {
    let signature = block_on(key.sign(Domain::Vote, MESSAGE))?;
    Ok(holds(key.public_key(), MESSAGE, &signature.0))
}

/// Whether a signature holds for the engine's baseline, which has no code of OpenSSL's, as the device does.
pub(crate) fn holds(public_key: &[u8], message: Message<'_>, signature: &[u8; 64]) -> bool {
    let job = VerifyJob { key: public_key, message, signature };
    let mut verdict = [Verdict::Invalid];
    dolmen_accel_library::baseline().verify(Algorithm::Sm2, &[job], &mut verdict).expect("the baseline checks");
    verdict[0].is_valid()
}

fn compiled() -> &'static [u8] {
    static LIBRARY: OnceLock<Vec<u8>> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a directory");
        let library = directory.path().join("libsdf.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mock/sdf.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
        let done = cc.args(["-lcrypto", "-lpthread"]).output().expect("a C compiler runs");
        assert!(done.status.success(), "needs OpenSSL's headers: {}", String::from_utf8_lossy(&done.stderr));
        fs::read(library).expect("the library was written")
    })
}
