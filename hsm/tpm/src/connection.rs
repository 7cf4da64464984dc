//! The connection to a TPM.

use std::{fmt, str::FromStr, sync::Arc};

use dolmen_hsm_api::KeyError;
use parking_lot::Mutex;
use tss_esapi::{
    Context,
    attributes::SessionAttributesBuilder,
    constants::{CapabilityType, SessionType},
    handles::{KeyHandle, ObjectHandle, SessionHandle},
    interface_types::{algorithm::HashingAlgorithm, resource_handles::Hierarchy, session_handles::AuthSession},
    structures::{CapabilityData, SymmetricDefinition},
    tcti_ldr::TctiNameConf,
};

use crate::{key::Loaded, reason::Failure, template, worker::Worker};

/// Keys that stay loaded: a TPM without resource manager has three places, and the parent needs one now and then.
const LOADED_MAX: usize = 2;

/// How a TPM is reached, as libtss2 writes it: `device:/dev/tpmrm0`, `swtpm:host=127.0.0.1,port=2321`, `tabrmd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tcti(String);

impl Default for Tcti {
    /// The kernel's resource manager, beside which other programs can use the TPM.
    fn default() -> Self {
        Self("device:/dev/tpmrm0".into())
    }
}

impl FromStr for Tcti {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let written =
            || format!("{text:?} is no way to a TPM; write it as device:/dev/tpmrm0 or swtpm:host=127.0.0.1,port=2321");
        TctiNameConf::from_str(text).map(|_| Self(text.to_owned())).map_err(|_| written())
    }
}

impl fmt::Display for Tcti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Tcti {
    /// Whether this program has the TPM for itself, without a resource manager in between.
    fn is_exclusive(&self) -> bool {
        ["swtpm", "mssim", "device:/dev/tpm0"].iter().any(|direct| self.0.starts_with(direct))
    }

    /// What the environment variable `TCTI` says, or the default.
    ///
    /// # Errors
    ///
    /// If it says nothing that is understood.
    pub fn from_environment() -> Result<Self, String> {
        match std::env::var("TCTI") {
            Ok(text) => text.parse(),
            Err(_) => Ok(Self::default()),
        }
    }
}

/// Where transient objects' handles begin, and how many a TPM has at most (TPM 2.0 Library, Part 2 §7.4).
const TRANSIENT_FIRST: u32 = 0x8000_0000;
const HANDLES_MAX: u32 = 64;

/// A TPM. It is reached when it is first needed.
pub struct Tpm {
    tcti: Tcti,
    connection: Mutex<Option<Connection>>,
    worker: Worker,
}

impl Tpm {
    /// The TPM behind a TCTI.
    pub fn new(tcti: Tcti) -> Arc<Self> {
        Arc::new(Self { tcti, connection: Mutex::new(None), worker: Worker::default() })
    }

    /// How it is reached.
    pub const fn tcti(&self) -> &Tcti {
        &self.tcti
    }

    pub(crate) const fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Runs commands, on a new connection and once more where the first try met a broken one.
    pub(crate) fn run<T>(
        &self,
        operation: &'static str,
        commands: impl Fn(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, KeyError> {
        let mut place = self.connection.lock();
        let mut result = self.attempt(&mut place, &commands);
        if let Err(failure) = &result
            && !failure.is_verdict()
        {
            *place = None;
            result = self.attempt(&mut place, &commands);
        }
        if let Err(failure) = &result
            && !failure.is_verdict()
        {
            *place = None;
        }
        result.map_err(|failure| failure.into_error(&self.tcti.0, operation))
    }

    fn attempt<T>(
        &self,
        place: &mut Option<Connection>,
        commands: impl Fn(&mut Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let connection = match place {
            Some(connection) => connection,
            None => place.insert(Connection::open(&self.tcti)?),
        };
        commands(connection)
    }

    /// Runs something on a connection of its own while this one is closed: not every way to a TPM takes two.
    pub(crate) fn run_apart<T>(&self, commands: impl FnOnce(&str) -> T) -> T {
        let mut place = self.connection.lock();
        *place = None;
        commands(&self.tcti.0)
    }
}

impl fmt::Debug for Tpm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tpm").field("tcti", &self.tcti.0).finish_non_exhaustive()
    }
}

/// An open connection, and what is loaded in the TPM on its behalf.
pub(crate) struct Connection {
    pub(crate) context: Context,
    /// The most recently used last.
    loaded: Vec<Loaded>,
}

impl Connection {
    fn open(tcti: &Tcti) -> Result<Self, Failure> {
        let mut connection = Self { context: Context::new(TctiNameConf::from_str(&tcti.0)?)?, loaded: Vec::new() };
        if tcti.is_exclusive() {
            connection.flush_leftovers()?;
        }
        Ok(connection)
    }

