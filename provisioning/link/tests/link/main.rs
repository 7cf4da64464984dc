//! Both ends of a connection, and curl and OpenSSL in the place of either.

use std::{net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio, sync::Arc};

use axum::{
    Extension, Router,
    body::Bytes,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyUri, Signer};
use dolmen_hsm_memory::{Bytes as Secret, MemoryKey};
use dolmen_hsm_tls::{Identity, TlsKey};
use dolmen_provisioning_ca::{Authority, Serial, Subject, UnixTime, Validity};
use dolmen_provisioning_link::{
    ConnectError, Connection, Limits, PeerCertificates, SendError, acceptor,
    local::{LocalError, ask, listen, serve_local},
    serve,
};
use futures::executor::block_on;
use hyper::Method;
use openssl::{bn::BigNum, ec, nid::Nid, pkey::PKey, x509::X509};
use tokio::{net::TcpListener, process::Command, sync::watch};

fn key(secret: u8) -> Arc<dyn Signer> {
    let uri: KeyUri = format!("soft:key-{secret}").parse().expect("it works");
    let domains = [Domain::Certificate, Domain::Tls].into_iter().collect();
    let spec = KeySpec { algorithm: Algorithm::EcdsaP256, domains };
    Arc::new(MemoryKey::new(uri, spec, &Secret::new([secret; 32])).expect("it works"))
}

/// Bytes of an answer.
const MAX: usize = 2 << 20;

/// A certificate that a key made for itself.
fn certificate(secret: u8) -> Vec<u8> {
    let time = |seconds| UnixTime::from_secs(seconds).expect("it works");
    let validity = Validity::new(time(1_700_000_000), time(4_000_000_000)).expect("it works");
    let subject = Subject::new("test", &format!("number {secret}")).expect("it works");
    let root =
        block_on(Authority::root(key(secret), subject, validity, Serial::from_random([secret; 16]))).expect("it works");
    root.certificate().der().to_vec()
}

fn identity(secret: u8) -> Identity {
    Identity::new(TlsKey::new(key(secret)).expect("it works"), vec![certificate(secret)])
}

