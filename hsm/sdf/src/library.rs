//! The library of a device, as GM/T 0018-2012 has it: all unsafe code of this crate.
//!
//! Handles never leave this file. Each belongs to a value that gives it back when it is dropped, and that keeps alive
//! what it came from: a key its session, a session its device, a device its library.

use std::{
    error::Error as _,
    ffi::c_void,
    fmt,
    mem::ManuallyDrop,
    path::{Path, PathBuf},
    ptr,
    sync::Arc,
};

use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::{
    Code, SdfError,
    limits::{HASH_CHUNK, WRAPPED_MAX},
    raw::{RawDeviceInfo, RawPublicKey, RawSignature},
};

/// `SGD_SM3` (GM/T 0006-2012).
const SM3: u32 = 0x0000_0001;
/// `SGD_SM2_1`, signatures.
const SM2_SIGNATURE: u32 = 0x0002_0200;
/// `SGD_SM4_CBC`.
const SM4_CBC: u32 = 0x0000_0402;
const SM4_BITS: u32 = 128;
const SM4_BLOCK: usize = 16;

type Handle = *mut c_void;

/// A function of the library, where it has it.
struct Function<F> {
    name: &'static str,
    pointer: Option<F>,
}

impl<F: Copy> Function<F> {
    /// Calls it. What a library lacks, it answers as the standard has it for functions without a content.
    fn call(&self, call: impl FnOnce(F) -> u32) -> Result<(), SdfError> {
        match self.pointer.map_or(Code::NOT_SUPPORTED, |function| Code(call(function))) {
            Code::OK => Ok(()),
            code => Err(SdfError::Call { function: self.name, code }),
        }
    }
}

/// Declares functions by their names and arguments. They return `int`, of which the codes use all 32 bits.
macro_rules! functions {
    ($($field:ident: $type:ident = $name:literal($($argument:ty),*);)*) => {
        $(type $type = unsafe extern "C" fn($($argument),*) -> u32;)*

        /// The functions that are called here.
        struct Functions {
            $($field: Function<$type>,)*
        }

        impl Functions {
            /// # Safety
            ///
            /// What the library has under these names must be the standard's functions.
            unsafe fn find(library: &libloading::Library) -> Self {
                Self {
                    $($field: Function {
                        name: $name,
                        // SAFETY: the caller vouches for the function's type.
                        pointer: unsafe { library.get::<$type>($name) }.ok().map(|symbol| *symbol),
                    },)*
                }
            }
        }
    };
}

functions! {
    open_device: OpenDevice = "SDF_OpenDevice"(*mut Handle);
    close_device: CloseDevice = "SDF_CloseDevice"(Handle);
    open_session: OpenSession = "SDF_OpenSession"(Handle, *mut Handle);
    close_session: CloseSession = "SDF_CloseSession"(Handle);
    device_info: GetDeviceInfo = "SDF_GetDeviceInfo"(Handle, *mut RawDeviceInfo);
    random: GenerateRandom = "SDF_GenerateRandom"(Handle, u32, *mut u8);
    get_right: GetRight = "SDF_GetPrivateKeyAccessRight"(Handle, u32, *const u8, u32);
    release_right: ReleaseRight = "SDF_ReleasePrivateKeyAccessRight"(Handle, u32);
    public_key: ExportPublicKey = "SDF_ExportSignPublicKey_ECC"(Handle, u32, *mut RawPublicKey);
    sign: InternalSign = "SDF_InternalSign_ECC"(Handle, u32, *const u8, u32, *mut RawSignature);
    verify: InternalVerify = "SDF_InternalVerify_ECC"(Handle, u32, *const u8, u32, *const RawSignature);
    verify_with: ExternalVerify =
        "SDF_ExternalVerify_ECC"(Handle, u32, *const RawPublicKey, *const u8, u32, *const RawSignature);
    hash_init: HashInit = "SDF_HashInit"(Handle, u32, *const RawPublicKey, *const u8, u32);
    hash_update: HashUpdate = "SDF_HashUpdate"(Handle, *const u8, u32);
    hash_final: HashFinal = "SDF_HashFinal"(Handle, *mut u8, *mut u32);
    generate_key: GenerateKey = "SDF_GenerateKeyWithKEK"(Handle, u32, u32, u32, *mut u8, *mut u32, *mut Handle);
    import_key: ImportKey = "SDF_ImportKeyWithKEK"(Handle, u32, u32, *const u8, u32, *mut Handle);
    destroy_key: DestroyKey = "SDF_DestroyKey"(Handle, Handle);
    encrypt: Encrypt = "SDF_Encrypt"(Handle, Handle, u32, *mut u8, *const u8, u32, *mut u8, *mut u32);
    decrypt: Decrypt = "SDF_Decrypt"(Handle, Handle, u32, *mut u8, *const u8, u32, *mut u8, *mut u32);
}

