//! Lines of the log to a syslog server (RFC 5424), over UDP (RFC 5426) or TCP, a line a message (RFC 6587).

use std::{
    fmt::{self, Write as _},
    io,
    net::ToSocketAddrs as _,
    str::FromStr,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use fasyslog::{Facility, Severity, sender};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::recent::{LogLevel, LogLine};

/// Lines that wait to be sent; what comes then is dropped.
const QUEUE_MAX: usize = 4096;
/// Between two attempts to reach a server.
const PAUSE: Duration = Duration::from_secs(5);
/// Bytes of a message: what all receivers of UDP take (RFC 5424 §6.1).
const MESSAGE_BYTES_MAX: usize = 2048;

/// A syslog server, as in `udp://10.0.0.5:514`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyslogServer {
    transport: Transport,
    /// Host and port.
    authority: String,
}

/// How messages get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    const fn scheme(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// Why an address is no server's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no syslog server; write it like udp://10.0.0.5:514 or tcp://log.example.org:601")]
pub(crate) struct NoServer(String);

impl FromStr for SyslogServer {
    type Err = NoServer;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let no = || NoServer(text.to_owned());
        let (scheme, authority) = text.split_once("://").ok_or_else(no)?;
        let transport = match scheme {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            _ => return Err(no()),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let parsed: axum::http::uri::Authority = authority.parse().map_err(|_| no())?;
        let plain = parsed.port_u16().is_some_and(|port| port > 0) && !authority.contains('@');
        let named = !parsed.host().trim_matches(['[', ']']).is_empty();
        if plain && named { Ok(Self { transport, authority: authority.to_owned() }) } else { Err(no()) }
    }
}

impl fmt::Display for SyslogServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.transport.scheme(), self.authority)
    }
}

impl Serialize for SyslogServer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SyslogServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Begins to send, on a thread of its own: a server that hangs stops nothing. Where there is no room a line is left out.
pub(super) fn start(server: SyslogServer, name: &str) -> anyhow::Result<SyncSender<LogLine>> {
    let (lines, waiting) = sync_channel(QUEUE_MAX);
    let name = host_name(name);
    let thread = thread::Builder::new().name("syslog".to_owned());
    thread.spawn(move || send_all(&server, &name, &waiting)).context("no thread for it")?;
    Ok(lines)
}

/// Sends lines until the program ends.
fn send_all(server: &SyslogServer, name: &str, lines: &Receiver<LogLine>) {
    let mut there: Option<sender::SyslogSender> = None;
    let mut failed: Option<Instant> = None;
    for line in lines {
        if there.is_none() && failed.is_none_or(|at| at.elapsed() >= PAUSE) {
            match connect(server, name) {
                Ok(sender) => {
                    if failed.take().is_some() {
                        tracing::info!(%server, "the syslog server takes the log again");
                    }
                    there = Some(sender);
                }
                Err(error) => tell(server, &mut failed, &error),
            }
        }
        let Some(sender) = &mut there else { continue };
        let none = None::<String>;
        let sent = sender.send_rfc5424(severity(line.level), none, Vec::new(), text(&line));
        if let Err(error) = sent.and_then(|()| sender.flush()) {
            there = None;
            tell(server, &mut failed, &error);
        }
    }
}

/// Once for each time that it stops working.
fn tell(server: &SyslogServer, failed: &mut Option<Instant>, error: &io::Error) {
    if failed.replace(Instant::now()).is_none() {
        tracing::warn!(%server, %error, "the syslog server takes no lines; they are dropped until it does");
    }
}

fn connect(server: &SyslogServer, name: &str) -> io::Result<sender::SyslogSender> {
    let mut addresses = server.authority.to_socket_addrs()?;
    let address = addresses.next().ok_or_else(|| io::Error::other("the name has no address"))?;
    let mut sender = match server.transport {
        Transport::Udp => {
            let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            sender::SyslogSender::Udp(sender::udp(local, address)?)
        }
        Transport::Tcp => {
            let mut sender = sender::tcp(address)?;
            sender.set_postfix("\n");
            sender::SyslogSender::Tcp(sender)
        }
    };
    let context = match &mut sender {
        sender::SyslogSender::Tcp(sender) => sender.mut_context(),
        sender::SyslogSender::Udp(sender) => sender.mut_context(),
        _ => return Err(io::Error::other("not a way of this program")),
    };
    context.facility(Facility::DAEMON).hostname(name).appname("dolmen");
    Ok(sender)
}

