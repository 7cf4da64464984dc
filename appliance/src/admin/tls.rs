//! TLS of the page, with a key wherever it lives and a certificate that the box signs itself.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use dolmen_hsm_api::{Domain, Signer, private};
use dolmen_hsm_tls::{Identity, TlsKey};
use openssl::{sha::sha256, x509::X509};
use rcgen::{CertificateParams, DistinguishedName, DnType, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PublicKeyData};
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

/// The page's certificate, beside the keys.
const CERTIFICATE: &str = "tls.pem";
/// That of a key which waits for the next start.
const NEXT: &str = "tls.next.pem";
/// Years in which the certificate holds. A box may wake with a clock that is years behind.
const YEARS: [i32; 2] = [2020, 2060];

/// What the page's socket needs, and what people compare.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) acceptor: TlsAcceptor,
    /// SHA-256 of the certificate, in pairs of digits with colons between them.
    pub(crate) fingerprint: String,
    /// The certificate, DER.
    pub(crate) certificate: Vec<u8>,
}

impl Tls {
    /// Makes the certificate of a key that takes the place of the present one with the next start, and returns its
    /// fingerprint.
    pub(crate) fn make_next(
        key: Arc<dyn Signer>,
        directory: &Path,
        name: &str,
        listen: SocketAddr,
        hosts: &[String],
    ) -> anyhow::Result<String> {
        Ok(fingerprint(&make(&directory.join(NEXT), &Key::new(key)?, name, names(listen, hosts))?))
    }

    /// TLS with a key. The certificate is kept beside the other keys' files, so that people who accepted it meet it again.
    pub(crate) fn new(
        key: Arc<dyn Signer>,
        directory: &Path,
        name: &str,
        listen: SocketAddr,
        hosts: &[String],
    ) -> anyhow::Result<Self> {
        for domain in [Domain::Tls, Domain::Certificate] {
            key.domains()
                .check(key.uri(), domain)
                .context("the key of the web page is made with --for tls,certificate")?;
        }
        let key = Key::new(key)?;
        let path = directory.join(CERTIFICATE);
        let names = names(listen, hosts);
        let certificate = match load(&path, &key, &names)? {
            Some(certificate) => certificate,
            None => match load(&directory.join(NEXT), &key, &names)? {
                Some(certificate) => {
                    let renamed =
                        fs::rename(directory.join(NEXT), &path).and_then(|()| private::sync_directory(directory));
                    renamed.with_context(|| format!("cannot write the certificate {}", path.display()))?;
                    certificate
                }
                None => make(&path, &key, name, names)?,
            },
        };
        let fingerprint = fingerprint(&certificate);
        let identity = Identity::new(key.tls, vec![certificate.clone()]);
        // TLS 1.3 alone: every browser and library of the last years has it.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .context("the TLS library has no TLS 1.3")?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(identity));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), fingerprint, certificate })
    }
}

/// SHA-256 of a certificate, as browsers show it.
pub(super) fn fingerprint(certificate: &[u8]) -> String {
    sha256(certificate).map(|byte| format!("{byte:02X}")).join(":")
}

/// What the page may be asked for as: the addresses of this box are not all known, so a certificate names what it can.
fn names(listen: SocketAddr, hosts: &[String]) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), IpAddr::from([127, 0, 0, 1]).to_string()];
    if !listen.ip().is_unspecified() {
        names.push(listen.ip().to_string());
    }
    names.extend(hosts.iter().filter(|host| *host != "*").cloned());
    names.sort();
    names.dedup();
    names
}

/// The certificate on disk, DER, if it is this key's and for these names.
fn load(path: &Path, key: &Key, names: &[String]) -> anyhow::Result<Option<Vec<u8>>> {
    let pem = match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("cannot read the certificate {}", path.display()))?,
    };
    let certificate = X509::from_pem(&pem);
    let certificate = certificate
        .with_context(|| format!("{} is no certificate; remove it, and the box makes another", path.display()))?;
    let same_key = certificate.public_key()?.public_key_to_der()? == key.subject_public_key_info();
    let mut known: Vec<String> = certificate
        .subject_alt_names()
        .iter()
        .flatten()
        .filter_map(|name| name.dnsname().map(str::to_owned).or_else(|| name.ipaddress().and_then(address)))
        .collect();
    known.sort();
    Ok(if same_key && known == names { Some(certificate.to_der()?) } else { None })
}

fn address(bytes: &[u8]) -> Option<String> {
    match bytes.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string()),
        16 => Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()),
        _ => None,
    }
}

fn make(path: &Path, key: &Key, name: &str, names: Vec<String>) -> anyhow::Result<Vec<u8>> {
    let mut params = CertificateParams::new(names).context("a name in admin.hosts cannot stand in a certificate")?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    [params.not_before, params.not_after] = YEARS.map(|year| rcgen::date_time_ymd(year, 1, 1));
    // Browsers refuse two certificates of one issuer with one number.
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
    let certificate = params.self_signed(key).context("the key of the web page does not sign its certificate")?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove the old certificate {}", path.display()));
        }
        _ => private::write_new(path, certificate.pem().as_bytes())
            .with_context(|| format!("cannot write the certificate {}", path.display()))?,
    }
    Ok(certificate.der().to_vec())
}

/// The key as rcgen has certificates signed.
#[derive(Debug)]
struct Key {
    tls: TlsKey,
    public: Vec<u8>,
}

impl Key {
    fn new(signer: Arc<dyn Signer>) -> anyhow::Result<Self> {
        let tls = TlsKey::new(signer).context("keys.tls cannot be the key of the web page; name another")?;
        Ok(Self { public: tls.public_key(), tls })
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        if self.tls.is_ed25519() { &PKCS_ED25519 } else { &PKCS_ECDSA_P256_SHA256 }
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.tls.sign(Domain::Certificate, message).map_err(|error| {
            tracing::error!(key = %self.tls.uri(), %error, "the certificate of the web page cannot be signed");
            rcgen::Error::RemoteKeyError
        })
    }
}
