//! What a box shows of itself: a pure function of what is known about it.

mod time;

use std::net::SocketAddr;

pub use time::time_text;

use crate::{
    code::Code,
    recovery_key::RecoveryKey,
    screen::{Block, Line, Role, Screen, View},
    texts,
    words::{Language, Phrase},
};

/// Bytes of a group of a fingerprint: four digits. Eight groups are half of it, and have room beside a QR code.
const FINGERPRINT_GROUP_BYTES: usize = 2;

/// Addresses that are listed. A box has few, and one is enough.
const PAGES_MAX: usize = 3;

/// What is known about a box. What is `None` is not shown.
#[derive(Clone, Debug)]
pub struct Status {
    /// What the box is called in shops: `Dolmen`.
    pub product: String,
    /// The version that runs.
    pub version: String,
    /// The name that its owner gave to it.
    pub name: String,
    /// What the box is doing.
    pub state: State,
    /// Height of the last final block.
    pub height: Option<u64>,
    /// Other boxes.
    pub peers: Option<Peers>,
    /// What went wrong last, while it matters.
    pub problem: Option<Problem>,
    /// Where the web page is, the best address first. `Some` of none says that there is no network yet.
    pub pages: Option<Vec<SocketAddr>>,
    /// SHA-256 of the web page's certificate.
    pub fingerprint: Option<[u8; 32]>,
    /// What the web page asks for from whoever claims the box.
    pub claim_code: Option<String>,
    /// The recovery key of the data, during the first boot.
    pub recovery_key: Option<RecoveryKey>,
    /// The last update.
    pub update: Option<Update>,
    /// Seconds since 1970, by the box's clock; `None` while that is not to be trusted.
    pub time: Option<u64>,
}

/// What a box is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It starts; with what it does just now.
    Starting(Option<Phrase>),
    /// It waits for an owner.
    Unclaimed,
    /// It joins; with what it does just now.
    Joining(Option<Phrase>),
    /// It has the chain and does not vote.
    Following,
    /// It votes.
    Validator,
    /// The node does not run.
    Stopped,
}

/// Other boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peers {
    /// Those with a connection.
    pub connected: usize,
    /// Those of the chain's list, without this box.
    pub known: usize,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub cause: Phrase,
    /// What a person does about it.
    pub next: Phrase,
}

/// What became of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// The new version runs and has not proved itself.
    OnTrial {
        /// The version.
        version: String,
        /// How often the box will still start it before it goes back.
        tries_left: u32,
    },
    /// The new version has proved itself.
    Blessed {
        /// The version.
        version: String,
    },
    /// The new version did not prove itself, and the old one runs.
    FellBack {
        /// The new one.
        version: String,
        /// The old one.
        running: String,
    },
}

impl Status {
    /// A box of which only this is known: it starts.
    pub fn starting(product: impl Into<String>, version: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            product: product.into(),
            version: version.into(),
            name: name.into(),
            state: State::Starting(None),
            height: None,
            peers: None,
            problem: None,
            pages: None,
            fingerprint: None,
            claim_code: None,
            recovery_key: None,
            update: None,
            time: None,
        }
    }
}

impl View for Status {
    fn screen(&self, language: Language) -> Screen {
        let title = format!("{} {}  {}", self.product, self.version, self.name);
        let mut screen = Screen::new(title).corner(self.time.map(time_text).unwrap_or_default());
        let page = self.pages.as_deref().and_then(<[_]>::first);
        screen = screen.code(page.and_then(|page| Code::new(&url(*page))));
        put_state(&mut screen, self, language);
        screen.gap();
        if let Some(code) = &self.claim_code {
            screen.line(texts::STATUS_CLAIM.get(language));
            screen.push(Block::Large(code.clone()));
            screen.gap();
        }
        if let Some(fingerprint) = &self.fingerprint {
            screen.line(Line::new().quiet(texts::STATUS_FINGERPRINT.get(language)));
            fingerprint.chunks(fingerprint.len() / 2).for_each(|half| screen.line(groups(half)));
            screen.gap();
        }
        if let Some(key) = &self.recovery_key {
            screen.line(Line::new().warning(texts::STATUS_RECOVERY.get(language)));
            screen.line(Line::new().strong(key.expose()));
        }
        screen
    }
}

