//! What keys may sign for, in data objects beside them.

use cryptoki::{
    error::Error,
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::Session,
};
use dolmen_hsm_api::{Domain, Domains, KeyError, KeyUri};

use crate::errors::Fault;

const APPLICATION: &str = "dolmen";
/// Of the objects that mark a rotation that has begun.
const ROTATION: &str = "dolmen-rotation";
/// How no domain at all is written; a value is never empty, since not every token stores an empty one.
const NOTHING: &str = "nothing";

/// What the key of a label may sign for; none where nothing is written about it.
pub(crate) fn read(session: &Session, label: &[u8], uri: &KeyUri) -> Result<Option<Domains>, Fault> {
    // A key without a label was made elsewhere.
    if label.is_empty() {
        return Ok(None);
    }
    let damaged = |reason: String| KeyError::Damaged { path: uri.to_string().into(), reason };
    let object = match find(session, APPLICATION, label)?.as_slice() {
        [] => return Ok(None),
        [only] => *only,
        _ => return Err(damaged("two data objects say what it may sign for".to_owned()).into()),
    };
    let mut value = Vec::new();
    for attribute in session.get_attributes(object, &[AttributeType::Value])? {
        if let Attribute::Value(bytes) = attribute {
            value = bytes;
        }
    }
    parse(&String::from_utf8_lossy(&value)).map(Some).map_err(|reason| damaged(reason).into())
}

/// Writes what the key of a label may sign for, in the place of what was written before.
pub(crate) fn write(session: &Session, label: &str, domains: Domains) -> Result<(), Error> {
    remove(session, label.as_bytes())?;
    create(session, APPLICATION, label, &domains.to_string())
}

/// Removes it.
pub(crate) fn remove(session: &Session, label: &[u8]) -> Result<(), Error> {
    destroy(session, APPLICATION, label)
}

/// Whether the key of a label was being rotated.
pub(crate) fn is_rotating(session: &Session, label: &str) -> Result<bool, Error> {
    Ok(!find(session, ROTATION, label.as_bytes())?.is_empty())
}

/// Marks that it is, until [`end_rotation`].
pub(crate) fn begin_rotation(session: &Session, label: &str) -> Result<(), Error> {
    if is_rotating(session, label)? { Ok(()) } else { create(session, ROTATION, label, "begun") }
}

/// Removes the mark.
pub(crate) fn end_rotation(session: &Session, label: &str) -> Result<(), Error> {
    destroy(session, ROTATION, label.as_bytes())
}

fn find(session: &Session, application: &str, label: &[u8]) -> Result<Vec<ObjectHandle>, Error> {
    session.find_objects(&[
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Application(application.into()),
        Attribute::Label(label.to_vec()),
    ])
}

fn create(session: &Session, application: &str, label: &str, value: &str) -> Result<(), Error> {
    let template = [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        // Else whoever has no PIN could delete it, and the key would sign for anything.
        Attribute::Private(true),
        Attribute::Application(application.into()),
        Attribute::Label(label.into()),
        Attribute::Value(value.into()),
    ];
    session.create_object(&template).map(drop)
}

fn destroy(session: &Session, application: &str, label: &[u8]) -> Result<(), Error> {
    find(session, application, label)?.into_iter().try_for_each(|object| session.destroy_object(object))
}

fn parse(value: &str) -> Result<Domains, String> {
    if value == NOTHING {
        return Ok(Domains::default());
    }
    value.split(',').map(str::parse::<Domain>).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_read_as_they_are_written() {
        for domains in [&[][..], &[Domain::Vote], &[Domain::Tls, Domain::Certificate], &Domain::ALL] {
            let domains: Domains = domains.iter().copied().collect();
            assert_eq!(parse(&domains.to_string()), Ok(domains));
        }
        assert!(parse("").is_err());
        assert!(parse("vote,taxes").is_err());
    }
}
