//! Libraries of tokens' makers. Each is loaded and started once per process, and stays.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Instant,
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    slot::{Slot, TokenInfo},
};
use dolmen_hsm_api::KeyError;
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::{
    errors::{self, Fault},
    identity::{Identity, Wanted},
    limits,
    pin::Fingerprint,
    token::Token,
};

/// What is loaded. A library has one state per process, and so have the logins to its tokens: nobody has their own.
static LOADED: Mutex<BTreeMap<PathBuf, Arc<Library>>> = Mutex::new(BTreeMap::new());

/// A loaded library.
pub(crate) struct Library {
    path: PathBuf,
    context: Pkcs11,
    /// Held for reading by whoever has a session in use, for writing while the library is started again.
    calls: RwLock<()>,
    /// When it was last started again.
    restarted: Mutex<Option<Instant>>,
    /// Tokens in use.
    tokens: Mutex<Vec<(Identity, Weak<Token>)>>,
    /// PINs that a token refused. They outlive the token's users, so that no loop that opens a key uses up the tries.
    refused: Mutex<Vec<(Identity, Fingerprint)>>,
}

impl Library {
    pub(crate) fn load(path: &Path) -> Result<Arc<Self>, KeyError> {
        let device = format!("the PKCS#11 library {}", path.display());
        let absent = |reason: String| KeyError::Absent { device: device.clone(), reason };
        let real = fs::canonicalize(path).map_err(|error| absent(error.to_string()))?;
        let mut loaded = LOADED.lock();
        if let Some(library) = loaded.get(&real) {
            return Ok(Arc::clone(library));
        }
        let context = Pkcs11::new(path).map_err(|error| absent(errors::describe(&error)))?;
        let library = Arc::new(Self {
            path: path.to_owned(),
            context,
            calls: RwLock::new(()),
            restarted: Mutex::new(None),
            tokens: Mutex::new(Vec::new()),
            refused: Mutex::new(Vec::new()),
        });
        library.start().map_err(|error| errors::key_error(device, "start", &error))?;
        loaded.insert(real, Arc::clone(&library));
        Ok(library)
    }

    fn start(&self) -> Result<(), Error> {
        match self.context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // By another user of the library in this process, under another path for instance.
            Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
            started => started,
        }
    }

    pub(crate) fn context(&self) -> &Pkcs11 {
        &self.context
    }

    /// Keeps the library from being started again.
    pub(crate) fn enter(&self) -> RwLockReadGuard<'_, ()> {
        // Also where this thread has entered already: nobody waits to write.
        self.calls.read()
    }

    /// Keeps all others out, unless one is in, or this was tried just now.
    pub(crate) fn alone(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        let mut restarted = self.restarted.lock();
        if restarted.is_some_and(|last| last.elapsed() < limits::RESTART_INTERVAL) {
            return None;
        }
        let alone = self.calls.try_write()?;
        *restarted = Some(Instant::now());
        Some(alone)
    }

    /// Ends the library and starts it again: some do not find a token again that was away. Nobody may have a session.
    pub(crate) fn restart(&self) -> Result<(), Error> {
        tracing::warn!(library = %self.path.display(), "starting the library again to look for a token");
        self.context.clone().finalize()?;
        self.start()
    }

    /// The tokens in use.
    pub(crate) fn tokens(&self) -> Vec<Arc<Token>> {
        self.tokens.lock().iter().filter_map(|(_, token)| token.upgrade()).collect()
    }

    pub(crate) fn device(&self) -> String {
        format!("the PKCS#11 library {}", self.path.display())
    }

    /// The tokens that are there and ready for use, looked up afresh.
    pub(crate) fn present(&self) -> Result<Vec<(Slot, TokenInfo)>, Error> {
        let _inside = self.enter();
        let slots = match self.context.get_slots_with_token() {
            Err(Error::Pkcs11(RvError::CryptokiNotInitialized, _)) => {
                self.start()?;
                self.context.get_slots_with_token()?
            }
            slots => slots?,
        };
        let mut present = Vec::new();
        for slot in slots {
            match self.context.get_token_info(slot) {
                Ok(info) if info.token_initialized() => present.push((slot, info)),
                Ok(_) => {}
                // Pulled out just now, or no token at all: no reason to miss the others.
                Err(error) => tracing::debug!(slot = slot.id(), error = %errors::describe(&error), "unreadable token"),
            }
        }
        Ok(present)
    }

    /// The one token that fits.
    pub(crate) fn find(&self, wanted: &Wanted<'_>) -> Result<(Slot, TokenInfo), Fault> {
        let (mut fitting, others): (Vec<_>, Vec<_>) =
            self.present()?.into_iter().partition(|(slot, info)| wanted.fits(*slot, info));
        let reason = match fitting.len() {
            1 => return Ok(fitting.swap_remove(0)),
            0 => format!("{} shows {}", self.path.display(), names(&others)),
            several => {
                format!("{several} tokens fit, {}; name it more exactly, by serial= or slot-id=", names(&fitting))
            }
        };
        Err(KeyError::Absent { device: wanted.to_string(), reason }.into())
    }

    /// The token of this identity, shared with whoever uses it already.
    pub(crate) fn token(self: &Arc<Self>, identity: Identity, sessions_max: usize) -> Arc<Token> {
        let mut tokens = self.tokens.lock();
        tokens.retain(|(_, token)| token.strong_count() > 0);
        let known = tokens.iter().find(|(known, _)| *known == identity).and_then(|(_, token)| token.upgrade());
        known.unwrap_or_else(|| {
            let token = Arc::new(Token::new(Arc::clone(self), identity.clone(), sessions_max));
            tokens.push((identity, Arc::downgrade(&token)));
            token
        })
    }

    /// Whether a token has refused this PIN.
    pub(crate) fn is_refused(&self, identity: &Identity, pin: Fingerprint) -> bool {
        self.refused.lock().iter().any(|(token, refused)| token == identity && *refused == pin)
    }

    /// Remembers that it did.
    pub(crate) fn refuse(&self, identity: &Identity, pin: Fingerprint) {
        let mut refused = self.refused.lock();
        if refused.len() >= limits::REFUSED {
            refused.remove(0);
        }
        refused.push((identity.clone(), pin));
    }
}

fn names(tokens: &[(Slot, TokenInfo)]) -> String {
    let name = |(slot, info): &(Slot, TokenInfo)| {
        format!("{:?} (serial {}, slot-id {})", info.label(), info.serial_number(), slot.id())
    };
    if tokens.is_empty() { "no token".to_owned() } else { tokens.iter().map(name).collect::<Vec<_>>().join(", ") }
}
