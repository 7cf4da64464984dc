//! The objects of keys.

use cryptoki::{
    error::Error,
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::Session,
};
use dolmen_hsm_api::{Algorithm, KeyError, KeyUri, Pkcs11Key};

use crate::{curve, domains, errors::Fault};

/// What a key is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) label: Option<String>,
    pub(crate) id: Option<Vec<u8>>,
}

impl Name {
    pub(crate) fn of(key: &Pkcs11Key) -> Self {
        Self { label: key.object.clone(), id: key.id.clone() }
    }

    pub(crate) fn label(label: &str) -> Self {
        Self { label: Some(label.to_owned()), id: None }
    }

    /// Objects of this name and class on a token.
    fn template(&self, class: ObjectClass) -> Vec<Attribute> {
        let mut template = vec![Attribute::Class(class), Attribute::Token(true)];
        template.extend(self.label.as_ref().map(|label| Attribute::Label(label.clone().into_bytes())));
        template.extend(self.id.clone().map(Attribute::Id));
        template
    }
}

/// A key on a token.
pub(crate) struct Found {
    pub(crate) private: ObjectHandle,
    pub(crate) label: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) algorithm: Algorithm,
    pub(crate) public_key: Vec<u8>,
}

/// The private keys of a name.
pub(crate) fn privates(session: &Session, name: &Name) -> Result<Vec<ObjectHandle>, Error> {
    session.find_objects(&name.template(ObjectClass::PRIVATE_KEY))
}

/// All private keys that sign.
pub(crate) fn all(session: &Session) -> Result<Vec<ObjectHandle>, Error> {
    session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Token(true), Attribute::Sign(true)])
}

/// The private key of a name, which must be the only one.
pub(crate) fn private(session: &Session, uri: &KeyUri, name: &Name) -> Result<ObjectHandle, Fault> {
    match privates(session, name)?.as_slice() {
        [] => Err(KeyError::NotFound(uri.clone()).into()),
        [only] => Ok(*only),
        several => {
            let count = several.len();
            Err(Fault::Reason(format!("{count} private keys are called {uri}; name one more exactly, by its id= too")))
        }
    }
}

/// The key of a name.
pub(crate) fn find(session: &Session, uri: &KeyUri, name: &Name) -> Result<Found, Fault> {
    read(session, private(session, uri, name)?)
}

/// The key of a private key object. A [`Fault::Reason`] says why it is none that can be used here.
pub(crate) fn read(session: &Session, private: ObjectHandle) -> Result<Found, Fault> {
    let (label, id) = label_and_id(session, private)?;
    let asks = session.get_attributes(private, &[AttributeType::AlwaysAuthenticate])?;
    if asks.contains(&Attribute::AlwaysAuthenticate(true)) {
        let reason = "the key asks for the PIN at each signature (CKA_ALWAYS_AUTHENTICATE); make one that does not";
        return Err(Fault::Reason(reason.to_owned()));
    }
    let public = *publics(session, &label, &id)?.first().ok_or_else(|| {
        Fault::Reason("no public key with the CKA_ID or label of the private one is on the token; put it there".into())
    })?;
    let (mut params, mut point) = (Vec::new(), Vec::new());
    for attribute in session.get_attributes(public, &[AttributeType::EcParams, AttributeType::EcPoint])? {
        match attribute {
            Attribute::EcParams(value) => params = value,
            Attribute::EcPoint(value) => point = value,
            _ => {}
        }
    }
    let algorithm = curve::algorithm(&params).ok_or_else(|| {
        let params = const_hex::encode(&params);
        Fault::Reason(format!("its curve, with the CKA_EC_PARAMS {params:?}, is none of ed25519, p256, secp256k1, sm2"))
    })?;
    let public_key = curve::public_key(algorithm, &point).ok_or_else(|| {
        let point = const_hex::encode(&point);
        Fault::Reason(format!("its CKA_EC_POINT {point:?} is no uncompressed point"))
    })?;
    Ok(Found { private, label, id, algorithm, public_key })
}

pub(crate) fn label_and_id(session: &Session, object: ObjectHandle) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let (mut label, mut id) = (Vec::new(), Vec::new());
    for attribute in session.get_attributes(object, &[AttributeType::Label, AttributeType::Id])? {
        match attribute {
            Attribute::Label(value) => label = value,
            Attribute::Id(value) => id = value,
            _ => {}
        }
    }
    Ok((label, id))
}

/// The public keys that belong to a private one: those with its identifier, else those with its label.
pub(crate) fn publics(session: &Session, label: &[u8], id: &[u8]) -> Result<Vec<ObjectHandle>, Error> {
    let search = |attribute| {
        session.find_objects(&[Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Token(true), attribute])
    };
    if !id.is_empty() {
        let publics = search(Attribute::Id(id.to_vec()))?;
        if !publics.is_empty() {
            return Ok(publics);
        }
    }
    let mut publics = Vec::new();
    if !label.is_empty() {
        for public in search(Attribute::Label(label.to_vec()))? {
            // One with another identifier is another key's.
            if id.is_empty() || label_and_id(session, public)?.1.is_empty() {
                publics.push(public);
            }
        }
    }
    Ok(publics)
}

/// Whether a new key cannot have this label or identifier.
pub(crate) fn is_taken(session: &Session, label: &str, id: Option<&[u8]>) -> Result<bool, Error> {
    if !privates(session, &Name::label(label))?.is_empty() {
        return Ok(true);
    }
    match id {
        Some(id) => Ok(!privates(session, &Name { label: None, id: Some(id.to_vec()) })?.is_empty()),
        None => Ok(false),
    }
}

/// Deletes a key with all that belongs to it, the private key first.
pub(crate) fn destroy(session: &Session, private: ObjectHandle) -> Result<(), Error> {
    let (label, id) = label_and_id(session, private)?;
    let publics = publics(session, &label, &id)?;
    session.destroy_object(private)?;
    publics.into_iter().try_for_each(|public| session.destroy_object(public))?;
    forget_domains(session, &label)
}

/// Deletes what there is of a key that was not made to its end, by its label and the identifier that only it has.
pub(crate) fn sweep(session: &Session, label: &str, id: &[u8]) -> Result<(), Error> {
    let name = Name { label: Some(label.to_owned()), id: Some(id.to_vec()) };
    for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
        let objects = session.find_objects(&name.template(class))?;
        objects.into_iter().try_for_each(|object| session.destroy_object(object))?;
    }
    forget_domains(session, label.as_bytes())
}

/// Deletes what the keys of a label may sign for, unless there is such a key.
fn forget_domains(session: &Session, label: &[u8]) -> Result<(), Error> {
    let keys = session.find_objects(&[
        Attribute::Class(ObjectClass::PRIVATE_KEY),
        Attribute::Token(true),
        Attribute::Label(label.to_vec()),
    ])?;
    if keys.is_empty() { domains::remove(session, label) } else { Ok(()) }
}
