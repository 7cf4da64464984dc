//! A letter at the registrar: who wrote it, what is to be answered, and the reply.

use dolmen_provisioning_bundle::Hash;
use dolmen_provisioning_ca::{
    Certificate,
    chain::{ChainError, Path, Purpose, Rules},
    cms::{Opened, Unsigned},
    est,
};
use dolmen_provisioning_voucher::{IdevidRoots, SerialNumber};

use crate::{
    Answer, Body, Letter, LetterRefusal, Reply, ReplyRefusal, Request,
    content::hash,
    path::{BUNDLE, SIMPLEENROLL},
};

/// What a registrar is, as letters need it.
#[derive(Clone, Copy, Debug)]
pub struct Office<'a> {
    /// The makers whose boxes may come.
    pub makers: &'a IdevidRoots,
    /// What issues certificates to boxes, and those above it up to the organisation's root.
    pub authorities: &'a [Certificate],
    /// The registrar's own certificate, and those above it.
    pub certificates: &'a [Certificate],
}

impl Office<'_> {
    /// Whether the registrar leads to a certificate, by its fingerprint.
    fn leads_to(&self, owner: &Hash) -> bool {
        self.certificates.iter().chain(self.authorities).any(|one| one.fingerprint() == *owner.as_bytes())
    }
}

/// A letter that came from the box that it names: with the key of its maker's certificate, or of its organisation's.
/// What the box may do is not known yet.
#[derive(Clone, Debug)]
pub struct Arrived {
    letter: Letter,
    hash: Hash,
    /// As TLS would have shown them, DER.
    certificates: Vec<Vec<u8>>,
    /// SHA-256 of the first of them.
    signer: Hash,
    is_pledge: bool,
}

/// How a letter stands to the one that was answered last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is later.
    New,
    /// It is the same: what was done is not done again.
    Again,
    /// It is an earlier one, or another with the same number: nothing in it is done.
    Old,
}

impl Standing {
    /// Its name in logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::New => "letter-new",
            Self::Again => "letter-again",
            Self::Old => "letter-old",
        }
    }
}

/// A request of a letter, and who asks it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What is asked.
    pub request: &'a Request,
    /// The certificates of who asks, DER, its own first: as TLS would show them.
    pub certificates: &'a [Vec<u8>],
}

/// A letter that is being answered.
#[derive(Clone, Debug)]
pub struct Visit {
    arrived: Arrived,
    standing: Standing,
    answers: Vec<Answer>,
    /// The number that the reply has.
    number: u64,
    /// The reply that was kept.
    kept: Option<Body>,
    /// How many answers that has which stay.
    held: usize,
    /// The certificate that the letter's request was answered with.
    issued: Vec<Vec<u8>>,
}

/// What a box is to be given.
#[derive(Clone, Debug)]
pub enum Finished {
    /// The reply that was kept: nothing has changed.
    Kept(Vec<u8>),
    /// Another, which has to be signed ([`Unsigned::sign`]) by the registrar's key.
    Unsigned {
        /// The message.
        unsigned: Box<Unsigned>,
        /// Whether it has to be kept for the letter's [`signer`](Arrived::signer), in the place of the one before,
        /// before anybody gets it.
        keep: bool,
    },
}

impl Arrived {
    /// Takes a message in DER for a letter:
    ///
    /// 1. Somebody signed it, and it is a letter.
    /// 2. A known maker vouches for its signer, or the organisation does, at whatever time: if the certificate still
    ///    counts is for the registrar to say, at each request.
    /// 3. The signer is the box that the letter names.
    /// 4. If the letter says to whom the registrar has to lead, it does.
    ///
    /// # Errors
    ///
    /// [`LetterRefusal`], by the first of these that does not hold.
    pub fn verify(message: &[u8], office: &Office<'_>) -> Result<Self, LetterRefusal> {
        let (letter, opened) = Letter::open(message)?;
        let is_pledge = opened.signer().box_serial().is_none();
        let path = path(&opened, office, is_pledge).map_err(LetterRefusal::Signer)?;
        let signer = opened.signer();
        let serial = if is_pledge { signer.machine_serial() } else { signer.box_serial() };
        if serial != Some(letter.serial_number.as_str()) {
            let signer = serial.unwrap_or("nobody").chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(LetterRefusal::Serial { found: letter.serial_number, signer });
        }
        if letter.owner.as_ref().is_some_and(|owner| !office.leads_to(owner)) {
            return Err(LetterRefusal::Organisation(letter.serial_number));
        }
        let shown = path.certificates();
        // Those who are trusted know their roots.
        let shown = shown.split_last().map(|(_, rest)| rest).filter(|rest| !rest.is_empty()).unwrap_or(shown);
        let certificates = shown.iter().map(|one| one.der().to_vec()).collect();
        let signer = Hash::from_bytes(signer.fingerprint());
        Ok(Self { letter, hash: hash(message), certificates, signer, is_pledge })
    }

