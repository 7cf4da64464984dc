//! Makes and finds keys on tokens.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use cryptoki::{
    error::Error,
    session::Session,
    slot::{Slot, TokenInfo},
};
use dolmen_hsm_api::{Domain, Domains, KeyError, KeyInfo, KeySpec, KeyStore, KeyUri, Pkcs11Key, Residence, Signer};
use dolmen_hsm_memory::MemoryKey;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::{
    config::Pkcs11Config,
    domains,
    errors::{self, Fault},
    identity::{Identity, Wanted},
    key::{Inner, TokenKey},
    library::Library,
    make::{self, Tag},
    objects::{self, Found, Name},
    rotate,
    scheme::{STORE, Scheme},
    token::Token,
};

/// Keys on PKCS#11 tokens.
///
/// A name says which token and which key (RFC 7512); what it leaves open must fit one only. Its library and PIN file
/// may be left to the settings. Stores of a process share what they have open: a token knows only one login per
/// process.
pub struct Pkcs11Store {
    config: Pkcs11Config,
    /// Tokens that were used, so that they stay open between uses.
    tokens: Mutex<Vec<Arc<Token>>>,
}

/// A token, and how to log in to it.
struct Place {
    token: Arc<Token>,
    pin_source: Option<PathBuf>,
}

impl Place {
    /// Does something in a session, which may be a second time if the first finds the token's sessions void.
    fn run<T>(&self, operation: &'static str, work: impl Fn(&Session) -> Result<T, Fault>) -> Result<T, KeyError> {
        self.token.run(self.pin_source.as_deref(), operation, |session, _| work(session))
    }

    /// As [`run`](Self::run), but may change objects.
    fn change<T>(&self, operation: &'static str, work: impl Fn(&Session) -> Result<T, Fault>) -> Result<T, KeyError> {
        self.token.change(self.pin_source.as_deref(), operation, work)
    }
}