/// The library of a kind of device.
pub struct Library {
    path: PathBuf,
    functions: Functions,
    /// Never unloaded: a maker's library may have started threads.
    _library: ManuallyDrop<libloading::Library>,
}

impl Library {
    /// Loads a library.
    ///
    /// # Errors
    ///
    /// [`SdfError::Load`] if there is none, or one of something else.
    pub fn load(path: &Path) -> Result<Arc<Self>, SdfError> {
        let failed = |reason: String| SdfError::Load { path: path.to_owned(), reason };
        // SAFETY: loading runs the library's own code. The administrator chose it, as every program of the box.
        let library = unsafe { libloading::Library::new(path.as_os_str()) }
            .map_err(|error| failed(error.source().map_or_else(|| error.to_string(), ToString::to_string)))?;
        let library = ManuallyDrop::new(library);
        // SAFETY: a library that the administrator names as one of GM/T 0018 has these functions under these names.
        let functions = unsafe { Functions::find(&library) };
        if functions.open_device.pointer.is_none() {
            return Err(failed("it has no SDF_OpenDevice, so it is no library of GM/T 0018".into()));
        }
        Ok(Arc::new(Self { path: path.to_owned(), functions, _library: library }))
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("path", &self.path).finish_non_exhaustive()
    }
}

/// An open device. Most libraries let a process open it once.
pub struct Device {
    library: Arc<Library>,
    handle: Handle,
    /// Sessions are opened and closed one at a time: not every library guards its list of them.
    sessions: Mutex<()>,
}

// SAFETY: the standard binds the handle to no thread. It is used to open sessions, under a lock, and closed once.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl Device {
    /// Opens the device.
    ///
    /// # Errors
    ///
    /// If the device is not there, or is open already.
    pub fn open(library: &Arc<Library>) -> Result<Arc<Self>, SdfError> {
        let mut handle = ptr::null_mut();
        library.functions.open_device.call(|open| {
            // SAFETY: the device writes a handle.
            unsafe { open(&raw mut handle) }
        })?;
        Ok(Arc::new(Self { library: Arc::clone(library), handle, sessions: Mutex::new(()) }))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // An error leaves nothing to do: whoever opens the device next gets one of its own.
        let _ = self.library.functions.close_device.call(|close| {
            // SAFETY: the handle is open, and no session is: each holds its device.
            unsafe { close(self.handle) }
        });
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("library", &self.library).finish_non_exhaustive()
    }
}

/// A session of a device. One thread at a time uses it.
pub struct Session {
    device: Arc<Device>,
    handle: Handle,
}