fn put_state(screen: &mut Screen, status: &Status, language: Language) {
    screen.field(texts::STATUS_STATE.get(language), state_line(&status.state, language));
    if let Some(problem) = &status.problem {
        let cause = Line::new().warning(problem.cause.get(language));
        screen.field(texts::STATUS_PROBLEM.get(language), cause);
        screen.field(texts::STATUS_NEXT.get(language), problem.next.get(language));
    }
    if let Some(height) = status.height {
        screen.field(texts::STATUS_HEIGHT.get(language), thousands(height));
    }
    if let Some(Peers { connected, known }) = status.peers {
        let peers = texts::PEERS_OF.with(&[("connected", &connected), ("known", &known)]);
        screen.field(texts::STATUS_PEERS.get(language), peers.get(language));
    }
    if let Some(update) = &status.update {
        screen.field(texts::STATUS_UPDATE.get(language), update_line(update, language));
    }
    match status.pages.as_deref() {
        None => {}
        Some([]) => {
            let none = Line::new().warning(texts::PAGE_NONE.get(language));
            screen.field(texts::STATUS_PAGE.get(language), none);
        }
        Some(pages) => {
            for (index, page) in pages.iter().take(PAGES_MAX).enumerate() {
                let name = if index == 0 { texts::STATUS_PAGE.get(language) } else { "" };
                screen.field(name, Line::new().strong(url(*page)));
            }
        }
    }
}

fn state_line(state: &State, language: Language) -> Line {
    let (words, step) = match state {
        State::Starting(step) => (texts::STATE_STARTING, step.as_ref()),
        State::Unclaimed => (texts::STATE_UNCLAIMED, None),
        State::Joining(step) => (texts::STATE_JOINING, step.as_ref()),
        State::Following => (texts::STATE_FOLLOWING, None),
        State::Validator => (texts::STATE_VALIDATOR, None),
        State::Stopped => (texts::STATE_STOPPED, None),
    };
    let role = if *state == State::Stopped { Role::Warning } else { Role::Strong };
    let line = Line::new().with(role, words.get(language));
    match step {
        Some(step) => line.text(format!(" ({})", step.get(language))),
        None => line,
    }
}

fn update_line(update: &Update, language: Language) -> Line {
    match update {
        Update::OnTrial { version, tries_left } => {
            let text = texts::UPDATE_TRIAL.with(&[("version", version), ("left", tries_left)]);
            Line::new().strong(text.get(language))
        }
        Update::Blessed { version } => Line::from(texts::UPDATE_BLESSED.with(&[("version", version)]).get(language)),
        Update::FellBack { version, running } => {
            let text = texts::UPDATE_FELL_BACK.with(&[("version", version), ("running", running)]);
            Line::new().warning(text.get(language))
        }
    }
}

/// The address of the page: `https://192.0.2.7:8443`, and without the port where that is HTTPS's own.
fn url(page: SocketAddr) -> String {
    match (page, page.port()) {
        (SocketAddr::V4(v4), 443) => format!("https://{}", v4.ip()),
        (SocketAddr::V6(v6), 443) => format!("https://[{}]", v6.ip()),
        (SocketAddr::V4(v4), port) => format!("https://{}:{port}", v4.ip()),
        (SocketAddr::V6(v6), port) => format!("https://[{}]:{port}", v6.ip()),
    }
}

/// Half of a fingerprint in groups, so that people can compare it by two and two.
fn groups(bytes: &[u8]) -> String {
    let group = |pair: &[u8]| pair.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    bytes.chunks(FINGERPRINT_GROUP_BYTES).map(group).collect::<Vec<_>>().join(" ")
}

/// A number with a comma behind every three digits.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_addresses_are_written_as_people_do() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        let urls = ["192.0.2.7:8443", "192.0.2.7:443", "[2001:db8::7]:8443", "[2001:db8::7]:443"];
        let urls = urls.map(|address| url(address.parse().unwrap()));
        assert_eq!(
            urls,
            ["https://192.0.2.7:8443", "https://192.0.2.7", "https://[2001:db8::7]:8443", "https://[2001:db8::7]"]
        );
        assert_eq!(groups(&[0, 1, 0xab, 0xff]), "0001 ABFF");
    }
}
