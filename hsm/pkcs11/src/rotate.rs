//! Gives a key's name to a new key, while the old one stays as `NAME.old`.
//!
//! A token has no rename that is all or nothing. The new key is made as `NAME.new` beside a mark; then the old one gets
//! the name `NAME.old`, and at last the new one gets the name. Between these two there is no key of the name: whoever
//! looks for it then finds the mark, and finishes. What a key may sign for lies under the name, and stays there.

use cryptoki::{
    error::Error,
    object::{Attribute, ObjectHandle},
    session::Session,
};
use dolmen_hsm_api::{Domains, KeyError, KeyUri};

use crate::{
    domains,
    errors::{self, Fault},
    make::{self, Tag},
    objects::{self, Name},
    scheme::{STORE, Scheme},
};

pub(crate) fn new_label(label: &str) -> String {
    format!("{label}.new")
}

/// Whether a rotation stopped where no key has the name.
pub(crate) fn is_interrupted(session: &Session, label: &str) -> Result<bool, Error> {
    Ok(domains::is_rotating(session, label)?
        && objects::privates(session, &Name::label(label))?.is_empty()
        && !objects::privates(session, &Name::label(&new_label(label)))?.is_empty())
}

/// Makes the new key, `new` by its name, for what the old one is for.
pub(crate) fn begin(
    session: &Session,
    new: &KeyUri,
    label: &str,
    scheme: Scheme,
    domains: Option<Domains>,
) -> Result<(), Fault> {
    let tag = Tag::new(&new_label(label));
    if objects::is_taken(session, &tag.label, None)? {
        if !domains::is_rotating(session, label)? {
            // Someone gave a key this name.
            return Err(KeyError::Exists(new.clone()).into());
        }
        discard_new(session, label)?;
    }
    domains::begin_rotation(session, label)?;
    if let Some(domains) = domains {
        domains::write(session, &tag.label, domains)?;
    }
    make::generate(session, scheme, &tag).inspect_err(|_| {
        if let Err(error) = abandon(session, label) {
            tracing::warn!(%label, error = %errors::describe(&error), "half a rotation stays on the token");
        }
    })
}

/// Removes the new key and the mark, unless the old key has lost its name to it already.
pub(crate) fn abandon(session: &Session, label: &str) -> Result<(), Error> {
    if objects::privates(session, &Name::label(label))?.is_empty() {
        return Ok(());
    }
    discard_new(session, label)?;
    domains::remove(session, new_label(label).as_bytes())?;
    domains::end_rotation(session, label)
}

fn discard_new(session: &Session, label: &str) -> Result<(), Error> {
    let keys = objects::privates(session, &Name::label(&new_label(label)))?;
    keys.into_iter().try_for_each(|key| objects::destroy(session, key))
}

/// Gives the name to the new key. It can be done again from any point where it stopped.
pub(crate) fn finish(session: &Session, label: &str, domains: Option<Domains>) -> Result<(), Fault> {
    let new_label = new_label(label);
    match objects::privates(session, &Name::label(&new_label))?.as_slice() {
        // It has the name already.
        [] => {}
        [new] => {
            // Tried before anything is lost: not every token lets a label change.
            update(session, *new, Attribute::Label(new_label.as_str().into()))?;
            retire(session, label, domains)?;
            rename(session, *new, label)?;
        }
        several => return Err(Fault::Reason(format!("{} private keys are called {new_label}", several.len()))),
    }
    domains::remove(session, new_label.as_bytes())?;
    Ok(domains::end_rotation(session, label)?)
}

/// Gives the old key its other name, in the place of the key that had that before.
fn retire(session: &Session, label: &str, domains: Option<Domains>) -> Result<(), Fault> {
    // None where that is done; it is the only one, or it would not have been found before.
    let Some(current) = objects::privates(session, &Name::label(label))?.pop() else { return Ok(()) };
    let old_label = format!("{label}.old");
    with_id(session, current)?;
    for old in objects::privates(session, &Name::label(&old_label))? {
        objects::destroy(session, old)?;
    }
    if let Some(domains) = domains {
        domains::write(session, &old_label, domains)?;
    }
    rename(session, current, &old_label)
}

/// Renames a pair, the private key last: it is what a name finds.
fn rename(session: &Session, private: ObjectHandle, label: &str) -> Result<(), Fault> {
    let (now, id) = objects::label_and_id(session, private)?;
    for public in objects::publics(session, &now, &id)? {
        update(session, public, Attribute::Label(label.into()))?;
    }
    update(session, private, Attribute::Label(label.into()))
}

/// Gives a pair that only its label holds together an identifier, so that it stays one while labels change.
fn with_id(session: &Session, private: ObjectHandle) -> Result<(), Fault> {
    let (label, id) = objects::label_and_id(session, private)?;
    if id.is_empty() {
        let id = make::new_id();
        for public in objects::publics(session, &label, &[])? {
            update(session, public, Attribute::Id(id.clone()))?;
        }
        update(session, private, Attribute::Id(id))?;
    }
    Ok(())
}

fn update(session: &Session, object: ObjectHandle, attribute: Attribute) -> Result<(), Fault> {
    match session.update_attributes(object, &[attribute]) {
        Err(error) if errors::is_refusal(&error) => {
            tracing::info!(error = %errors::describe(&error), "a token lets no label change");
            Err(KeyError::Unsupported {
                store: STORE,
                operation: "rename its keys",
                next: "make a key under another name, and name that one in box.toml",
            }
            .into())
        }
        updated => Ok(updated?),
    }
}