impl fmt::Debug for Pkcs11Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Store").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Pkcs11Store {
    /// The keys that these settings reach. Nothing is loaded or opened before it is needed.
    pub fn new(config: Pkcs11Config) -> Self {
        Self { config, tokens: Mutex::new(Vec::new()) }
    }

    fn library(&self, path: Option<&Path>) -> Result<Arc<Library>, KeyError> {
        let path = path.or(self.config.module_path.as_deref()).ok_or_else(|| KeyError::Absent {
            device: STORE.to_owned(),
            reason: "nothing names its maker's library: module-path=/path in the key's name, or the settings".into(),
        })?;
        Library::load(path)
    }

    /// The token of a key.
    fn place(&self, key: &Pkcs11Key) -> Result<Place, KeyError> {
        let library = self.library(key.module.path.as_deref())?;
        let found = library.find(&Wanted::by(key));
        let (slot, info) = found.map_err(|fault| fault.into_key_error(library.device(), "find a token"))?;
        self.at(&library, slot, &info, key.module.pin_source.as_deref())
    }

    fn at(
        &self,
        library: &Arc<Library>,
        slot: Slot,
        info: &TokenInfo,
        pin_source: Option<&Path>,
    ) -> Result<Place, KeyError> {
        let pin_source = pin_source.or(self.config.pin_source.as_deref()).map(Path::to_owned);
        let token = library.token(Identity::of(slot, info), self.config.sessions_max);
        token.admit(pin_source.as_deref())?;
        let mut tokens = self.tokens.lock();
        if !tokens.iter().any(|known| Arc::ptr_eq(known, &token)) {
            tokens.push(Arc::clone(&token));
        }
        drop(tokens);
        Ok(Place { token, pin_source })
    }

    /// Opens the key of a name. It keeps `uri` as its name.
    fn open_at(&self, place: &Place, uri: &KeyUri, name: Name) -> Result<Arc<dyn Signer>, KeyError> {
        let (found, domains) = place.run("find the key", |session| {
            let found = objects::find(session, uri, &name)?;
            let domains = domains::read(session, &found.label, uri)?;
            Ok((found, domains))
        })?;
        let key = TokenKey::open(Inner {
            uri: uri.clone(),
            name,
            scheme: Scheme::new(found.algorithm, self.config.sm2)?,
            public_key: found.public_key,
            domains: domains.unwrap_or_else(any),
            token: Arc::clone(&place.token),
            pin_source: place.pin_source.clone(),
            handle: Mutex::new(None),
        })?;
        Ok(Arc::new(key))
    }

    /// Makes a key, of this secret if there is one.
    fn add(
        &self,
        uri: &KeyUri,
        spec: KeySpec,
        secret: Option<&Zeroizing<[u8; 32]>>,
    ) -> Result<Arc<dyn Signer>, KeyError> {
        let key = named(uri)?;
        let label = key.object.as_deref().ok_or(KeyError::Unsupported {
            store: STORE,
            operation: "make a key without a label",
            next: "name it by object=NAME",
        })?;
        let scheme = Scheme::new(spec.algorithm, self.config.sm2)?;
        let public_key = match secret.map(|secret| MemoryKey::new(uri.clone(), spec, secret)) {
            Some(Some(key)) => Some(key.public_key().to_vec()),
            Some(None) => return Err(KeyError::Secret(spec.algorithm)),
            None => None,
        };
        let place = self.place(key)?;
        let mut tag = Tag::new(label);
        if let Some(id) = &key.id {
            tag.id.clone_from(id);
        }
        place.change("make a key", |session| {
            if objects::is_taken(session, label, key.id.as_deref())? {
                return Err(KeyError::Exists(uri.clone()).into());
            }
            // First, so that a crash leaves no key that may sign for everything.
            domains::write(session, label, spec.domains)?;
            let made = match (secret, &public_key) {
                (Some(secret), Some(public_key)) => make::import(session, scheme, &tag, public_key, secret),
                _ => make::generate(session, scheme, &tag),
            };
            made.inspect_err(|_| {
                if let Err(error) = objects::sweep(session, label, &tag.id) {
                    tracing::warn!(%uri, error = %errors::describe(&error), "half a key stays on the token");
                }
            })
        })?;
        self.open_at(&place, uri, Name::of(key)).inspect_err(|_| {
            let swept = place
                .change("delete a key that failed its test", |session| Ok(objects::sweep(session, label, &tag.id)?));
            if let Err(error) = swept {
                tracing::error!(%uri, %error, "a key that failed its test stays on the token");
            }
        })
    }

    /// Finishes a rotation that stopped where no key has the name; whether there was one.
    fn resume(&self, place: &Place, label: &str) -> Result<bool, KeyError> {
        let interrupted = place.run("find the key", |session| Ok(rotate::is_interrupted(session, label)?))?;
        if interrupted {
            tracing::warn!(label, "finishing the rotation of a key");
            place.change("rename the keys", |session| rotate::finish(session, label, None))?;
        }
        Ok(interrupted)
    }

    /// The keys of a token. `twins` says whether others have its label.
    fn list_at(&self, place: &Place, info: &TokenInfo, twins: bool) -> Result<Vec<KeyInfo>, KeyError> {
        place.run("list the keys", |session| {
            let mut keys = Vec::new();
            for private in objects::all(session)? {
                let found = match objects::read(session, private) {
                    Ok(found) => found,
                    // Another program's, and none that can be used here.
                    Err(Fault::Reason(_)) => continue,
                    Err(fault) => return Err(fault),
                };
                let Some(uri) = uri_of(session, &found, info, twins)? else { continue };
                if Scheme::new(found.algorithm, self.config.sm2).is_err() {
                    continue;
                }
                let domains = domains::read(session, &found.label, &uri)?.unwrap_or_else(any);
                let Found { algorithm, public_key, .. } = found;
                keys.push(KeyInfo { uri, algorithm, domains, public_key, residence: Residence::Device });
            }
            Ok(keys)
        })
    }
}

