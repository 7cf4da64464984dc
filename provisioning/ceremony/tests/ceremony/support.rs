//! Keys in memory, moments, and the OpenSSL of this machine.

use std::{path::Path, process::Command, sync::Arc};

use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyUri, Signer};
use dolmen_hsm_memory::{Bytes, MemoryKey};
use dolmen_provisioning_ca::{ObjectIdentifier, PublicKey, Request, RequestBuilder, Subject, UnixTime};
use dolmen_provisioning_ceremony::{Birth, Maker, MakerKeys, Moment};
use dolmen_provisioning_voucher::OwnershipEpoch;
use futures::executor::block_on;

/// 2027-01-15 08:00:00.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const HARDWARE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1.2");

pub(crate) fn key(secret: u8) -> Arc<dyn Signer> {
    let uri: KeyUri = format!("soft:key-{secret}").parse().expect("it works");
    let spec = KeySpec { algorithm: Algorithm::EcdsaP256, domains: [Domain::Certificate].into_iter().collect() };
    Arc::new(MemoryKey::new(uri, spec, &Bytes::new([secret; 32])).expect("it works"))
}

/// Each has its own random bytes.
pub(crate) fn moment(number: u8) -> Moment {
    Moment { now: UnixTime::from_secs(NOW + u64::from(number)).expect("it works"), random: [number; 16] }
}

pub(crate) fn request(secret: u8) -> Request {
    let subject = Subject::new("anybody", "anything").expect("it works");
    let signer = key(secret);
    let request =
        block_on(RequestBuilder::new(&subject, Vec::new()).expect("it works").sign(&*signer)).expect("it works");
    assert_eq!(request.public_key(), PublicKey::of(&*signer).expect("it works"));
    request
}

pub(crate) fn birth(number: u8) -> Birth {
    Birth {
        serial_number: format!("BOX-{number}").parse().expect("it works"),
        request: request(100 + number),
        endorsement_key: [number; 32],
        ownership_epoch: OwnershipEpoch::new(5),
    }
}

pub(crate) fn maker_keys() -> MakerKeys {
    MakerKeys { root: key(1), issuing: key(2), masa: key(3) }
}

pub(crate) fn maker(directory: &Path) -> Maker {
    block_on(Maker::found(directory, "Box Works", HARDWARE, maker_keys(), 3650, [1, 2, 3].map(moment)))
        .expect("it works")
}

/// What OpenSSL says, if it says yes.
pub(crate) fn openssl(directory: &Path, arguments: &str) -> Result<String, String> {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output().expect("it works");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout) + &text(&output.stderr)) } else { Err(text(&output.stderr)) }
}