// SAFETY: the standard binds a session to no thread. It is not Sync, so that calls on it do not overlap.
unsafe impl Send for Session {}

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    ///
    /// If the device has no more of them, or is gone.
    pub fn open(device: &Arc<Device>) -> Result<Self, SdfError> {
        let _one_at_a_time = device.sessions.lock();
        let mut handle = ptr::null_mut();
        device.library.functions.open_session.call(|open| {
            // SAFETY: the device is open, and writes a handle.
            unsafe { open(device.handle, &raw mut handle) }
        })?;
        Ok(Self { device: Arc::clone(device), handle })
    }

    fn functions(&self) -> &Functions {
        &self.device.library.functions
    }

    pub(crate) fn raw_info(&self) -> Result<RawDeviceInfo, SdfError> {
        let mut info = RawDeviceInfo::EMPTY;
        self.functions().device_info.call(|get| {
            // SAFETY: the session is open, and the device writes one structure.
            unsafe { get(self.handle, &raw mut info) }
        })?;
        Ok(info)
    }

    pub(crate) fn raw_random(&self, bytes: &mut [u8]) -> Result<(), SdfError> {
        self.functions().random.call(|random| {
            // SAFETY: the session is open, and the device writes as many bytes as it is told.
            unsafe { random(self.handle, length(bytes), bytes.as_mut_ptr()) }
        })
    }

    pub(crate) fn raw_get_right(&self, index: u32, password: &[u8]) -> Result<(), SdfError> {
        self.functions().get_right.call(|get| {
            // SAFETY: the session is open, and the device reads as many bytes as it is told.
            unsafe { get(self.handle, index, password.as_ptr(), length(password)) }
        })
    }

    pub(crate) fn raw_release_right(&self, index: u32) -> Result<(), SdfError> {
        self.functions().release_right.call(|release| {
            // SAFETY: the session is open.
            unsafe { release(self.handle, index) }
        })
    }

    pub(crate) fn raw_public_key(&self, index: u32) -> Result<RawPublicKey, SdfError> {
        let mut key = RawPublicKey::EMPTY;
        self.functions().public_key.call(|export| {
            // SAFETY: the session is open, and the device writes one structure.
            unsafe { export(self.handle, index, &raw mut key) }
        })?;
        Ok(key)
    }

    pub(crate) fn raw_sign(&self, index: u32, digest: &[u8; 32]) -> Result<RawSignature, SdfError> {
        let mut signature = RawSignature::EMPTY;
        self.functions().sign.call(|sign| {
            // SAFETY: the session is open, the device reads as many bytes as it is told and writes one structure.
            unsafe { sign(self.handle, index, digest.as_ptr(), length(digest), &raw mut signature) }
        })?;
        Ok(signature)
    }

    pub(crate) fn raw_verify(&self, index: u32, digest: &[u8; 32], signature: &RawSignature) -> Result<(), SdfError> {
        self.functions().verify.call(|verify| {
            // SAFETY: the session is open, the device reads as many bytes as it is told, and one structure.
            unsafe { verify(self.handle, index, digest.as_ptr(), length(digest), signature) }
        })
    }

    pub(crate) fn raw_verify_with(
        &self,
        key: &RawPublicKey,
        digest: &[u8; 32],
        signature: &RawSignature,
    ) -> Result<(), SdfError> {
        self.functions().verify_with.call(|verify| {
            // SAFETY: the session is open, the device reads as many bytes as it is told, and two structures.
            unsafe { verify(self.handle, SM2_SIGNATURE, key, digest.as_ptr(), length(digest), signature) }
        })
    }

    /// Hashes with SM3: the message alone, or after the `Z` of a key and an identity.
    pub(crate) fn raw_sm3(
        &self,
        identity: Option<(&RawPublicKey, &[u8])>,
        message: &[u8],
    ) -> Result<[u8; 32], SdfError> {
        let functions = self.functions();
        let (key, identity, identity_length) = match identity {
            Some((key, identity)) => (ptr::from_ref(key), identity.as_ptr(), length(identity)),
            None => (ptr::null(), ptr::null(), 0),
        };
        functions.hash_init.call(|init| {
            // SAFETY: the session is open; key and identity are borrowed over the call, or both null.
            unsafe { init(self.handle, SM3, key, identity, identity_length) }
        })?;
        for chunk in message.chunks(HASH_CHUNK) {
            functions.hash_update.call(|update| {
                // SAFETY: the session is open, and the device reads as many bytes as it is told.
                unsafe { update(self.handle, chunk.as_ptr(), length(chunk)) }
            })?;
        }
        let mut digest = [0_u8; 32];
        let mut digest_length = length(&digest);
        functions.hash_final.call(|last| {
            // SAFETY: the session is open, and the device writes no more bytes than there is said to be room for.
            unsafe { last(self.handle, digest.as_mut_ptr(), &raw mut digest_length) }
        })?;
        if digest_length != length(&digest) {
            return Err(SdfError::Answer { function: functions.hash_final.name, what: "a hash of another length" });
        }
        Ok(digest)
    }

    /// Makes an SM4 key that leaves the device only under a key-encryption key.
    pub(crate) fn raw_generate_key(&self, algorithm: u32, kek: u32) -> Result<(Sm4Key<'_>, Vec<u8>), SdfError> {
        let generate = &self.functions().generate_key;
        let mut wrapped = vec![0_u8; WRAPPED_MAX];
        let mut written = length(&wrapped);
        let mut handle = ptr::null_mut();
        generate.call(|generate| {
            let (bytes, written) = (wrapped.as_mut_ptr(), &raw mut written);
            // SAFETY: the session is open, the device writes no more bytes than there is said to be room for, and a
            // handle.
            unsafe { generate(self.handle, SM4_BITS, algorithm, kek, bytes, written, &raw mut handle) }
        })?;
        let key = Sm4Key { session: self, handle };
        wrapped.truncate(usize::try_from(written).unwrap_or(0));
        if written > length(&wrapped) || wrapped.is_empty() {
            return Err(SdfError::Answer { function: generate.name, what: "a wrapped key of no possible length" });
        }
        Ok((key, wrapped))
    }

    pub(crate) fn raw_import_key(&self, algorithm: u32, kek: u32, wrapped: &[u8]) -> Result<Sm4Key<'_>, SdfError> {
        let mut handle = ptr::null_mut();
        self.functions().import_key.call(|import| {
            // SAFETY: the session is open, the device reads as many bytes as it is told and writes a handle.
            unsafe { import(self.handle, algorithm, kek, wrapped.as_ptr(), length(wrapped), &raw mut handle) }
        })?;
        Ok(Sm4Key { session: self, handle })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _one_at_a_time = self.device.sessions.lock();
        // An error leaves nothing to do: a device that is gone has no sessions.
        let _ = self.functions().close_session.call(|close| {
            // SAFETY: the session is open, and no key of it is: each borrows its session.
            unsafe { close(self.handle) }
        });
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("device", &self.device).finish_non_exhaustive()
    }
}

