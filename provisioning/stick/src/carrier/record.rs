//! What outlives a loss of power.

use dolmen_provisioning_ca::Certificate;
use dolmen_provisioning_voucher::SerialNumber;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Carrier, Exchange, Replied};
use crate::{
    Body, Letter, LetterRefusal, Reply, ReplyRefusal,
    content::hash,
    limits::{EXCHANGES_MAX, RECORD_BYTES_MAX},
};

/// What a record begins with, with the version of its form.
const FORMAT: &str = "dolmen-carrier-record-v1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    number: u64,
    exchanges: Vec<Written>,
    registrar: Vec<Certificate>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    letter: Body,
    reply: Option<Body>,
}

/// Why bytes are no record of letters.
#[derive(Debug, thiserror::Error)]
pub enum CarrierRecordError {
    /// Larger than any.
    #[error("the record of letters has {found} bytes, {limit} at most can be; {NEXT}")]
    Bytes {
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Of another version, or something else.
    #[error("the record of letters does not begin with {FORMAT}; {NEXT}")]
    Format,
    /// Changed since it was written.
    #[error("the record of letters was changed since it was written: its checksum is another; {NEXT}")]
    Checksum,
    /// With the right checksum, and something else.
    #[error("the record of letters cannot be read; {NEXT}")]
    Json(#[source] serde_json::Error),
    /// More letters than are kept.
    #[error("the record has {0} letters, {EXCHANGES_MAX} at most can be; {NEXT}")]
    Count(usize),
    /// A letter that is none.
    #[error("a letter in the record does not hold; {NEXT}")]
    Letter(#[source] LetterRefusal),
    /// A reply that is none.
    #[error("a reply in the record does not hold; {NEXT}")]
    Reply(#[source] ReplyRefusal),
    /// Another box's, or replies to other letters.
    #[error("the letters and replies in the record are not those of this box; {NEXT}")]
    Other,
}

/// What to do about it.
const NEXT: &str = "remove it, and have the box write a new letter";

/// Three lines: the format, SHA-256 of the third line in hexadecimal, and JSON.
pub(super) fn write(carrier: &Carrier) -> Vec<u8> {
    let written = |exchange: &Exchange| Written {
        letter: exchange.message.clone(),
        reply: exchange.reply.as_ref().map(|replied| replied.message.clone()),
    };
    let exchanges = carrier.exchanges.iter().map(written).collect();
    let record = Record { number: carrier.number, exchanges, registrar: carrier.registrar.clone() };
    // Texts, numbers and lists alone: nothing in it can fail to be written.
    let json = serde_json::to_string(&record).unwrap_or_default();
    format!("{FORMAT}\n{}\n{json}\n", checksum(&json)).into_bytes()
}

pub(super) fn read(bytes: &[u8], serial_number: SerialNumber) -> Result<Carrier, CarrierRecordError> {
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(CarrierRecordError::Bytes { found: bytes.len(), limit: RECORD_BYTES_MAX });
    }
    let rest = bytes.strip_prefix(FORMAT.as_bytes()).and_then(|rest| rest.strip_prefix(b"\n"));
    let text = std::str::from_utf8(rest.ok_or(CarrierRecordError::Format)?);
    let text = text.map_err(|_| CarrierRecordError::Checksum)?;
    let (sum, json) = text.split_once('\n').ok_or(CarrierRecordError::Checksum)?;
    let json = json.strip_suffix('\n').filter(|json| sum == checksum(json)).ok_or(CarrierRecordError::Checksum)?;
    let Record { number, exchanges, registrar } = serde_json::from_str(json).map_err(CarrierRecordError::Json)?;
    if exchanges.len() > EXCHANGES_MAX {
        return Err(CarrierRecordError::Count(exchanges.len()));
    }
    let exchanges = exchanges.into_iter().map(|written| exchange(written, &serial_number)).collect::<Result<_, _>>()?;
    let carrier = Carrier { number, exchanges, registrar, ..Carrier::new(serial_number) };
    let numbers: Vec<_> = carrier.exchanges.iter().map(|exchange| exchange.letter.number).collect();
    if !numbers.is_sorted_by(|one, next| one < next) || numbers.last().is_some_and(|last| *last != number) {
        return Err(CarrierRecordError::Other);
    }
    Ok(carrier)
}

fn exchange(written: Written, serial_number: &SerialNumber) -> Result<Exchange, CarrierRecordError> {
    let (letter, opened) = Letter::open(&written.letter.0).map_err(CarrierRecordError::Letter)?;
    if letter.serial_number != *serial_number || SerialNumber::of(opened.signer()).as_ref() != Some(serial_number) {
        return Err(CarrierRecordError::Other);
    }
    let read = |message: Body| {
        let (reply, opened) = Reply::open(&message.0).map_err(CarrierRecordError::Reply)?;
        let fits = reply.serial_number == letter.serial_number
            && reply.number == letter.number
            && reply.letter == Some(hash(&written.letter.0))
            && reply.answers.len() <= letter.requests.len();
        if fits { Ok(Replied { message, reply, opened }) } else { Err(CarrierRecordError::Other) }
    };
    let reply = written.reply.map(read).transpose()?;
    Ok(Exchange { message: written.letter, letter, reply })
}

fn checksum(json: &str) -> String {
    const_hex::encode(Sha256::digest(json))
}
