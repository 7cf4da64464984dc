//! Passkeys: W3C WebAuthn Level 3, by webauthn-rs.
//!
//! A passkey belongs to a host name, its RP id, and counts at the origins of that name alone. Users are verified by their
//! device (PIN or finger), so that a passkey is two factors. Devices keep them (discoverable credentials): a login names
//! nobody, and its answer does not say who is a user. Old security keys without room for that cannot be used. Attestation
//! is not asked for: any device may be used.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
};

use serde_json::Value;
use webauthn_rs::prelude::{
    CredentialID, DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Uuid, Webauthn, WebauthnBuilder, WebauthnError,
};

use crate::{
    Name, OpenError, Random, Refusal,
    limits::{CEREMONIES_MAX, CEREMONIES_PER_SOURCE, CEREMONY_SECONDS},
    rate::Source,
    secret::Bytes,
    state::{State, StoredPasskey, User, UserId},
};

/// What the box is to WebAuthn, by its host names.
#[derive(Debug)]
pub(crate) struct Relying(BTreeMap<String, Webauthn>);

impl Relying {
    /// Of origins as browsers send them, such as `https://box-7.example:8443`.
    pub(crate) fn new(origins: &[String], box_name: &str) -> Result<Self, OpenError> {
        let mut hosts: BTreeMap<String, Vec<Url>> = BTreeMap::new();
        for text in origins {
            let bad = || OpenError::Origin(text.clone());
            let url = Url::parse(text).map_err(|_| bad())?;
            let host = url.domain().ok_or_else(bad)?.to_owned();
            if url.scheme() != "https" || url.origin().ascii_serialization() != text.trim_end_matches('/') {
                return Err(bad());
            }
            hosts.entry(host).or_default().push(url);
        }
        let build = |(host, urls): (String, Vec<Url>)| {
            let bad = |_| OpenError::Origin(host.clone());
            let (first, others) = urls.split_first().ok_or_else(|| OpenError::Origin(host.clone()))?;
            let builder = WebauthnBuilder::new(&host, first).map_err(bad)?.rp_name(box_name);
            let builder = others.iter().fold(builder, WebauthnBuilder::append_allowed_origin);
            let webauthn = builder.build().map_err(bad)?;
            Ok((host, webauthn))
        };
        hosts.into_iter().map(build).collect::<Result<_, _>>().map(Self)
    }

    /// By a host name, without its port; none for addresses and other names.
    pub(crate) fn get(&self, host: &str) -> Result<&Webauthn, Refusal> {
        self.0.get(&host.to_ascii_lowercase()).ok_or(Refusal::PasskeyHost)
    }
}

/// What waits for a browser's second request.
#[derive(Debug)]
pub(crate) enum Ceremony {
    /// Setting one up.
    Register { user: UserId, name: Name, host: String, state: Box<PasskeyRegistration> },
    /// Logging in.
    Login { host: String, state: Box<DiscoverableAuthentication> },
}

/// Ceremonies that wait. Each is finished once, whether it holds or not. The oldest make room: of one address first, so
/// that nobody fills the table alone.
#[derive(Debug, Default)]
pub(crate) struct Ceremonies(VecDeque<(Bytes<16>, Source, u64, Ceremony)>);

impl Ceremonies {
    pub(crate) fn add(
        &mut self,
        random: &mut dyn Random,
        from: IpAddr,
        now: u64,
        ceremony: Ceremony,
    ) -> Result<String, Refusal> {
        let id = Bytes::random(random).map_err(Refusal::Random)?;
        let source = Source::from(from);
        self.0.retain(|(_, _, until, _)| *until > now);
        let own = |entry: &(Bytes<16>, Source, u64, Ceremony)| entry.1 == source;
        if self.0.iter().filter(|entry| own(entry)).count() >= CEREMONIES_PER_SOURCE {
            let oldest = self.0.iter().position(own);
            oldest.and_then(|oldest| self.0.remove(oldest));
        } else if self.0.len() >= CEREMONIES_MAX {
            self.0.pop_front();
        }
        let text = id.hex();
        self.0.push_back((id, source, now.saturating_add(CEREMONY_SECONDS), ceremony));
        Ok(text)
    }

    pub(crate) fn take(&mut self, id: &str, now: u64) -> Result<Ceremony, Refusal> {
        let id = const_hex::decode_to_array(id).map(Bytes::new).map_err(|_| Refusal::PasskeyCeremony)?;
        let place = self.0.iter().position(|(one, ..)| *one == id).ok_or(Refusal::PasskeyCeremony)?;
        let (_, _, until, ceremony) = self.0.remove(place).ok_or(Refusal::PasskeyCeremony)?;
        if until > now { Ok(ceremony) } else { Err(Refusal::PasskeyCeremony) }
    }
}

/// Begins to set one up.
pub(crate) fn start_registration(
    webauthn: &Webauthn,
    user: &User,
) -> Result<(Value, Box<PasskeyRegistration>), Refusal> {
    let known: Vec<CredentialID> = user.passkeys.iter().map(|passkey| passkey.credential.cred_id().clone()).collect();
    let (id, name) = (Uuid::from_bytes(*user.id.get()), user.name.as_str());
    let started = webauthn.start_passkey_registration(id, name, name, Some(known)).map_err(refused)?;
    let mut options = options(started.0)?;
    // The library would leave it to the device.
    if let Some(Value::Object(selection)) = options.get_mut("authenticatorSelection") {
        selection.insert("residentKey".into(), "required".into());
        selection.insert("requireResidentKey".into(), true.into());
    }
    Ok((options, Box::new(started.1)))
}

