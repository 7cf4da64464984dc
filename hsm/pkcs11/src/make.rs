//! Makes the objects of keys.

use cryptoki::{
    error::Error,
    object::{Attribute, ObjectClass},
    session::Session,
};
use dolmen_hsm_api::KeyError;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    curve,
    errors::{self, Fault},
    scheme::{STORE, Scheme},
};

/// A label, and the identifier that a key's objects share.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub(crate) label: String,
    pub(crate) id: Vec<u8>,
}

impl Tag {
    pub(crate) fn new(label: &str) -> Self {
        Self { label: label.to_owned(), id: new_id() }
    }

    fn attributes(&self) -> [Attribute; 2] {
        [Attribute::Label(self.label.clone().into_bytes()), Attribute::Id(self.id.clone())]
    }

    /// What every public key has.
    fn public(&self, curve: &[u8]) -> Vec<Attribute> {
        let mut template = vec![
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::EcParams(curve.to_vec()),
        ];
        template.extend(self.attributes());
        template
    }

    /// What every private key has.
    fn private(&self) -> Vec<Attribute> {
        let mut template = vec![
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ];
        template.extend(self.attributes());
        template
    }
}

/// An identifier that no other key has.
pub(crate) fn new_id() -> Vec<u8> {
    rand::random::<[u8; 16]>().to_vec()
}

/// Has the token make a key pair.
pub(crate) fn generate(session: &Session, scheme: Scheme, tag: &Tag) -> Result<(), Fault> {
    let made = with_curve(scheme, |name| {
        session.generate_key_pair(&scheme.key_pair_gen()?, &tag.public(name), &tag.private())?;
        Ok(())
    });
    match made {
        Err(Fault::Device(error)) if errors::is_mechanism_refusal(&error) => {
            let offered = "what `pkcs11-tool --list-mechanisms` shows";
            Err(KeyError::Algorithm { store: STORE, algorithm: scheme.algorithm(), offered }.into())
        }
        made => made,
    }
}

/// Puts a key that was made elsewhere onto the token.
pub(crate) fn import(
    session: &Session,
    scheme: Scheme,
    tag: &Tag,
    public_key: &[u8],
    secret: &Zeroizing<[u8; 32]>,
) -> Result<(), Fault> {
    let made = with_curve(scheme, |name| {
        let mut public = tag.public(name);
        public.extend([
            Attribute::Class(ObjectClass::PUBLIC_KEY),
            Attribute::KeyType(scheme.key_type()),
            Attribute::EcPoint(curve::point(scheme.algorithm(), public_key)),
        ]);
        let public = session.create_object(&public)?;
        let mut private = tag.private();
        private.extend([
            Attribute::Class(ObjectClass::PRIVATE_KEY),
            Attribute::KeyType(scheme.key_type()),
            Attribute::EcParams(name.to_vec()),
            Attribute::Value(secret.to_vec()),
        ]);
        let made = session.create_object(&private);
        wipe(&mut private);
        if let Err(error) = made {
            session.destroy_object(public)?;
            return Err(error.into());
        }
        Ok(())
    });
    match made {
        Err(Fault::Device(error)) if errors::is_refusal(&error) || errors::is_curve_refusal(&error) => {
            tracing::info!(error = %errors::describe(&error), "a token takes no key that was made elsewhere");
            Err(KeyError::Unsupported {
                store: STORE,
                operation: "take a key that was made elsewhere",
                next: "make one in it with `dolmen keys create`",
            }
            .into())
        }
        made => made,
    }
}

/// Overwrites the secret of a template.
fn wipe(template: &mut [Attribute]) {
    for attribute in template {
        if let Attribute::Value(value) = attribute {
            value.zeroize();
        }
    }
}

/// Does something with the first name of the curve that the token takes.
fn with_curve(scheme: Scheme, make: impl Fn(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut refused: Option<Error> = None;
    for name in curve::names(scheme.algorithm()) {
        match make(name) {
            Err(Fault::Device(error)) if errors::is_curve_refusal(&error) => refused = refused.or(Some(error)),
            made => return made,
        }
    }
    Err(refused.map_or_else(|| Fault::Reason("there is no such curve".to_owned()), Fault::Device))
}