struct Server {
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

/// Says how many certificates a client showed and gives back the first, or what it was sent.
async fn server(secret: u8) -> Server {
    let shown = |Extension(PeerCertificates(shown)): Extension<PeerCertificates>| async move {
        match shown.first() {
            Some(first) => (StatusCode::OK, first.clone()).into_response(),
            None => (StatusCode::UNAUTHORIZED, [("retry-after", "7")], "show a certificate").into_response(),
        }
    };
    let router = Router::new()
        .route("/shown", get(shown))
        .route("/echo", post(|body: Bytes| async move { body }))
        .route("/nothing", post(|| async { StatusCode::NO_CONTENT }))
        .route("/much", get(|| async { vec![0; 3 << 20] }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("it works");
    let address = listener.local_addr().expect("it works");
    let (stop, seen) = watch::channel(false);
    tokio::spawn(serve(listener, Some(acceptor(identity(secret)).expect("it works")), router, Limits::default(), seen));
    Server { address, _stop: stop }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_learns_what_the_other_shows() {
    let server = server(1).await;
    let mut connection = Connection::open(server.address, Some(identity(2))).await.unwrap();
    assert_eq!(connection.peer().0.to_vec(), [certificate(1)]);
    for _ in 0..3 {
        let answer = connection.send(Method::GET, "/shown", &[], Vec::new(), MAX).await.unwrap();
        assert_eq!((answer.status, answer.body), (200, certificate(2)));
    }
    let body = vec![7; 1 << 20];
    let answer = connection.send(Method::POST, "/echo", &[], body.clone(), MAX).await.unwrap();
    assert_eq!(answer.body, body);
    let answer = connection.send(Method::POST, "/nothing", &[], Vec::new(), MAX).await.unwrap();
    assert_eq!((answer.status, answer.body.len(), answer.retry_after), (204, 0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_show_nothing() {
    let server = server(1).await;
    let mut connection = Connection::open(server.address, None).await.unwrap();
    let answer = connection.send(Method::GET, "/shown", &[], Vec::new(), MAX).await.unwrap();
    assert_eq!((answer.status, answer.retry_after.as_deref()), (401, Some("7")));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_a_bound() {
    let server = server(1).await;
    let mut connection = Connection::open(server.address, None).await.unwrap();
    let error = connection.send(Method::GET, "/much", &[], Vec::new(), MAX).await.unwrap_err();
    assert!(matches!(error, SendError::Body(_)), "{error}");
}

/// A certificate is in the open: whoever copies it has not its key.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_without_its_key_is_refused() {
    let stolen = || Identity::new(TlsKey::new(key(3)).unwrap(), vec![certificate(2)]);
    let server = server(1).await;
    let opened = Connection::open(server.address, Some(stolen())).await;
    // In TLS 1.3 the client is done before the server has looked at its certificate.
    if let Ok(mut connection) = opened {
        connection.send(Method::GET, "/shown", &[], Vec::new(), MAX).await.unwrap_err();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_stop, seen) = watch::channel(false);
    tokio::spawn(serve(listener, Some(acceptor(stolen()).unwrap()), Router::new(), Limits::default(), seen));
    let error = Connection::open(address, None).await.unwrap_err();
    assert!(matches!(error, ConnectError::Io { .. }), "{error}");
}

/// The files of a key and its certificate, for OpenSSL.
fn files(directory: &Path, secret: u8) {
    let group = ec::EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).expect("it works");
    let number = BigNum::from_slice(&[secret; 32]).expect("it works");
    let public = [&[4], key(secret).public_key()].concat();
    let mut context = openssl::bn::BigNumContext::new().expect("it works");
    let point = ec::EcPoint::from_bytes(&group, &public, &mut context).expect("it works");
    let private = PKey::from_ec_key(ec::EcKey::from_private_components(&group, &number, &point).expect("it works"))
        .expect("it works");
    std::fs::write(directory.join("key.pem"), private.private_key_to_pem_pkcs8().expect("it works")).expect("it works");
    let certificate = X509::from_der(&certificate(secret)).expect("it works");
    std::fs::write(directory.join("certificate.pem"), certificate.to_pem().expect("it works")).expect("it works");
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_is_a_client() {
    let dir = tempfile::tempdir().unwrap();
    files(dir.path(), 2);
    let server = server(1).await;
    let url = format!("https://{}/shown", server.address);
    let curl = |arguments: &'static [&'static str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--insecure", "--tlsv1.3"]).args(arguments).arg(&url);
        command.current_dir(dir.path()).output()
    };
    let shown = curl(&["--cert", "certificate.pem", "--key", "key.pem"]).await.unwrap();
    assert_eq!(shown.stdout, certificate(2), "{}", String::from_utf8_lossy(&shown.stderr));
    assert_eq!(curl(&[]).await.unwrap().stdout, b"show a certificate");
    let old = curl(&["--tls-max", "1.2"]).await.unwrap();
    assert!(!old.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_is_a_server() {
    let dir = tempfile::tempdir().unwrap();
    files(dir.path(), 1);
    std::fs::write(dir.path().join("page"), "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nfrom a file\n").unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new("openssl")
        .args(["s_server", "-quiet", "-tls1_3", "-HTTP", "-verify", "3", "-key", "key.pem", "-cert", "certificate.pem"])
        .args(["-accept", &format!("127.0.0.1:{port}")])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut connection = loop {
        match Connection::open(address, Some(identity(2))).await {
            Ok(connection) => break connection,
            Err(ConnectError::Io { .. }) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(connection.peer().0.to_vec(), [certificate(1)]);
    // It answers with a file, which is a whole answer.
    let answer = connection.send(Method::GET, "/page", &[], Vec::new(), MAX).await;
    server.kill().await.unwrap();
    let error = answer.map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
    assert!(error.as_deref().is_ok_and(|body| body.contains("from a file")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_the_machine_is_its_owners() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let router = || Router::new().route("/echo", post(|body: Bytes| async move { body }));
    let error = ask(&path, Method::POST, "/echo", Vec::new()).await.unwrap_err();
    assert!(matches!(error, LocalError::Io { .. }), "{error}");
    // The second one finds the file of the first, which was killed.
    for _ in 0..2 {
        let (stop, seen) = watch::channel(false);
        let served = tokio::spawn(serve_local(listen(&path).unwrap(), router(), seen));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let answer = ask(&path, Method::POST, "/echo", b"hello".to_vec()).await.unwrap();
        assert_eq!(answer, (200, b"hello".to_vec()));
        assert_eq!(ask(&path, Method::GET, "/nothing", Vec::new()).await.unwrap().0, 404);
        stop.send(true).unwrap();
        served.await.unwrap().unwrap();
    }
}
