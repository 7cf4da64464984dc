//! Somebody on the network who says that he is a registrar: he answers every request for a voucher with one that he has.

use std::{
    io::{self, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use openssl::{
    asn1::Asn1Time,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::PKey,
    ssl::{Ssl, SslAcceptor, SslMethod, SslStream, SslVerifyMode},
    x509::{X509, X509NameBuilder},
};

/// How long a box may keep him waiting.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Bytes of a request: that for a voucher has some 5 KB.
const REQUEST_BYTES_MAX: usize = 256 << 10;

/// What he has, and what he was told.
#[derive(Default)]
struct Papers {
    voucher: Vec<u8>,
    told: Vec<String>,
}

/// The impostor. He serves until the test ends.
pub(crate) struct Impostor {
    pub(crate) address: SocketAddr,
    papers: Arc<Mutex<Papers>>,
}

impl Impostor {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (papers, acceptor) = (Arc::<Mutex<Papers>>::default(), acceptor());
        let his = papers.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (papers, ssl) = (papers.clone(), Ssl::new(acceptor.context()).expect("a connection"));
                // Boxes hang up when they know enough.
                thread::spawn(move || serve(socket, ssl, &papers));
            }
        });
        Self { address, papers: his }
    }

    /// Has him give this voucher from now on.
    pub(crate) fn give(&self, voucher: Vec<u8>) {
        let mut papers = self.papers.lock().expect("nobody panics");
        *papers = Papers { voucher, told: Vec::new() };
    }

    /// What boxes told him of the voucher (RFC 8995 §5.7).
    pub(crate) fn told(&self) -> Vec<String> {
        self.papers.lock().expect("nobody panics").told.clone()
    }
}

/// TLS 1.3 with a certificate that he made himself.
fn acceptor() -> SslAcceptor {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("P-256");
    let key = PKey::from_ec_key(EcKey::generate(&group).expect("a key")).expect("a key");
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", "registrar").expect("a name");
    let name = name.build();
    let mut certificate = X509::builder().expect("a certificate");
    certificate.set_version(2).expect("version 3");
    let serial = openssl::bn::BigNum::from_u32(7).and_then(|number| number.to_asn1_integer()).expect("a number");
    certificate.set_serial_number(&serial).expect("a number");
    certificate.set_subject_name(&name).expect("a name");
    certificate.set_issuer_name(&name).expect("a name");
    certificate.set_pubkey(&key).expect("a key");
    let days = |days| Asn1Time::days_from_now(days).expect("a time");
    certificate.set_not_before(&days(0)).expect("a time");
    certificate.set_not_after(&days(365)).expect("a time");
    certificate.sign(&key, MessageDigest::sha256()).expect("a signature");
    let mut acceptor = SslAcceptor::mozilla_modern_v5(SslMethod::tls_server()).expect("TLS");
    acceptor.set_private_key(&key).expect("a key");
    acceptor.set_certificate(&certificate.build()).expect("its certificate");
    acceptor.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    acceptor.build()
}

fn serve(socket: TcpStream, ssl: Ssl, papers: &Mutex<Papers>) -> io::Result<()> {
    socket.set_read_timeout(Some(WAIT_MAX))?;
    let mut stream = SslStream::new(ssl, socket)?;
    stream.accept().map_err(io::Error::other)?;
    let mut stream = BufReader::new(stream);
    loop {
        let Some((path, body)) = request(&mut stream)? else { return Ok(()) };
        let (status, media, answer) = match &*path {
            "/.well-known/brski/requestvoucher" => {
                ("200 OK", "application/voucher-cms+json", papers.lock().expect("nobody panics").voucher.clone())
            }
            "/.well-known/brski/voucher_status" => {
                papers.lock().expect("nobody panics").told.push(String::from_utf8_lossy(&body).into_owned());
                ("200 OK", "text/plain", Vec::new())
            }
            _ => ("404 Not Found", "text/plain", Vec::new()),
        };
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n", answer.len());
        stream.get_mut().write_all(&[head.as_bytes(), &answer].concat())?;
    }
}

/// The path of the next request, and its body; none at the end.
fn request(stream: &mut impl io::BufRead) -> io::Result<Option<(String, Vec<u8>)>> {
    let (mut first, mut length) = (String::new(), 0);
    if stream.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length.min(REQUEST_BYTES_MAX)];
    stream.read_exact(&mut body)?;
    Ok(Some((first.split(' ').nth(1).unwrap_or_default().to_owned(), body)))
}
