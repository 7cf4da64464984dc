//! Registers that change while they are quoted: other programs measure, beside a resource manager.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
};

use dolmen_hsm_api::{AttestingTpm as _, KeyError};
use dolmen_hsm_evidence::{HashAlgorithm, Pcrs, Public, verify_quote};
use dolmen_hsm_tpm::{Evidence, Tpm};

use crate::support::Swtpm;

const NONCE: &[u8] = b"a nonce of somebody's choice";
/// `TPM_CC_Quote` (TPM 2.0 Library, Part 2 §6.5.2).
const QUOTE: [u8; 4] = [0, 0, 1, 0x58];
/// `TPM2_PCR_Extend` of register 11: by an empty password, one digest of SHA-256.
const EXTEND: [u8; 65] = {
    let mut command = [7; 65];
    let head = [
        0x80, 0x02, 0, 0, 0, 65, 0, 0, 1, 0x82, 0, 0, 0, 11, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
        0x0b,
    ];
    let mut at = 0;
    while at < head.len() {
        command[at] = head[at];
        at += 1;
    }
    command
};

/// Something between a program and its TPM that measures before each of the first quotes.
fn measure_before_quotes(swtpm: &Swtpm, count: usize) -> u16 {
    let (commands, control) = pair();
    let (port, upstream) = (commands.local_addr().expect("it has one").port(), swtpm.port());
    thread::spawn(move || {
        let mut left = count;
        for client in commands.incoming().flatten() {
            let tpm = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).expect("the TPM listens");
            // It ends with its client.
            let _ = serve(client, tpm, &mut left);
        }
    });
    thread::spawn(move || {
        for client in control.incoming().flatten() {
            let tpm = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream + 1)).expect("the TPM listens");
            let (mut back, mut there) = (tpm.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
            thread::spawn(move || io::copy(&mut back, &mut there));
            let (mut client, mut tpm) = (client, tpm);
            let _ = io::copy(&mut client, &mut tpm);
        }
    });
    port
}

fn pair() -> (TcpListener, TcpListener) {
    loop {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = first.local_addr().expect("it has one").port();
        if let Some(Ok(second)) = port.checked_add(1).map(|next| TcpListener::bind((Ipv4Addr::LOCALHOST, next))) {
            return (first, second);
        }
    }
}

fn serve(mut client: TcpStream, mut tpm: TcpStream, left: &mut usize) -> io::Result<()> {
    loop {
        let command = message(&mut client)?;
        if command[6..10] == QUOTE && *left > 0 {
            *left -= 1;
            tpm.write_all(&EXTEND)?;
            let answer = message(&mut tpm)?;
            assert_eq!(answer[6..10], [0; 4], "it was measured");
        }
        tpm.write_all(&command)?;
        client.write_all(&message(&mut tpm)?)?;
    }
}

/// A command or an answer: both have their size after two bytes.
fn message(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut all = vec![0; 10];
    from.read_exact(&mut all)?;
    let size = u32::from_be_bytes(all[2..6].try_into().expect("4 bytes"));
    all.resize(usize::try_from(size).expect("it is short"), 0);
    from.read_exact(&mut all[10..])?;
    Ok(all)
}

fn evidence(port: u16) -> Evidence {
    Evidence::new(Tpm::new(format!("swtpm:host=127.0.0.1,port={port}").parse().expect("a TCTI")))
}

#[test]
fn the_values_are_those_that_were_quoted() {
    let swtpm = Swtpm::new();
    let evidence = evidence(measure_before_quotes(&swtpm, 3));
    let quote = evidence.quote(NONCE, &[7, 11]).unwrap();
    let mut pcrs = Pcrs::new(HashAlgorithm::Sha256).unwrap();
    for _ in 0..3 {
        pcrs.extend(11, &[7; 32]).unwrap();
    }
    assert_eq!(Some(quote.registers[&11]), pcrs.values()[11], "after all three");
    let mut quoted = Pcrs::new(HashAlgorithm::Sha256).unwrap();
    quote.registers.iter().for_each(|(register, value)| quoted.set(u32::from(*register), *value).unwrap());
    let ak = Public::from_tpmt(&evidence.attestation_key().unwrap()).unwrap();
    verify_quote(&ak, &quote.statement, &quote.signature, NONCE, &quoted).unwrap();
}

#[test]
fn registers_that_never_rest_are_not_quoted() {
    let swtpm = Swtpm::new();
    let evidence = evidence(measure_before_quotes(&swtpm, 8));
    let error = evidence.quote(NONCE, &[11]).unwrap_err();
    assert!(matches!(error, KeyError::Policy { .. }), "{error}");
    assert!(error.to_string().contains("registers [11] changed while they were quoted, 8 times"), "{error}");
    evidence.quote(NONCE, &[11]).expect("they rest");
}