    /// The box.
    #[must_use]
    pub const fn serial_number(&self) -> &SerialNumber {
        &self.letter.serial_number
    }

    /// Under what the reply to it is kept: SHA-256 of the certificate that it was signed with. So another machine that
    /// has the same serial number by another certificate takes no number away.
    #[must_use]
    pub const fn signer(&self) -> Hash {
        self.signer
    }

    /// What it says.
    #[must_use]
    pub const fn letter(&self) -> &Letter {
        &self.letter
    }

    /// Begins to answer it. `kept` is the reply that was kept for its [`signer`](Self::signer) last, if there is one.
    ///
    /// # Errors
    ///
    /// [`LetterRefusal::Kept`] where that is no reply of this organisation's to this box.
    pub fn visit(self, kept: Option<&[u8]>, office: &Office<'_>) -> Result<Visit, LetterRefusal> {
        let number = self.letter.number;
        let new = Visit {
            standing: Standing::New,
            answers: Vec::new(),
            number,
            kept: None,
            held: 0,
            issued: Vec::new(),
            arrived: self,
        };
        let Some(message) = kept else { return Ok(new) };
        let serial = &new.arrived.letter.serial_number;
        let is_ours = |(_, opened): &(Reply, Opened)| {
            opened.path(office.authorities, &Rules::timeless(Purpose::Registrar)).is_ok()
        };
        let reply = Reply::open(message).ok().filter(is_ours).map(|(reply, _)| reply);
        let reply = reply.filter(|reply| reply.serial_number == *serial);
        let reply = reply.ok_or_else(|| LetterRefusal::Kept(serial.clone()))?;
        if reply.letter == Some(new.arrived.hash) {
            let visit = Visit { standing: Standing::Again, kept: Some(Body(message.to_vec())), ..new };
            return Ok(visit.with(reply.answers));
        }
        // One that asks for nothing is new whenever it comes: a box without an owner believes no number.
        if number <= reply.number && !new.arrived.letter.requests.is_empty() {
            return Ok(Visit { standing: Standing::Old, number: reply.number.saturating_add(1), ..new });
        }
        Ok(new)
    }
}

/// Who vouches for the signer of a letter.
fn path(opened: &Opened, office: &Office<'_>, is_pledge: bool) -> Result<Path, ChainError> {
    if is_pledge {
        opened.path(&office.makers.0, &Rules::timeless(Purpose::IDevId))
    } else {
        opened.path(office.authorities, &Rules::timeless(Purpose::Client))
    }
}

impl Visit {
    /// How the letter stands to the one before.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// Answers of before that stay.
    fn with(mut self, answers: Vec<Answer>) -> Self {
        for answer in answers.into_iter().take_while(Answer::is_final) {
            self.answered(answer);
        }
        self.held = self.answers.len();
        self
    }

    /// The request to answer next, by the registrar's own rules; none where the rest has to wait.
    #[must_use]
    pub fn next(&self) -> Option<Asked<'_>> {
        let is_open = self.standing != Standing::Old && self.answers.iter().all(Answer::is_done);
        let request = self.arrived.letter.requests.get(self.answers.len()).filter(|_| is_open)?;
        let is_issued = self.arrived.is_pledge && request.path == BUNDLE && !self.issued.is_empty();
        let certificates = if is_issued { &self.issued } else { &self.arrived.certificates };
        Some(Asked { request, certificates })
    }

    /// The answer to the request that [`next`](Self::next) gave.
    pub fn answered(&mut self, answer: Answer) {
        let Some(asked) = self.next() else { return };
        if asked.request.path == SIMPLEENROLL && answer.status == 200 {
            let key = est::read_request(&asked.request.body.0).ok().map(|request| request.public_key());
            let issued = key.and_then(|key| est::read_enrolled(&answer.body.0, &key).ok());
            self.issued = issued.iter().map(|certificate| certificate.der().to_vec()).collect();
        }
        self.answers.push(answer);
    }

    /// What the box is to be given, with vouchers for it, which are for boxes that have no owner yet.
    ///
    /// # Errors
    ///
    /// [`ReplyRefusal::Content`] and [`ReplyRefusal::Damaged`].
    pub fn finish(self, vouchers: Vec<Vec<u8>>, office: &Office<'_>) -> Result<Finished, ReplyRefusal> {
        let asks = !self.arrived.letter.requests.is_empty();
        if let Some(kept) = self.kept.filter(|_| asks && self.held == self.answers.len()) {
            return Ok(Finished::Kept(kept.0));
        }
        // A letter that asks for nothing may come again.
        let keep = asks && self.standing != Standing::Old;
        let reply = Reply {
            serial_number: self.arrived.letter.serial_number,
            number: self.number,
            letter: Some(self.arrived.hash),
            answers: self.answers,
            vouchers: vouchers.into_iter().map(Body).collect(),
        };
        Ok(Finished::Unsigned { unsigned: Box::new(reply.to_sign(office.certificates)?), keep })
    }
}
