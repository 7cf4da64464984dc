//! Images and keys made here, and programs that others made.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::OnceLock,
};

use dolmen_image_uki::{
    authenticode::{Signing, sign},
    pe::Image,
    uki::Uki,
};
use openssl::{
    asn1::{Asn1Integer, Asn1Time},
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    rsa::Rsa,
    x509::{X509, X509Name, extension::BasicConstraints},
};
use tempfile::TempDir;

/// Offsets of fields in the images that are made here, whose PE header is at 64.
pub(crate) const PE: usize = 64;
pub(crate) const SECTION_COUNT: usize = PE + 6;
pub(crate) const DLL_FLAGS: usize = PE + 94;
pub(crate) const CHECKSUM: usize = PE + 88;
pub(crate) const IMAGE_SIZE: usize = PE + 80;
pub(crate) const HEADERS_SIZE: usize = PE + 84;
pub(crate) const CERTIFICATE_DIRECTORY: usize = PE + 168;
pub(crate) const SECTION_TABLE: usize = PE + 264;
const FILE_ALIGNMENT: usize = 512;
const SECTION_ALIGNMENT: usize = 4096;
/// Room for 30 sections.
const HEADERS: usize = 1536;

pub(crate) const OS_RELEASE: &str = "ID=dolmen\nVERSION_ID=1.2.3\nPRETTY_NAME=\"Dolmen 1.2.3\"\n";
pub(crate) const CMDLINE: &str = "roothash=00112233445566778899aabbccddeeff ro";
pub(crate) const UNAME: &str = "6.12.117+deb13-amd64";
/// 2026-09-21 14:13:20 UTC.
pub(crate) const TIME: u64 = 1_790_000_000;

/// An image that does nothing, with these sections.
pub(crate) fn image(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; HEADERS];
    bytes[..2].copy_from_slice(b"MZ");
    bytes[60] = 64;
    put(&mut bytes, PE, b"PE\0\0\x64\x86");
    put(&mut bytes, SECTION_COUNT, &u16::try_from(sections.len()).expect("few").to_le_bytes());
    // Size of the optional header, executable, PE32+.
    put(&mut bytes, PE + 20, &[240, 0, 0x22, 0x02, 0x0b, 0x02]);
    let entry = u32::try_from(SECTION_ALIGNMENT).expect("small");
    put_u32(&mut bytes, PE + 40, &[entry, entry]);
    put_u32(&mut bytes, PE + 56, &[4096, 512]);
    put_u32(&mut bytes, HEADERS_SIZE, &[1536]);
    // An EFI application that runs where data cannot be executed.
    put(&mut bytes, PE + 92, &[10, 0, 0x60, 0x01]);
    put_u32(&mut bytes, PE + 132, &[16]);
    let mut address = SECTION_ALIGNMENT;
    for (index, (name, data)) in sections.iter().enumerate() {
        let entry = SECTION_TABLE + index * 40;
        let raw = data.len().next_multiple_of(FILE_ALIGNMENT);
        put(&mut bytes, entry, name.as_bytes());
        let numbers = [data.len(), address, raw, bytes.len()].map(|number| u32::try_from(number).expect("small"));
        put_u32(&mut bytes, entry + 8, &numbers);
        put_u32(&mut bytes, entry + 36, &[0x6000_0020]);
        let end = bytes.len() + raw;
        bytes.extend_from_slice(data);
        bytes.resize(end, 0);
        address += data.len().next_multiple_of(SECTION_ALIGNMENT);
    }
    put_u32(&mut bytes, IMAGE_SIZE, &[u32::try_from(address).expect("small")]);
    bytes
}

pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes[offset..offset + value.len()].copy_from_slice(value);
}

pub(crate) fn put_u32(bytes: &mut [u8], offset: usize, numbers: &[u32]) {
    for (index, number) in numbers.iter().enumerate() {
        put(bytes, offset + 4 * index, &number.to_le_bytes());
    }
}

/// A number of 32 bits in an image.
pub(crate) fn number(bytes: &[u8], offset: usize) -> usize {
    let number = bytes[offset..].first_chunk().expect("four bytes");
    usize::try_from(u32::from_le_bytes(*number)).expect("64-bit machines")
}

/// An image that is one.
pub(crate) fn parse(bytes: &[u8]) -> Image<'_> {
    Image::parse(bytes).expect("an image")
}

/// What an image's section holds.
pub(crate) fn section<'a>(image: &Image<'a>, name: &str) -> &'a [u8] {
    image.data(image.section(name).expect("it has such a section"))
}

/// An image that `identity` signed.
pub(crate) fn signed(image: &[u8], identity: &Identity) -> Vec<u8> {
    sign(image, &identity.signing(&identity.der(), Some(TIME))).expect("a signature")
}

/// A directory that goes with the test.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// What stands for systemd-stub of a version.
pub(crate) fn stub(version: &str) -> Vec<u8> {
    let magic = format!("#### LoaderInfo: systemd-stub {version} ####\0");
    let sbat = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n\
                systemd-stub,1,The systemd Developers,systemd,257,https://systemd.io/\n\0";
    let text: Vec<u8> = (0..=255).cycle().take(700).collect();
    image(&[(".text", &text), (".sbat", sbat.as_bytes()), (".sdmagic", magic.as_bytes()), (".reloc", &[1; 12])])
}