const fn severity(level: LogLevel) -> Severity {
    match level {
        LogLevel::Error => Severity::ERROR,
        LogLevel::Warn => Severity::WARNING,
        LogLevel::Info => Severity::INFORMATIONAL,
        LogLevel::Debug | LogLevel::Trace => Severity::DEBUG,
    }
}

/// A line as text, which has no line ends: they would end the message.
fn text(line: &LogLine) -> String {
    let mut text = format!("{}: {}", line.target, line.message);
    for (name, value) in &line.fields {
        let quoted = value.is_empty() || value.contains([' ', '"', '=']);
        // A string takes whatever is written.
        let _ = if quoted { write!(text, " {name}={value:?}") } else { write!(text, " {name}={value}") };
    }
    let mut text = text.replace(|c: char| c.is_control(), " ");
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
    text
}

/// A box's name as a host's (RFC 5424 §6.2.4): no spaces, and ASCII alone.
fn host_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { '-' };
    let name: String = name.chars().take(255).map(plain).collect();
    if name.is_empty() { "-".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        io::{BufRead as _, BufReader},
        net::{TcpListener, UdpSocket},
    };

    use super::*;

    fn line(message: &str) -> LogLine {
        let fields = [("height", "7"), ("error", "no luck\n<0>1 forged")];
        LogLine {
            seq: 1,
            at_ms: 0,
            level: LogLevel::Warn,
            target: "dolmen::run".to_owned(),
            message: message.to_owned(),
            fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        }
    }

    const SAID: &str = r#"- - dolmen::run: it is so error="no luck\n<0>1 forged" height=7"#;

    fn check(message: &str) {
        // Facility 3, severity 4; the time and the process in between.
        let words: Vec<_> = message.split(' ').collect();
        assert_eq!((words[0], words[2], words[3]), ("<28>1", "box-0", "dolmen"), "{message}");
        assert_eq!(words[4], std::process::id().to_string());
        assert!(message.ends_with(SAID), "{message}");
    }

    #[test]
    fn lines_come_by_udp() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let at = format!("udp://{}", server.local_addr().unwrap()).parse().unwrap();
        start(at, "box-0").unwrap().send(line("it is so")).unwrap();
        let mut bytes = [0; 4096];
        let count = server.recv(&mut bytes).unwrap();
        check(str::from_utf8(&bytes[..count]).unwrap());
    }

    #[test]
    fn lines_come_by_tcp() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let at: SyslogServer = format!("tcp://{}", server.local_addr().unwrap()).parse().unwrap();
        let lines = start(at, "box-0").unwrap();
        lines.send(line("it is so")).unwrap();
        let (connection, _) = server.accept().unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut said = String::new();
        BufReader::new(connection).read_line(&mut said).unwrap();
        check(said.trim_end_matches('\n'));
    }

    #[test]
    fn a_message_is_one_line_of_bounded_length() {
        let long = LogLine { fields: BTreeMap::new(), ..line(&"é\r\n".repeat(MESSAGE_BYTES_MAX)) };
        let text = text(&long);
        assert!(text.len() <= MESSAGE_BYTES_MAX && !text.contains(char::is_control), "{}", text.len());
        assert_eq!(host_name("Box 7 ü"), "Box-7--");
        assert_eq!(host_name(""), "-");
    }

    #[test]
    fn servers_have_a_transport_a_host_and_a_port() {
        for right in ["udp://10.0.0.5:514", "tcp://log.example.org:601", "udp://[2001:db8::5]:514"] {
            assert_eq!(right.parse::<SyslogServer>().unwrap().to_string(), right);
        }
        for wrong in [
            "",
            "10.0.0.5:514",
            "tls://a:1",
            "udp://a",
            "udp://:514",
            "udp://a:0",
            "udp://a:b",
            "udp://u@a:1",
            "udp://a:1/x",
        ] {
            assert!(wrong.parse::<SyslogServer>().is_err(), "{wrong}");
        }
    }
}
