//! The box's side: a stick in the place of a connection.

mod compose;
mod recall;
mod record;
mod task;

use std::slice;

use dolmen_provisioning_appraisal::Message as _;
use dolmen_provisioning_bundle::Hash;
use dolmen_provisioning_ca::{
    Certificate,
    chain::{self, Purpose, Rules},
    cms::Opened,
    est,
};
use dolmen_provisioning_pledge::{self as pledge, Client, Connect, Hint, HintError, Key, Outcome, Source, Step, Trust};
use dolmen_provisioning_voucher::SerialNumber;

pub use self::{
    record::CarrierRecordError,
    task::{Post, Task, UnexpectedOutcome},
};
use crate::{
    Answer, Body, Letter, Name, Reply, ReplyRefusal, Request,
    content::hash,
    limits::REPORTS_MAX,
    path::{self, ENROLLSTATUS, REQUEST_VOUCHER},
};

/// Answers the steps of a [`Pledge`](dolmen_provisioning_pledge::Pledge) that need a registrar by what a stick brings.
///
/// It holds letters and replies, and decides nothing about them: the machine judges each answer as if a connection had
/// brought it. See the crate's documentation.
#[derive(Debug)]
pub struct Carrier {
    serial_number: SerialNumber,
    /// Of the last letter.
    number: u64,
    /// The last letters, the latest last, and what was answered.
    exchanges: Vec<Exchange>,
    /// The registrar that signed the last reply, and those that vouch for it.
    registrar: Vec<Certificate>,
    /// Whether something of the above is not stored yet.
    unsaved: bool,
    /// As whom the box is connected, as long as it is by a stick.
    connection: Option<Party>,
    /// Reports for the next letter.
    reports: Vec<Request>,
    /// What was made for the next letter.
    made: Made,
    /// Whether the machine was given what it asked for, and has not gone on yet.
    given: bool,
    /// Whether vouchers came that the machine has not tried.
    news: bool,
}

/// A letter, and its reply.
#[derive(Clone, Debug)]
struct Exchange {
    message: Body,
    letter: Letter,
    reply: Option<Replied>,
}

/// A reply that was received.
#[derive(Clone, Debug)]
struct Replied {
    message: Body,
    reply: Reply,
    opened: Opened,
}

/// As whom the box writes, and whom it believes.
#[derive(Clone, Debug)]
struct Party {
    key: Key,
    chain: Vec<Certificate>,
    /// To whom a registrar has to lead; to anybody before there is an owner.
    anchor: Option<Certificate>,
}

/// Parts of a letter that the box made ahead.
#[derive(Debug, Default)]
struct Made {
    enrolment: Option<Vec<u8>>,
    request: Option<Vec<u8>>,
    letter: Option<(Letter, Party)>,
}

/// Which part is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Enrolment,
    Request,
}

impl Carrier {
    /// Of a box that has written no letter.
    #[must_use]
    pub fn new(serial_number: SerialNumber) -> Self {
        Self {
            serial_number,
            number: 0,
            exchanges: Vec::new(),
            registrar: Vec::new(),
            unsaved: false,
            connection: None,
            reports: Vec::new(),
            made: Made::default(),
            given: false,
            news: false,
        }
    }

    /// The place where the registrar is, for [`Outcome::Discovered`]: somebody goes there.
    ///
    /// # Errors
    ///
    /// [`HintError`] does not happen.
    pub fn hint() -> Result<Hint, HintError> {
        // Nobody calls it: the port says nothing.
        Hint::new(Source::Stick, "stick", 1)
    }

    /// Of which number the last letter is; 0 where there is none.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What has to be done for a step that the machine gives. To be asked for each of them, and again once the task is
    /// done, until the step has an outcome. A driver that cannot do a task, or does not want to wait any longer, gives
    /// [`Outcome::Failed`] to the machine, as for any step; what was written stays written.
    pub fn take(&mut self, step: &Step<'_>) -> Task {
        self.notice(step);
        match step {
            Step::Connect(connect) => self.connect(connect),
            Step::Wait { .. } | Step::Discover => {
                self.connection = None;
                Task::Yours
            }
            Step::Send(request) => match self.connection.clone() {
                Some(party) => self.send(request, &party),
                None => Task::Yours,
            },
            step => self.recall(step).map_or(Task::Yours, Task::Done),
        }
    }

    /// Says what came of a task.
    ///
    /// # Errors
    ///
    /// [`UnexpectedOutcome`] for what cannot come of it, also for a letter that was signed by another key or is
    /// another.
    pub fn performed(&mut self, outcome: Outcome) -> Result<(), UnexpectedOutcome> {
        let unexpected = UnexpectedOutcome(outcome.name());
        match outcome {
            Outcome::Enrolment(enrolment) => {
                self.made.enrolment = Some(enrolment.to_json().map_err(|_| unexpected)?);
            }
            Outcome::Request(request) => self.made.request = Some(est::write_request(&request).into_bytes()),
            Outcome::Signed(message) => self.signed(message).ok_or(unexpected)?,
            Outcome::Stored => self.unsaved = false,
            _ => return Err(unexpected),
        }
        Ok(())
    }

