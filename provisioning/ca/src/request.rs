//! Requests for certificates (PKCS#10, RFC 2986): read, and made.

use base64ct::{Base64, Encoding as _};
use der::{
    Any, Decode, Encode,
    asn1::{ObjectIdentifier, PrintableString, SetOfVec},
};
use dolmen_hsm_api::Signer;
use x509_cert::{
    attr::{Attribute, Attributes},
    ext::{
        Extension,
        pkix::{
            SubjectAltName,
            name::{DirectoryString, GeneralName},
        },
    },
    name::Name,
    request::{CertReq, CertReqInfo, Version},
};

use crate::{
    Certificate, NameError, PublicKey, PublicKeyError, SignError, Subject,
    alt_name::check_count,
    limits::{BINDING_BYTES_MAX, REQUEST_BYTES_MAX},
    oid::{CHALLENGE_PASSWORD, EXTENSION_REQUEST, SUBJECT_ALT_NAME},
    profile::extension,
};

/// A request whose sender holds the key that he asks a certificate for: it is signed by it.
///
/// Whatever else it says is a wish. Alternative names and a link to a TLS session are read; what else it asks for is
/// listed, and nothing comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    der: Vec<u8>,
    subject: Name,
    key: PublicKey,
    alt_names: Vec<GeneralName>,
    channel_binding: Option<Vec<u8>>,
    ignored: Vec<ObjectIdentifier>,
}

/// Why a request is not read, or not made.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Larger than any.
    #[error("the request has {0} bytes, 8192 at most can be; ask for less")]
    Bytes(usize),
    /// Not DER, or not the structure.
    #[error("the request cannot be read; make it anew, in DER")]
    Der(#[source] der::Error),
    /// It can be read in one way alone.
    #[error("the request is not sound: {0}; make it anew, in DER")]
    Malformed(&'static str),
    /// A key that nobody gets a certificate for.
    #[error("the request's key is not accepted")]
    Key(#[source] PublicKeyError),
    /// Nobody shows that he holds the key.
    #[error(
        "the request is not signed by its own key with ECDSA and SHA-256; make it anew with the key that it is for"
    )]
    Possession,
    /// Names that are none.
    #[error("the request's alternative names are not accepted")]
    AltNames(#[source] NameError),
    /// A link to a session that is none.
    #[error("the request's challengePassword is not base64 of 1 to 64 bytes (RFC 7030, section 3.5); leave it away")]
    ChannelBinding,
    /// The name is none of ours.
    #[error("the new request cannot be written; report this")]
    Write(#[source] der::Error),
    /// The key did not sign.
    #[error("the request is not signed")]
    Sign(#[source] SignError),
}

impl Request {
    /// Reads one, and checks that its key signed it.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; bytes behind it and forms that are not DER are errors.
    pub fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > REQUEST_BYTES_MAX {
            return Err(RequestError::Bytes(der.len()));
        }
        let request = CertReq::from_der(der).map_err(RequestError::Der)?;
        if request.to_der().ok().as_deref() != Some(der) {
            return Err(RequestError::Malformed("it is not in DER"));
        }
        let key = PublicKey::from_info(&request.info.public_key).map_err(RequestError::Key)?;
        let message = request.info.to_der().map_err(RequestError::Der)?;
        if !key.verify(&request.algorithm, &message, &request.signature) {
            return Err(RequestError::Possession);
        }
        let subject = request.info.subject;
        let (alt_names, channel_binding, ignored) = (Vec::new(), None, Vec::new());
        let mut read = Self { der: der.to_vec(), subject, key, alt_names, channel_binding, ignored };
        let mut seen = Vec::new();
        for attribute in request.info.attributes.iter() {
            if seen.contains(&attribute.oid) {
                return Err(RequestError::Malformed("it has an attribute twice"));
            }
            seen.push(attribute.oid);
            read.read_attribute(attribute)?;
        }
        check_count(&read.alt_names).map_err(RequestError::AltNames)?;
        Ok(read)
    }

    fn read_attribute(&mut self, attribute: &Attribute) -> Result<(), RequestError> {
        let value = match (attribute.oid, attribute.values.as_slice()) {
            (CHALLENGE_PASSWORD | EXTENSION_REQUEST, [value]) => value,
            (CHALLENGE_PASSWORD | EXTENSION_REQUEST, _) => {
                return Err(RequestError::Malformed("an attribute has not one value"));
            }
            (other, _) => {
                self.ignored.push(other);
                return Ok(());
            }
        };
        if attribute.oid == CHALLENGE_PASSWORD {
            self.channel_binding = Some(read_binding(value)?);
            return Ok(());
        }
        let extensions: Vec<Extension> = value.decode_as().map_err(RequestError::Der)?;
        let mut named = false;
        for extension in extensions {
            if extension.extn_id != SUBJECT_ALT_NAME {
                self.ignored.push(extension.extn_id);
                continue;
            }
            if named {
                return Err(RequestError::Malformed("it has alternative names twice"));
            }
            named = true;
            let names = SubjectAltName::from_der(extension.extn_value.as_bytes());
            self.alt_names = names.map_err(RequestError::Der)?.0;
        }
        Ok(())
    }

    /// Its bytes.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whose certificate it asks for. [`Subject::read`] reads those that are made here.
    #[must_use]
    pub const fn subject(&self) -> &Name {
        &self.subject
    }

    /// The key, whose other half the sender holds.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.key
    }

    /// The names that it asks for, of any kind.
    #[must_use]
    pub fn alt_names(&self) -> &[GeneralName] {
        &self.alt_names
    }

    /// What links it to the TLS session that it came by (RFC 7030 §3.5): compare it with the session's own.
    #[must_use]
    pub fn channel_binding(&self) -> Option<&[u8]> {
        self.channel_binding.as_deref()
    }

    /// Attributes and extensions that it has and that nothing comes of.
    #[must_use]
    pub fn ignored(&self) -> &[ObjectIdentifier] {
        &self.ignored
    }
}

/// What a request is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestBuilder {
    subject: Name,
    alt_names: Vec<GeneralName>,
    channel_binding: Option<Vec<u8>>,
}