    /// Empties the TPM of what a process left there that was killed: nobody else manages its places.
    fn flush_leftovers(&mut self) -> Result<(), Failure> {
        let (handles, _) = self.context.get_capability(CapabilityType::Handles, TRANSIENT_FIRST, HANDLES_MAX)?;
        let CapabilityData::Handles(handles) = handles else { return Ok(()) };
        for handle in handles.into_inner() {
            let object = self.context.tr_from_tpm_public(handle)?;
            self.flush(object)?;
        }
        Ok(())
    }

    /// The handle of a key, loaded by `load` where it is not in the TPM yet.
    pub(crate) fn loaded(
        &mut self,
        id: &[u8],
        load: impl FnOnce(&mut Self) -> Result<KeyHandle, Failure>,
    ) -> Result<KeyHandle, Failure> {
        let loaded = match self.loaded.iter().position(|loaded| loaded.id == id) {
            Some(place) => self.loaded.remove(place),
            None => {
                while self.loaded.len() >= LOADED_MAX {
                    let oldest = self.loaded.remove(0);
                    self.flush(oldest.handle.into())?;
                }
                Loaded { id: id.to_vec(), handle: load(self)? }
            }
        };
        let handle = loaded.handle;
        self.loaded.push(loaded);
        Ok(handle)
    }

    /// Empties the TPM for commands that need its places.
    pub(crate) fn make_room(&mut self) -> Result<(), Failure> {
        while let Some(loaded) = self.loaded.pop() {
            self.flush(loaded.handle.into())?;
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self, handle: ObjectHandle) -> Result<(), Failure> {
        Ok(self.context.flush_context(handle)?)
    }

    /// Runs commands with the storage root key, and takes it away afterwards.
    pub(crate) fn with_storage_root<T>(
        &mut self,
        commands: impl FnOnce(&mut Self, KeyHandle) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let template = template::storage_root()?;
        let root = self.context.execute_with_nullauth_session(|context| {
            context.create_primary(Hierarchy::Owner, template, None, None, None, None)
        })?;
        let result = commands(self, root.key_handle);
        self.flush(root.key_handle.into())?;
        result
    }

    /// Runs commands in a session that is salted with a key of the TPM, so that nobody on the way learns its key, and
    /// that encrypts what goes in and comes out.
    pub(crate) fn with_session<T>(
        &mut self,
        kind: SessionType,
        salt: Option<KeyHandle>,
        commands: impl FnOnce(&mut Self, AuthSession) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (cipher, hash) = (SymmetricDefinition::AES_128_CFB, HashingAlgorithm::Sha256);
        let session = self.context.start_auth_session(salt, None, None, kind, cipher, hash)?;
        let session = session.expect("a session was asked for");
        let (attributes, mask) =
            SessionAttributesBuilder::new().with_decrypt(true).with_encrypt(true).with_continue_session(true).build();
        let result = match self.context.tr_sess_set_attributes(session, attributes, mask) {
            Ok(()) => commands(self, session),
            Err(error) => Err(error.into()),
        };
        self.context.clear_sessions();
        self.flush(SessionHandle::from(session).into())?;
        result
    }
}