impl KeyStore for Pkcs11Store {
    fn name(&self) -> &'static str {
        STORE
    }

    fn create(&self, uri: &KeyUri, spec: KeySpec) -> Result<Arc<dyn Signer>, KeyError> {
        self.add(uri, spec, None)
    }

    fn open(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, KeyError> {
        let key = named(uri)?;
        let place = self.place(key)?;
        match (self.open_at(&place, uri, Name::of(key)), &key.object) {
            (Err(KeyError::NotFound(_)), Some(label)) if self.resume(&place, label)? => {
                self.open_at(&place, uri, Name::of(key))
            }
            (opened, _) => opened,
        }
    }

    /// All keys of all tokens of the library in the settings. Of several tokens, those that want another PIN than the
    /// one in the settings are left out, and so are those that have counted wrong PINs: it may be another token's.
    fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let library = self.library(None)?;
        let present = library.present();
        let present = present.map_err(|error| errors::key_error(library.device(), "list its tokens", &error))?;
        let several = present.len() > 1;
        let mut keys: Vec<KeyInfo> = Vec::new();
        for (slot, info) in &present {
            let token = Identity::of(*slot, info);
            let risky = info.user_pin_count_low() || info.user_pin_locked() || !info.user_pin_initialized();
            if several && risky {
                tracing::warn!(%token, "not listed: it has counted wrong PINs, or has none");
                continue;
            }
            let twins = present.iter().filter(|(_, other)| other.label() == info.label()).count() > 1;
            let place = self.at(&library, *slot, info, None);
            match place.and_then(|place| self.list_at(&place, info, twins)) {
                Ok(listed) => keys.extend(listed),
                Err(error) if several && wants_another_pin(&error) => tracing::warn!(%token, %error, "not listed"),
                Err(error) => return Err(error),
            }
        }
        keys.sort_by_key(|key| key.uri.to_string());
        Ok(keys)
    }

    fn delete(&self, uri: &KeyUri) -> Result<(), KeyError> {
        let key = named(uri)?;
        let place = self.place(key)?;
        place.change("delete the key", |session| {
            let private = objects::private(session, uri, &Name::of(key))?;
            Ok(objects::destroy(session, private)?)
        })
    }

    fn import(&self, uri: &KeyUri, spec: KeySpec, secret: &Zeroizing<[u8; 32]>) -> Result<Arc<dyn Signer>, KeyError> {
        self.add(uri, spec, Some(secret))
    }

    fn rotate(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, KeyError> {
        let key = named(uri)?;
        let (Some(label), None) = (key.object.as_deref(), &key.id) else {
            return Err(KeyError::Unsupported {
                store: STORE,
                operation: "give an identifier to another key",
                next: "name the key by object=NAME alone",
            });
        };
        let place = self.place(key)?;
        self.resume(&place, label)?;
        let (algorithm, domains) = place.run("find the key", |session| {
            let found = objects::find(session, uri, &Name::of(key))?;
            Ok((found.algorithm, domains::read(session, &found.label, uri)?))
        })?;
        let scheme = Scheme::new(algorithm, self.config.sm2)?;
        let new_key = Pkcs11Key { object: Some(rotate::new_label(label)), ..key.clone() };
        let (new_name, new_uri) = (Name::of(&new_key), KeyUri::Pkcs11(Box::new(new_key)));
        place.change("make the new key", |session| rotate::begin(session, &new_uri, label, scheme, domains))?;
        // The new key is tried before the old one loses its name.
        let finished = self
            .open_at(&place, &new_uri, new_name)
            .and_then(|_| place.change("rename the keys", |session| rotate::finish(session, label, domains)));
        if let Err(error) = finished {
            let abandoned = place.change("delete the new key", |session| Ok(rotate::abandon(session, label)?));
            if let Err(error) = abandoned {
                tracing::warn!(%uri, %error, "half a rotation stays on the token");
            }
            return Err(error);
        }
        self.open_at(&place, uri, Name::of(key))
    }
}

/// The name of a key, if it is one on a token.
fn named(uri: &KeyUri) -> Result<&Pkcs11Key, KeyError> {
    match uri {
        KeyUri::Pkcs11(key) => Ok(key),
        _ => Err(KeyError::Foreign { uri: uri.clone(), store: STORE, example: "pkcs11:token=NAME;object=NAME" }),
    }
}

/// What a key may sign for if nothing is written about it: an administrator made it with other tools, and names it in
/// the settings for what it is for.
fn any() -> Domains {
    Domain::ALL.into_iter().collect()
}

fn wants_another_pin(error: &KeyError) -> bool {
    matches!(error, KeyError::WrongPin { .. } | KeyError::NoPin { .. } | KeyError::Locked { .. })
}

/// The shortest name that finds a key again; none for a key without label and identifier.
fn uri_of(session: &Session, found: &Found, info: &TokenInfo, twins: bool) -> Result<Option<KeyUri>, Error> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let object = std::str::from_utf8(&found.label).ok().and_then(some);
    let alone = match &object {
        Some(label) => objects::privates(session, &Name::label(label))?.len() == 1,
        None => false,
    };
    let id = (!alone && !found.id.is_empty()).then(|| found.id.clone());
    if object.is_none() && id.is_none() {
        return Ok(None);
    }
    let token = some(info.label());
    let serial = if twins || token.is_none() { some(info.serial_number()) } else { None };
    Ok(Some(KeyUri::Pkcs11(Box::new(Pkcs11Key { token, serial, object, id, ..Pkcs11Key::default() }))))
}