    /// Takes a reply, a message in DER: one to the last letter, or one that was written ahead. Vouchers in it come
    /// back, to be offered to the machine ([`offer_voucher`](dolmen_provisioning_pledge::Pledge::offer_voucher)) once
    /// the step that it is at has its outcome. The same reply again changes nothing, and a later one to the same letter
    /// takes the place of the one before. To whom a reply has to lead is known from the machine's [`Step::Connect`] on:
    /// one to a letter is taken no sooner, and one that was written ahead by a box without an owner alone.
    ///
    /// # Errors
    ///
    /// [`ReplyRefusal`]. Then nothing has changed.
    pub fn receive(&mut self, message: &[u8]) -> Result<Vec<Vec<u8>>, ReplyRefusal> {
        let (reply, opened) = Reply::open(message)?;
        if reply.serial_number != self.serial_number {
            return Err(ReplyRefusal::Serial(reply.serial_number));
        }
        let anchor = self.connection.as_ref().and_then(|party| party.anchor.as_ref());
        if let Some(anchor) = anchor {
            opened.path(slice::from_ref(anchor), &registrar_rules()).map_err(ReplyRefusal::Signer)?;
        }
        let has_owner = anchor.is_some() || self.exchanges.iter().any(|exchange| exchange.letter.owner.is_some());
        let registrar = [slice::from_ref(opened.signer()), opened.others()].concat();
        let vouchers: Vec<_> = reply.vouchers.iter().map(|voucher| voucher.0.clone()).collect();
        match &reply.letter {
            None if has_owner => return Err(ReplyRefusal::Early),
            None => {}
            Some(letter) => {
                let written = self.connection.as_ref().and_then(owner);
                let last = self.exchanges.last_mut().filter(|last| hash(&last.message.0) == *letter);
                let last = last.ok_or(ReplyRefusal::Letter)?;
                if last.letter.owner != written {
                    return Err(ReplyRefusal::Early);
                }
                let is_behind = reply.number > last.letter.number && last.letter.owner.is_some();
                if is_behind {
                    // The registrar has seen later ones, which this box does not remember.
                    self.number = reply.number - 1;
                    self.forget();
                } else if reply.number == last.letter.number && reply.answers.len() <= last.letter.requests.len() {
                    last.reply = Some(Replied { message: Body(message.to_vec()), reply, opened });
                } else {
                    return Err(ReplyRefusal::Fit);
                }
            }
        }
        self.registrar = registrar;
        self.unsaved = true;
        self.news |= !vouchers.is_empty();
        Ok(vouchers)
    }

