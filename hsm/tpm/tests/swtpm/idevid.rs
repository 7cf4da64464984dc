//! The identity that a box is made with, and whether others see the same.

use std::{fs, path::Path, process::Command, sync::Arc};

use dolmen_hsm_api::{
    Algorithm, AttestingTpm as _, Domain, KeyError, KeySpec, KeyStore as _, KeyUri, Message, Residence, Signature,
    Signer,
};
use dolmen_hsm_evidence::{Public, verify_certify};
use dolmen_hsm_memory::MemoryKey;
use dolmen_hsm_tpm::{Evidence, Idevid, TpmStore};
use dolmen_provisioning_ca::{
    Authority, Certificate, ObjectIdentifier, Order, Profile, PublicKey, RequestBuilder, Serial, Subject, UnixTime,
    Validity,
};
use futures::executor::block_on;
use openssl::x509::X509;

use crate::support::{Open as _, Swtpm};

const HARDWARE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1.2");
const NONCE: &[u8] = b"a nonce of the maker's choice";

fn uri() -> KeyUri {
    "tpm:idevid".parse().expect("a name")
}

fn spec() -> KeySpec {
    KeySpec { algorithm: Algorithm::EcdsaP256, domains: [Domain::Certificate].into_iter().collect() }
}

fn forever() -> Validity {
    Validity::new(UnixTime::from_secs(1_800_000_000).expect("a time"), UnixTime::MAX).expect("it ends later")
}

/// A maker: its root and the authority below it.
struct Maker {
    root: Authority,
    issuing: Authority,
}

impl Maker {
    fn new() -> Self {
        let key = |name: &str| {
            let uri = format!("soft:{name}").parse().expect("a name");
            Arc::new(MemoryKey::generate(uri, spec()).expect("P-256 is offered").0) as Arc<dyn Signer>
        };
        let subject = |name| Subject::new("Maker", name).expect("a name");
        let (above, below) = (key("root"), key("issuing"));
        let root = block_on(Authority::root(above, subject("root"), forever(), Serial::from_random([1; 16])));
        let root = root.expect("a root");
        let order = Order {
            profile: Profile::Issuing,
            subject: subject("issuing"),
            key: PublicKey::of(&*below).expect("P-256"),
            alt_names: Vec::new(),
            validity: forever(),
            serial: Serial::from_random([2; 16]),
        };
        let certificate = block_on(root.issue(&order)).expect("it issues");
        let issuing = Authority::new(certificate, vec![root.certificate().clone()], below).expect("an authority");
        Self { root, issuing }
    }

    /// A box's certificate.
    fn issue(&self, key: PublicKey, serial: u8) -> Certificate {
        let subject = Subject::new("Maker", "box").expect("a name").with_machine_serial("SN-0042").expect("a number");
        let order = Order {
            profile: Profile::IDevId { hardware: HARDWARE },
            subject,
            key,
            alt_names: Vec::new(),
            validity: forever(),
            serial: Serial::from_random([serial; 16]),
        };
        block_on(self.issuing.issue(&order)).expect("it issues")
    }
}

fn of(idevid: &Idevid) -> PublicKey {
    PublicKey::of(&*idevid.signer().expect("the TPM makes it")).expect("P-256")
}

fn refused(result: Result<(), KeyError>) -> String {
    let error = result.expect_err("it is refused");
    assert!(matches!(error, KeyError::Policy { .. }), "{error}");
    error.to_string()
}

fn openssl(directory: &Path, arguments: &str) -> String {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output();
    let output = output.expect("openssl starts");
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "openssl {arguments}: {text}");
    text
}

fn pem(certificates: &[&Certificate]) -> Vec<u8> {
    certificates
        .iter()
        .flat_map(|one| X509::from_der(one.der()).and_then(|one| one.to_pem()).expect("a certificate"))
        .collect()
}