impl RequestBuilder {
    /// A first request.
    ///
    /// # Errors
    ///
    /// [`RequestError::AltNames`] for too many names.
    pub fn new(subject: &Subject, alt_names: Vec<GeneralName>) -> Result<Self, RequestError> {
        check_count(&alt_names).map_err(RequestError::AltNames)?;
        Ok(Self { subject: subject.encode().map_err(RequestError::Write)?, alt_names, channel_binding: None })
    }

    /// A request to renew a certificate: it asks for the same subject and names (RFC 7030 §4.2.2).
    #[must_use]
    pub fn renewal(present: &Certificate) -> Self {
        let (subject, alt_names) = (present.subject().clone(), present.alt_names().to_vec());
        Self { subject, alt_names, channel_binding: None }
    }

    /// Links it to a TLS session (RFC 7030 §3.5): the session's `tls-unique`, or with TLS 1.3 its exporter's bytes
    /// (RFC 9266).
    ///
    /// # Errors
    ///
    /// [`RequestError::ChannelBinding`] for none or too many bytes.
    pub fn with_channel_binding(self, bytes: &[u8]) -> Result<Self, RequestError> {
        if !(1..=BINDING_BYTES_MAX).contains(&bytes.len()) {
            return Err(RequestError::ChannelBinding);
        }
        Ok(Self { channel_binding: Some(bytes.to_vec()), ..self })
    }

    /// Signs it by the key that it is for.
    ///
    /// # Errors
    ///
    /// [`RequestError::Sign`] and [`RequestError::Write`].
    pub async fn sign(&self, signer: &dyn Signer) -> Result<Request, RequestError> {
        let key = PublicKey::of(signer).map_err(RequestError::Sign)?;
        let content = self.content(key).map_err(RequestError::Write)?;
        let request = crate::key::seal(signer, &content).await.map_err(RequestError::Sign)?;
        Request::from_der(&request)
    }

    fn content(&self, key: PublicKey) -> der::Result<Vec<u8>> {
        let mut attributes = Vec::new();
        if !self.alt_names.is_empty() {
            let extensions = vec![extension(false, &SubjectAltName(self.alt_names.clone()))?];
            attributes.push(attribute(EXTENSION_REQUEST, Any::encode_from(&extensions)?)?);
        }
        if let Some(bytes) = &self.channel_binding {
            let text = PrintableString::new(&Base64::encode_string(bytes))?;
            attributes.push(attribute(CHALLENGE_PASSWORD, Any::encode_from(&text)?)?);
        }
        let attributes = Attributes::try_from(attributes)?;
        let (subject, public_key) = (self.subject.clone(), key.to_info()?);
        CertReqInfo { version: Version::V1, subject, public_key, attributes }.to_der()
    }
}

fn attribute(oid: ObjectIdentifier, value: Any) -> der::Result<Attribute> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
}

fn read_binding(value: &Any) -> Result<Vec<u8>, RequestError> {
    let text: DirectoryString = value.decode_as().map_err(|_| RequestError::ChannelBinding)?;
    let bytes = Base64::decode_vec(&text.value()).map_err(|_| RequestError::ChannelBinding)?;
    Some(bytes).filter(|bytes| (1..=BINDING_BYTES_MAX).contains(&bytes.len())).ok_or(RequestError::ChannelBinding)
}
