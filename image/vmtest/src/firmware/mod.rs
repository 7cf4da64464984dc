//! The firmware of a machine: its code, and a chip with its variables.

mod keys;
mod store;

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{VmError, artefacts, limits::STORE_BYTES_MAX};
pub use keys::{Certificate, Keys};
pub use store::{StoreError, Variable, VariableStore};

/// Code with Secure Boot and SMM, and its empty variables, as Debian and Fedora name them.
const PLACES: [[&str; 2]; 3] = [
    ["/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"],
    ["/usr/share/OVMF/OVMF_CODE.secboot.fd", "/usr/share/OVMF/OVMF_VARS.fd"],
    ["/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"],
];

/// OVMF with Secure Boot, and the variables of one machine.
///
/// Variables outlive the machine's boots as a chip's do; the owner of the machine may enrol other keys in between.
#[derive(Debug)]
pub struct Firmware {
    code: PathBuf,
    variables: PathBuf,
    _home: Option<TempDir>,
}

impl Firmware {
    /// One that starts what these keys vouch for, and nothing else.
    ///
    /// # Errors
    ///
    /// [`VmError::NoFirmware`], [`VmError::File`] and [`VmError::Store`].
    pub fn trusting(keys: &Keys) -> Result<Self, VmError> {
        let mut firmware = Self::without_keys()?;
        firmware.enrol(keys)?;
        Ok(firmware)
    }

    /// One in setup mode: without keys, it starts whatever there is.
    ///
    /// # Errors
    ///
    /// [`VmError::NoFirmware`] and [`VmError::File`].
    pub fn without_keys() -> Result<Self, VmError> {
        let [code, empty] = find()?;
        let home = artefacts::directory("firmware-")?;
        let variables = home.path().join("variables.fd");
        fs::copy(&empty, &variables).map_err(VmError::file("copy", &empty))?;
        Ok(Self { code, variables, _home: Some(home) })
    }

    /// One whose variables are in a file that stays, where they are made with these keys if there are none.
    ///
    /// # Errors
    ///
    /// As [`trusting`](Self::trusting).
    pub fn kept(path: impl Into<PathBuf>, keys: &Keys) -> Result<Self, VmError> {
        let [code, empty] = find()?;
        let mut firmware = Self { code, variables: path.into(), _home: None };
        if !firmware.variables.exists() {
            fs::copy(&empty, &firmware.variables).map_err(VmError::file("copy", &empty))?;
            firmware.enrol(keys)?;
        }
        Ok(firmware)
    }

    /// Replaces the keys that it trusts, as its owner does in the setup menu.
    ///
    /// # Errors
    ///
    /// [`VmError::File`] and [`VmError::Store`].
    pub fn enrol(&mut self, keys: &Keys) -> Result<(), VmError> {
        let mut store = self.variables()?;
        keys.put_into(&mut store)?;
        self.set_variables(&store)
    }

    /// Its variables.
    ///
    /// # Errors
    ///
    /// [`VmError::File`] and [`VmError::Store`].
    pub fn variables(&self) -> Result<VariableStore, VmError> {
        let path = &self.variables;
        let bytes = path.metadata().map_err(VmError::file("look at", path))?.len();
        let error = |source| VmError::Store { path: path.clone(), source };
        if bytes > STORE_BYTES_MAX {
            return Err(error(StoreError::TooLarge));
        }
        VariableStore::parse(fs::read(path).map_err(VmError::file("read", path))?).map_err(error)
    }

    /// Replaces its variables.
    ///
    /// # Errors
    ///
    /// [`VmError::File`], [`VmError::Store`] where they are too large for the chip.
    pub fn set_variables(&mut self, store: &VariableStore) -> Result<(), VmError> {
        let bytes = store.to_bytes().map_err(|source| VmError::Store { path: self.variables.clone(), source })?;
        fs::write(&self.variables, bytes).map_err(VmError::file("write", &self.variables))
    }

    pub(crate) fn code_path(&self) -> &Path {
        &self.code
    }

    pub(crate) fn variables_path(&self) -> &Path {
        &self.variables
    }
}

fn find() -> Result<[PathBuf; 2], VmError> {
    let found = PLACES.into_iter().find(|files| files.iter().all(|file| Path::new(file).is_file()));
    let looked_for = || PLACES.map(|[code, _]| code).join(", ");
    found.map(|files| files.map(PathBuf::from)).ok_or_else(|| VmError::NoFirmware { looked_for: looked_for() })
}