/// An SM4 key in a device, until it is dropped.
pub struct Sm4Key<'session> {
    session: &'session Session,
    handle: Handle,
}

/// Which way a key is used.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    Encrypt,
    Decrypt,
}

impl Sm4Key<'_> {
    /// SM4-CBC over whole blocks, without padding.
    pub(crate) fn raw_cbc(
        &self,
        direction: Direction,
        iv: &[u8; SM4_BLOCK],
        input: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SdfError> {
        let functions = self.session.functions();
        let function = match direction {
            Direction::Encrypt => &functions.encrypt,
            Direction::Decrypt => &functions.decrypt,
        };
        // Some devices leave the next initialisation vector in it.
        let mut iv = *iv;
        // A block more, for one that pads although it should not.
        let mut output = Zeroizing::new(vec![0_u8; input.len() + SM4_BLOCK]);
        let mut written = length(&output);
        function.call(|run| {
            let (session, key, iv) = (self.session.handle, self.handle, iv.as_mut_ptr());
            let (output, written) = (output.as_mut_ptr(), &raw mut written);
            // SAFETY: session and key are open; the device reads a block and as many bytes as it is told, writes a
            // block and no more bytes than there is said to be room for.
            unsafe { run(session, key, SM4_CBC, iv, input.as_ptr(), length(input), output, written) }
        })?;
        if written != length(input) {
            return Err(SdfError::Answer { function: function.name, what: "another length than it was given" });
        }
        output.truncate(input.len());
        Ok(output)
    }
}

impl Drop for Sm4Key<'_> {
    fn drop(&mut self) {
        // An error leaves nothing to do: the key goes with its session at the latest.
        let _ = self.session.functions().destroy_key.call(|destroy| {
            // SAFETY: session and key are open.
            unsafe { destroy(self.session.handle, self.handle) }
        });
    }
}

impl fmt::Debug for Sm4Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sm4Key").finish_non_exhaustive()
    }
}

/// A length as the standard has it.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a device is given less than 4 GiB at once")
}
