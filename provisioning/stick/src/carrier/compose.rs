//! Which requests go together: those that need no answer of each other's, so that a stick is carried less often.

use dolmen_provisioning_pledge::{Key, Step};

use super::{Carrier, Exchange, Made, Part, Party, Task, failed, owner};
use crate::{
    Body, Letter, Request,
    limits::EXCHANGES_MAX,
    path::{ADMISSION, BUNDLE, CACERTS, ENROLMENT, RESPONSE, SIMPLEENROLL},
};

const JSON: &str = "application/json";
const PKCS10: &str = "application/pkcs10";

impl Carrier {
    /// Writes a letter for a request, and for what is asked next; none for whoever wants to know who is there.
    pub(super) fn write(&mut self, asked: Option<Request>, party: &Party) -> Task {
        if asked.is_none()
            && let Some(at) = self.waiting(party)
        {
            return self.post(at);
        }
        if self.unsaved {
            return Task::Store(self.record());
        }
        let requests = match self.requests(asked, party) {
            Ok(Some(requests)) => requests,
            Ok(None) => return failed("no stick carries this request; connect the box to a network"),
            Err(Part::Enrolment) => return Task::Perform(Step::Attest),
            Err(Part::Request) => return Task::Perform(Step::MakeRequest),
        };
        let Some(number) = self.number.checked_add(1) else {
            return failed("the box has written as many letters as can be; decommission it");
        };
        let letter = Letter { serial_number: self.serial_number.clone(), number, owner: owner(party), requests };
        match letter.to_sign(&party.chain) {
            Ok(unsigned) => {
                self.made.letter = Some((letter, party.clone()));
                Task::Sign { key: party.key, unsigned: Box::new(unsigned) }
            }
            Err(refusal) => failed(&format!("the letter cannot be written: {refusal}")),
        }
    }

    /// The last letter, where it was written as the same party and nobody has answered.
    fn waiting(&self, party: &Party) -> Option<usize> {
        let at = self.exchanges.len().checked_sub(1)?;
        let Exchange { letter, reply, .. } = self.exchanges.get(at)?;
        let is_member = letter.requests.first().is_some_and(|first| matches!(&*first.path, BUNDLE | ADMISSION));
        let is_same = letter.owner == owner(party) && is_member == (party.key == Key::LDevId);
        (is_same && reply.is_none()).then_some(at)
    }

    /// The requests of a letter; none for one that is not carried.
    fn requests(&self, asked: Option<Request>, party: &Party) -> Result<Option<Vec<Request>>, Part> {
        let path = match (&asked, &party.anchor, party.key) {
            (Some(asked), _, _) => asked.path.clone(),
            // Before there is an owner, nobody is told more than who the box is.
            (None, None, _) => return Ok(Some(Vec::new())),
            (None, Some(_), Key::IDevId) => CACERTS.to_owned(),
            (None, Some(_), Key::LDevId) => BUNDLE.to_owned(),
        };
        let enrolment = || self.part(Part::Enrolment).map(|body| Request::post(ENROLMENT, JSON, body));
        let request = || self.part(Part::Request).map(|body| Request::post(SIMPLEENROLL, PKCS10, body));
        let mut requests = match (&*path, asked) {
            (CACERTS, _) => vec![Request::get(CACERTS), enrolment()?],
            (ENROLMENT, Some(asked)) => vec![asked],
            // For whoever holds the key of that certificate, which the request for it shows.
            (RESPONSE, Some(asked)) => vec![asked, request()?, Request::get(BUNDLE)],
            (SIMPLEENROLL, Some(asked)) => vec![asked, Request::get(BUNDLE)],
            (BUNDLE, _) => vec![Request::get(BUNDLE)],
            (ADMISSION, Some(asked)) => vec![asked],
            _ => return Ok(None),
        };
        // Whoever does not know the box takes no report of it: they come last, and are the maker's certificate's.
        if party.key == Key::IDevId {
            requests.extend(self.reports.iter().cloned());
        }
        Ok(Some(requests))
    }

    fn part(&self, part: Part) -> Result<Vec<u8>, Part> {
        let Made { enrolment, request, .. } = &self.made;
        let made = if part == Part::Enrolment { enrolment } else { request };
        made.clone().ok_or(part)
    }

    /// Takes the letter that was signed; none where it is another.
    pub(super) fn signed(&mut self, message: Vec<u8>) -> Option<()> {
        let (letter, party) = self.made.letter.as_ref()?;
        let (found, opened) = Letter::open(&message).ok()?;
        if found != *letter || Some(opened.signer()) != party.chain.first() {
            return None;
        }
        // A new beginning, or a new party: what was before is of no use.
        let begins = letter.requests.iter().any(|request| request.path == ENROLMENT);
        if begins || letter.requests.is_empty() || party.key == Key::LDevId {
            self.exchanges.clear();
        }
        if self.exchanges.len() >= EXCHANGES_MAX {
            self.exchanges.remove(0);
        }
        self.number = letter.number;
        self.exchanges.push(Exchange { message: Body(message), letter: found, reply: None });
        self.made = Made::default();
        self.reports.clear();
        self.unsaved = true;
        Some(())
    }
}