/// Ends it.
pub(crate) fn finish_registration(
    webauthn: &Webauthn,
    ceremony: &PasskeyRegistration,
    credential: &Value,
) -> Result<Passkey, Refusal> {
    let credential: RegisterPublicKeyCredential = read(credential)?;
    webauthn.finish_passkey_registration(&credential, ceremony).map_err(refused)
}

/// Begins a login.
pub(crate) fn start_login(webauthn: &Webauthn) -> Result<(Value, Box<DiscoverableAuthentication>), Refusal> {
    let (challenge, state) = webauthn.start_discoverable_authentication().map_err(refused)?;
    Ok((options(challenge)?, Box::new(state)))
}

/// Ends it: whose it is, and the passkey with its new counter.
pub(crate) fn finish_login(
    webauthn: &Webauthn,
    host: &str,
    ceremony: DiscoverableAuthentication,
    credential: &Value,
    state: &State,
) -> Result<(UserId, StoredPasskey), Refusal> {
    let credential: PublicKeyCredential = read(credential)?;
    let (user, id) = webauthn.identify_discoverable_authentication(&credential).map_err(refused)?;
    let user = UserId::new(*user.as_bytes());
    let unknown = || refused(WebauthnError::CredentialNotFound);
    let found = state.user(&user).filter(|user| !user.disabled).ok_or_else(unknown)?;
    let is_it = |passkey: &&StoredPasskey| passkey.rp_id == host && passkey.credential.cred_id() == id;
    let mut passkey = found.passkeys.iter().find(is_it).ok_or_else(unknown)?.clone();
    let finished = webauthn.finish_discoverable_authentication_v2(&credential, ceremony, &passkey.credential);
    passkey.credential.update_credential(&finished.map_err(refused)?);
    Ok((user, passkey))
}

/// What browsers take of a challenge.
fn options(challenge: impl serde::Serialize) -> Result<Value, Refusal> {
    let mut challenge = serde_json::to_value(challenge).map_err(|error| Refusal::Encode(error.into()))?;
    challenge.get_mut("publicKey").map(Value::take).ok_or_else(|| Refusal::Encode("no publicKey".into()))
}

fn read<T: serde::de::DeserializeOwned>(credential: &Value) -> Result<T, Refusal> {
    T::deserialize(credential).map_err(Refusal::PasskeyForm)
}

fn refused(error: WebauthnError) -> Refusal {
    match error {
        WebauthnError::CredentialPossibleCompromise => Refusal::PasskeyCloned,
        error => Refusal::PasskeyRefused(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRandom;

    #[test]
    fn an_origin_is_a_host_by_https() {
        let new = |origin: &str| Relying::new(&[origin.to_owned()], "box");
        for good in ["https://box-7.example", "https://box-7.example/", "https://localhost:8443"] {
            assert!(new(good).is_ok(), "{good}");
        }
        for bad in [
            "http://box-7.example",
            "https://192.0.2.7",
            "https://[2001:db8::7]",
            "https://a@box-7.example",
            "box-7",
            "",
            "https://box-7.example/a",
            "https://box-7.example?a",
        ] {
            assert!(matches!(new(bad), Err(OpenError::Origin(_))), "{bad}");
        }
        let both = Relying::new(&["https://a.example".into(), "https://a.example:8443".into()], "box").unwrap();
        assert_eq!(both.get("A.example").unwrap().get_allowed_origins().len(), 2);
        assert!(both.get("b.example").is_err() && both.get("192.0.2.7").is_err());
    }

    #[test]
    fn ceremonies_are_bounded_and_end() {
        let relying = Relying::new(&["https://a.example".into()], "box").unwrap();
        let mut all = Ceremonies::default();
        let add = |all: &mut Ceremonies, address: [u8; 4], now| {
            let (_, state) = start_login(relying.get("a.example").unwrap()).unwrap();
            let ceremony = Ceremony::Login { host: "a.example".into(), state };
            all.add(&mut SystemRandom, address.into(), now, ceremony).unwrap()
        };
        let first = add(&mut all, [192, 0, 2, 1], 0);
        let noise: Vec<_> = (0..100).map(|_| add(&mut all, [192, 0, 2, 2], 0)).collect();
        assert!(all.take(&first, 1).is_ok(), "one address takes nobody's place");
        assert!(all.take(&first, 1).is_err(), "each is finished once");
        assert!(all.take(&noise[0], 1).is_err() && all.take(&noise[99], 1).is_ok());
        let late = add(&mut all, [192, 0, 2, 1], 0);
        assert!(all.take(&late, CEREMONY_SECONDS).is_err());
        for index in 0..1000_u16 {
            let [high, low] = index.to_be_bytes();
            add(&mut all, [10, 0, high, low], 0);
        }
        assert_eq!(all.0.len(), CEREMONIES_MAX);
    }
}