    /// What is to be stored: the tasks say when.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        record::write(self)
    }

    /// Goes on where a record ends. What the record says is looked at as if it had just come in.
    ///
    /// # Errors
    ///
    /// [`CarrierRecordError`]; then begin with a [`new`](Self::new) one: a registrar that has seen later letters says
    /// so.
    pub fn resume(record: &[u8], serial_number: SerialNumber) -> Result<Self, CarrierRecordError> {
        record::read(record, serial_number)
    }

    /// A machine that was given what it asked for, and ends the connection at once, does not take it: what it made for
    /// that is not to be used again.
    fn notice(&mut self, step: &Step<'_>) {
        let leaves = match step {
            Step::Connect(_) | Step::Wait { .. } | Step::Discover => true,
            Step::Send(request) => request.path == ENROLLSTATUS,
            _ => false,
        };
        if std::mem::take(&mut self.given) && leaves {
            self.forget();
        }
    }

    /// Letters and what they were made of. The registrar stays known, and numbers grow.
    fn forget(&mut self) {
        self.exchanges.clear();
        self.made = Made::default();
        self.unsaved = true;
    }

    fn connect(&mut self, connect: &Connect<'_>) -> Task {
        self.connection = None;
        if Self::hint().as_ref() != Ok(connect.hint) {
            return Task::Yours;
        }
        let (key, chain) = match connect.client {
            Client::IDevId(chain) => (Key::IDevId, chain.to_vec()),
            Client::LDevId(chain) => (Key::LDevId, chain.to_vec()),
        };
        let anchor = match connect.trust {
            Trust::Provisional => None,
            Trust::Owner(anchor) => Some(anchor.clone()),
        };
        let party = Party { key, chain, anchor };
        // Replies are judged by it from now on, whether the machine is connected or not.
        self.connection = Some(party.clone());
        if let Some((own, others)) = self.registrar.split_first()
            && is_trusted(own, others, &party)
        {
            if self.unsaved {
                return Task::Store(self.record());
            }
            // They are tried now.
            self.news = false;
            let shown = self.registrar.iter().map(|one| one.der().to_vec()).collect();
            return Task::Done(Outcome::Connected(shown));
        }
        self.write(None, &party)
    }

    fn send(&mut self, request: &pledge::Request<'_>, party: &Party) -> Task {
        if request.path == REQUEST_VOUCHER {
            return self.introduce(party);
        }
        if party.anchor.is_none() && !path::is_report(request.path) {
            // Only the machine knows what the voucher pinned, and says so to whoever connects.
            return failed("the box has an owner since it was connected; it connects anew, to its owner");
        }
        let asked = Request::of(request);
        let found = self.exchanges.iter().enumerate().rev().find_map(|(at, exchange)| {
            let place = exchange.letter.requests.iter().position(|other| *other == asked)?;
            Some((at, place))
        });
        let Some((at, place)) = found else {
            return if path::is_report(request.path) { self.report(asked) } else { self.write(Some(asked), party) };
        };
        match self.answer(at, place, party) {
            Some(answer) => self.give(at, answer, request.path),
            // It is on its way.
            None if path::is_report(request.path) => accepted(),
            None if at + 1 == self.exchanges.len() => self.post(at),
            // A later letter went out: the registrar does not answer this one any more.
            None => {
                self.forget();
                self.write(Some(asked), party)
            }
        }
    }

    /// The answer to a request of a letter, if it came from somebody who counts.
    fn answer(&self, at: usize, place: usize, party: &Party) -> Option<Answer> {
        let replied = self.exchanges.get(at)?.reply.as_ref()?;
        let is_trusted = is_trusted(replied.opened.signer(), replied.opened.others(), party);
        replied.reply.answers.get(place).filter(|_| is_trusted).cloned()
    }

    fn give(&mut self, at: usize, answer: Answer, path: &str) -> Task {
        if self.unsaved {
            return Task::Store(self.record());
        }
        if !path::is_report(path) {
            if answer.is_done() {
                self.given = true;
            } else if answer.status < 300 {
                // The same letter again, for another answer.
                self.drop_reply(at);
            } else {
                self.forget();
            }
        }
        Task::Done(Outcome::Answered(answer.into()))
    }

    fn drop_reply(&mut self, at: usize) {
        if let Some(exchange) = self.exchanges.get_mut(at) {
            exchange.reply = None;
            self.unsaved = true;
        }
    }

    /// A letter goes out, or again: whatever reply there was is of no use any more.
    fn post(&mut self, at: usize) -> Task {
        if self.exchanges.get(at).is_some_and(|exchange| exchange.reply.is_some()) {
            self.drop_reply(at);
        }
        if self.unsaved {
            return Task::Store(self.record());
        }
        let Some(Exchange { message, letter, .. }) = self.exchanges.get(at) else {
            return failed("the letter is gone; this is a mistake in the program");
        };
        let (message, number) = (message.clone(), letter.number);
        Task::Post(Post { letter: Name::letter(number), message, reply: Name::reply(number) })
    }

    /// Keeps a report for the next letter. Whatever became of it, the machine goes on: it has its own answer, 202,
    /// which says that it was taken and not that it was read.
    fn report(&mut self, report: Request) -> Task {
        if !self.reports.contains(&report) && self.reports.len() < REPORTS_MAX {
            self.reports.push(report);
        }
        accepted()
    }

    /// A box without an owner cannot ask for a voucher with a nonce by a stick: it says who it is, and is brought one.
    fn introduce(&mut self, party: &Party) -> Task {
        let last = self.exchanges.iter().rposition(|last| last.letter.requests.is_empty());
        let is_answered = last.and_then(|at| self.exchanges.get(at)).is_some_and(|last| last.reply.is_some());
        if std::mem::take(&mut self.news) {
            return failed("the registrar's reply brought vouchers, which are tried now");
        }
        match last {
            Some(at) if is_answered => {
                self.drop_reply(at);
                failed(NO_VOUCHER)
            }
            Some(at) if at + 1 == self.exchanges.len() => self.post(at),
            _ => self.write(None, party),
        }
    }
}

const NO_VOUCHER: &str = "the registrar's reply has no voucher that this box can follow; have the registrar keep one \
                          with an ownership epoch that is greater than the box's, and carry the letter there again";

/// 202: the carrier's own word.
fn accepted() -> Task {
    let answer = pledge::Answer { status: 202, content_type: None, retry_after: None, body: Vec::new() };
    Task::Done(Outcome::Answered(answer))
}

fn failed(text: &str) -> Task {
    Task::Done(Outcome::Failed(text.to_owned()))
}

const fn registrar_rules() -> Rules<'static> {
    Rules::timeless(Purpose::Registrar)
}

fn is_trusted(own: &Certificate, others: &[Certificate], party: &Party) -> bool {
    let Some(anchor) = &party.anchor else { return true };
    chain::verify(own, others, slice::from_ref(anchor), &registrar_rules()).is_ok()
}

/// The certificate to which a registrar has to lead, as letters name it.
fn owner(party: &Party) -> Option<Hash> {
    party.anchor.as_ref().map(|anchor| Hash::from_bytes(anchor.fingerprint()))
}