/// What stands for a kernel.
pub(crate) fn kernel() -> Vec<u8> {
    let text: Vec<u8> = (0..=250).cycle().take(5000).collect();
    image(&[(".setup", &[7; 100]), (".text", &text), (".data", &[9; 513])])
}

/// A UKI's parts, without what is optional.
pub(crate) fn parts<'a>(stub: &'a [u8], kernel: &'a [u8], initrds: &'a [&'a [u8]]) -> Uki<'a> {
    Uki {
        stub,
        linux: kernel,
        initrds,
        ucode: None,
        cmdline: CMDLINE,
        os_release: OS_RELEASE,
        uname: UNAME,
        sbat: None,
        pcrpkey: None,
        pcrsig: None,
        splash: None,
    }
}

/// A UKI on what stands for the stub of systemd 257.
pub(crate) fn uki() -> Vec<u8> {
    let (stub, kernel) = (stub("257.13-1~deb13u1"), kernel());
    parts(&stub, &kernel, &[b"an archive"]).assemble().expect("a UKI")
}

/// A key and a certificate for it.
pub(crate) struct Identity {
    pub(crate) key: PKey<Private>,
    pub(crate) certificate: X509,
}

impl Identity {
    /// One of RSA-2048 that certifies itself.
    pub(crate) fn rsa(name: &str) -> Self {
        Self::new(rsa_key(2048), name, None)
    }

    /// One of P-256 that certifies itself.
    pub(crate) fn p256(name: &str) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
        Self::new(PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key"), name, None)
    }

    /// One that `issuer` certifies, or it itself.
    pub(crate) fn new(key: PKey<Private>, name: &str, issuer: Option<&Self>) -> Self {
        let mut subject = X509Name::builder().expect("memory");
        subject.append_entry_by_text("CN", name).expect("a name");
        let subject = subject.build();
        let mut builder = X509::builder().expect("memory");
        builder.set_version(2).expect("version 3");
        let serial = BigNum::from_u32(u32::try_from(name.len()).expect("short") + 4711).expect("a number");
        builder.set_serial_number(&Asn1Integer::from_bn(&serial).expect("a number")).expect("a number");
        builder.set_subject_name(&subject).expect("a name");
        builder.set_issuer_name(issuer.map_or(&subject, |issuer| issuer.certificate.subject_name())).expect("a name");
        // Over since 2002: firmware does not look at it.
        builder.set_not_before(&Asn1Time::from_unix(1_000_000_000).expect("a time")).expect("a time");
        builder.set_not_after(&Asn1Time::from_unix(1_030_000_000).expect("a time")).expect("a time");
        builder.set_pubkey(&key).expect("a key");
        builder.append_extension(BasicConstraints::new().critical().ca().build().expect("DER")).expect("DER");
        let signer = issuer.map_or(&key, |issuer| &issuer.key);
        builder.sign(signer, MessageDigest::sha256()).expect("a signature");
        let certificate = builder.build();
        Self { key, certificate }
    }

    pub(crate) fn der(&self) -> Vec<u8> {
        self.certificate.to_der().expect("DER")
    }

    /// The public key as `.pcrpkey` has it.
    pub(crate) fn public_pem(&self) -> String {
        String::from_utf8(self.key.public_key_to_pem().expect("PEM")).expect("text")
    }

    pub(crate) fn signing<'a>(&'a self, certificate: &'a [u8], time: Option<u64>) -> Signing<'a> {
        Signing { key: &self.key, certificate, time }
    }

    /// Writes key and certificate into files that tools read, and names them.
    pub(crate) fn write(&self, directory: &Path) -> (String, String) {
        let key = self.key.private_key_to_pem_pkcs8().expect("PEM");
        let certificate = self.certificate.to_pem().expect("PEM");
        (file(directory, "test.key", &key), file(directory, "test.crt", &certificate))
    }
}

pub(crate) fn rsa_key(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).expect("a key")).expect("a key")
}

/// One RSA key for all tests of a process: making one takes a while.
pub(crate) fn signer() -> &'static Identity {
    static SIGNER: OnceLock<Identity> = OnceLock::new();
    SIGNER.get_or_init(|| Identity::rsa("Dolmen test signer"))
}

/// Runs a program, whatever comes of it.
pub(crate) fn run(package: &str, program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; run scripts/setup.sh, which installs {package}"))
}

/// Runs a program that has to succeed, and gives what it printed.
pub(crate) fn tool(package: &str, program: &str, arguments: &[&str]) -> String {
    let output = run(package, program, arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The name of a file that a tool writes.
pub(crate) fn path(directory: &Path, name: &str) -> String {
    directory.join(name).to_str().expect("text").to_owned()
}

/// A file for a tool.
pub(crate) fn file(directory: &Path, name: &str, content: &[u8]) -> String {
    let path = path(directory, name);
    fs::write(&path, content).expect("a file");
    path
}