#[test]
fn it_is_the_tpms_whatever_becomes_of_the_disk() {
    let (mut swtpm, disk, other_disk) = (Swtpm::new(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tpm = swtpm.open();
    let key = TpmStore::new(tpm.clone(), disk.path().into()).open(&uri()).unwrap();
    assert_eq!((key.uri(), key.algorithm(), key.residence()), (&uri(), Algorithm::EcdsaP256, Residence::Device));
    for domain in Domain::ALL {
        let signed = block_on(key.sign(domain, Message::Bytes(b"whatever")));
        match domain {
            Domain::Tls | Domain::Certificate => assert_eq!(signed.unwrap().0.len(), 64),
            _ => assert!(matches!(signed, Err(KeyError::Domain { .. })), "{domain}"),
        }
    }
    assert!(fs::read_dir(disk.path()).unwrap().next().is_none(), "nothing is written");

    // A power cut takes what is loaded; another key is made beside it until the TPM is full.
    swtpm.stop();
    swtpm.start();
    block_on(key.sign(Domain::Tls, Message::Bytes(b"again"))).unwrap();
    let store = TpmStore::new(tpm, other_disk.path().into());
    for name in ["one", "two", "three"] {
        let other = store.create(&format!("tpm:{name}").parse().unwrap(), spec()).unwrap();
        block_on(other.sign(Domain::Certificate, Message::Bytes(b"the other"))).unwrap();
        block_on(key.sign(Domain::Tls, Message::Bytes(b"the same"))).unwrap();
    }
    let public = key.public_key().to_vec();
    drop((key, store));
    swtpm.tool("tpm2_clear", &["-c", "p"], disk.path());
    assert_eq!(Idevid::new(swtpm.open()).signer().unwrap().public_key(), public, "a wiped box is the same box");
    assert_ne!(Idevid::new(Swtpm::new().open()).signer().unwrap().public_key(), public, "another TPM is another box");
}

/// Should the seed be another one while a key is open, the key that was opened signs nothing.
#[test]
fn another_seed_is_another_box() {
    let (mut swtpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let key = Idevid::new(swtpm.open()).signer().unwrap();
    swtpm.stop();
    swtpm.start();
    swtpm.tool("tpm2_changeeps", &[], directory.path());
    let error: Result<Signature, KeyError> = block_on(key.sign(Domain::Tls, Message::Bytes(b"a message")));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("its endorsement seed was changed"), "{error}");
}

/// A maker's tools find the same key by the template that the documentation has.
#[test]
fn tpm2_tools_make_the_same_key() {
    let (swtpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let public = Idevid::new(swtpm.open()).signer().unwrap().public_key().to_vec();
    // TPMU_PUBLIC_ID as it is in memory: x and y, each a length and 128 bytes.
    let unique = [&[32, 0], &b"dolmen device identity, version1"[..], &[0; 96], &[32, 0], &[0; 128]].concat();
    fs::write(directory.path().join("unique"), unique).unwrap();
    let make = "-C e -g sha256 -G ecc256:ecdsa-sha256:null -u unique -c key.ctx -a";
    let attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|sign";
    let arguments: Vec<&str> = make.split(' ').chain([attributes]).collect();
    swtpm.tool("tpm2_createprimary", &arguments, directory.path());
    swtpm.tool("tpm2_readpublic", &["-c", "key.ctx", "-f", "der", "-o", "key.der"], directory.path());
    assert!(fs::read(directory.path().join("key.der")).unwrap().ends_with(&public));
}

#[test]
fn its_name_is_no_files() {
    let (swtpm, keys) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let store = TpmStore::new(swtpm.open(), keys.path().into());
    let secret = [1; 32].into();
    for refused in [
        store.create(&uri(), spec()).map(drop),
        store.import(&uri(), KeySpec { algorithm: Algorithm::Ed25519, ..spec() }, &secret).map(drop),
        store.rotate(&uri()).map(drop),
        store.delete(&uri()),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, KeyError::Unsupported { .. }) && error.to_string().contains("another name"), "{error}");
    }
    // One that came there otherwise is passed over.
    let other = store.create(&"tpm:other".parse().unwrap(), spec()).unwrap();
    fs::copy(keys.path().join("other.tpm"), keys.path().join("idevid.tpm")).unwrap();
    assert_ne!(store.open(&uri()).unwrap().public_key(), other.public_key());
    let listed: Vec<_> = store.list().unwrap().into_iter().map(|key| key.uri).collect();
    assert_eq!(listed, ["tpm:other".parse().unwrap()]);
}

#[test]
fn the_maker_sees_that_the_key_is_the_tpms() {
    let swtpm = Swtpm::new();
    let tpm = swtpm.open();
    let key = Idevid::new(tpm.clone()).signer().unwrap();
    let ak = Public::from_tpmt(&Evidence::new(tpm).attestation_key().unwrap()).unwrap();
    let statement = block_on(key.attest(NONCE)).unwrap().expect("it is in the TPM");
    let subject = Public::from_tpmt(&statement.subject).unwrap();
    verify_certify(&ak, &statement.statement, &statement.signature, NONCE, &subject).unwrap();
    assert!(subject.key().to_spki().unwrap().ends_with(key.public_key()));
    block_on(key.sign(Domain::Tls, Message::Bytes(b"and it still signs"))).unwrap();
}

#[test]
fn its_certificate_is_written_once() {
    let (mut swtpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let (maker, idevid) = (Maker::new(), Idevid::new(swtpm.open()));
    assert_eq!(idevid.certificate().unwrap(), None);
    let own = maker.issue(of(&idevid), 7);
    idevid.write_certificate(own.der()).unwrap();
    idevid.write_certificate(own.der()).unwrap();
    swtpm.stop();
    swtpm.start();
    assert_eq!(idevid.certificate().unwrap().as_deref(), Some(own.der()));
    assert_eq!(idevid.certificates().unwrap(), [own.der()]);

    // Never another one, be it of this key or not.
    let renewed = maker.issue(of(&idevid), 8);
    let text = refused(idevid.write_certificate(renewed.der()));
    assert!(text.contains("0x01c90000 holds another certificate"), "{text}");
    assert!(text.contains(&const_hex::encode(own.fingerprint())), "{text}");
    let path = [own.der(), maker.issuing.certificate().der()];
    assert!(refused(idevid.write_certificates(&path)).contains("holds another certificate or path"));
    let stranger = maker.issue(of(&Idevid::new(Swtpm::new().open())), 9);
    assert!(refused(idevid.write_certificate(stranger.der())).contains("of another key"));
    assert!(refused(idevid.write_certificate(b"no certificate")).contains("is no certificate"));
    assert_eq!(idevid.certificate().unwrap().as_deref(), Some(own.der()));
    drop(idevid);

    // Other tools see it where the TCG has it.
    let shown = swtpm.tool("tpm2_nvreadpublic", &["0x01c90000"], directory.path());
    assert!(shown.contains("ownerwrite|ownerread|authread|no_da|written"), "{shown}");
    swtpm.tool("tpm2_nvread", &["0x01c90000", "-o", "own.der"], directory.path());
    assert_eq!(fs::read(directory.path().join("own.der")).unwrap(), own.der());
    fs::write(directory.path().join("root.pem"), pem(&[maker.root.certificate()])).unwrap();
    fs::write(directory.path().join("issuing.pem"), pem(&[maker.issuing.certificate()])).unwrap();
    openssl(directory.path(), "x509 -inform DER -in own.der -out own.pem");
    let verify = "verify -x509_strict -CAfile root.pem -untrusted issuing.pem -purpose sslclient -attime 1900000000";
    assert!(openssl(directory.path(), &format!("{verify} own.pem")).contains("own.pem: OK"));
}

/// A certificate and those above it take more than one command.
#[test]
fn a_whole_path_is_written_and_completed_after_a_power_cut() {
    let (swtpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let (maker, idevid) = (Maker::new(), Idevid::new(swtpm.open()));
    let own = maker.issue(of(&idevid), 7);
    let path = [own.der(), maker.issuing.certificate().der(), maker.root.certificate().der()];
    let all = path.concat();
    assert!(all.len() > 1024, "more than one command of this TPM");
    drop(idevid);

    // As it is after the index was made, and then after the first command, for each that a cut may follow.
    let size = all.len().to_string();
    let define = ["0x01c90000", "-C", "o", "-s", &size, "-a", "ownerwrite|ownerread|authread|no_da"];
    for written in [0, 700, 1024] {
        swtpm.tool("tpm2_nvdefine", &define, directory.path());
        fs::write(directory.path().join("part"), &all[..written]).unwrap();
        if written > 0 {
            swtpm.tool("tpm2_nvwrite", &["0x01c90000", "-C", "o", "-i", "part"], directory.path());
        }
        let idevid = Idevid::new(swtpm.open());
        assert!(idevid.certificates().unwrap().len() < 3, "not all are there");
        idevid.write_certificates(&path).unwrap();
        assert_eq!(idevid.certificates().unwrap(), path);
        idevid.write_certificates(&path).unwrap();
        idevid.write_certificate(own.der()).unwrap();
        idevid.write_certificates(&path[..2]).unwrap();
        assert_eq!(idevid.certificates().unwrap(), path);
        drop(idevid);
        swtpm.tool("tpm2_nvundefine", &["0x01c90000", "-C", "o"], directory.path());
    }
    let idevid = Idevid::new(swtpm.open());
    let long = [own.der(), own.der(), own.der(), own.der(), own.der()];
    let text = refused(idevid.write_certificates(&long));
    assert!(text.contains("an index of this TPM has 2048"), "{text}");
    assert_eq!(idevid.certificates().unwrap(), <[&[u8]; 0]>::default());
}

/// A machine's own maker may have used an index of the range: for a key of its own, padded, or for something else.
#[test]
fn what_others_wrote_stays_and_is_not_taken_for_ours() {
    let (swtpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let (maker, idevid) = (Maker::new(), Idevid::new(swtpm.open()));
    let (own, stranger) = (maker.issue(of(&idevid), 7), maker.issue(of(&Idevid::new(Swtpm::new().open())), 8));
    drop(idevid);
    let platform = "ownerread|authread|no_da|ppwrite|ppread|writedefine|platformcreate";
    let put = |index: &str, attributes: &str, content: &[u8]| {
        fs::write(directory.path().join("content"), content).unwrap();
        let size = content.len().to_string();
        swtpm.tool("tpm2_nvdefine", &[index, "-C", "p", "-s", &size, "-a", attributes], directory.path());
        if !content.iter().all(|byte| *byte == 0xff) {
            swtpm.tool("tpm2_nvwrite", &[index, "-C", "p", "-i", "content"], directory.path());
        }
    };
    put("0x01c90000", platform, &[stranger.der(), &[0; 100]].concat());
    put("0x01c90001", platform, &[0xff; 64]);
    put("0x01c90002", "ppread|ppwrite|no_da|platformcreate", own.der());
    put("0x01c90010", platform, own.der());
    let idevid = Idevid::new(swtpm.open());
    assert_eq!(idevid.certificates().unwrap(), <[&[u8]; 0]>::default());
    idevid.write_certificate(own.der()).unwrap();
    assert_eq!(idevid.certificate().unwrap().as_deref(), Some(own.der()));
    drop(idevid);
    swtpm.tool("tpm2_nvread", &["0x01c90003", "-o", "ours"], directory.path());
    assert_eq!(fs::read(directory.path().join("ours")).unwrap(), own.der());

    // What the owner made goes when the TPM is cleared. What the platform made stays, and is ours where it is for our key.
    swtpm.tool("tpm2_clear", &["-c", "p"], directory.path());
    assert_eq!(Idevid::new(swtpm.open()).certificate().unwrap(), None);
    put("0x01c9000f", platform, &[own.der(), maker.issuing.certificate().der(), &[0xff; 50]].concat());
    swtpm.tool("tpm2_clear", &["-c", "p"], directory.path());
    let idevid = Idevid::new(swtpm.open());
    assert_eq!(idevid.certificates().unwrap(), [own.der(), maker.issuing.certificate().der()]);
    idevid.write_certificate(own.der()).unwrap();
}

/// Requests and what is signed with the key are what OpenSSL takes.
#[test]
fn openssl_takes_its_requests_and_signatures() {
    let (swtpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let key = Idevid::new(swtpm.open()).signer().unwrap();
    let subject = Subject::new("Maker", "box").unwrap().with_machine_serial("SN-0042").unwrap();
    let request = block_on(RequestBuilder::new(&subject, Vec::new()).unwrap().sign(&*key)).unwrap();
    fs::write(directory.path().join("request.der"), request.der()).unwrap();
    let shown = openssl(directory.path(), "req -inform DER -in request.der -verify -noout -subject");
    assert!(shown.contains("verify OK") && shown.contains("serialNumber = SN-0042"), "{shown}");
    assert_eq!(request.public_key(), PublicKey::of(&*key).unwrap());
}
