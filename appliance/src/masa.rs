//! `dolmen masa`: the maker's ceremony. It certifies boxes at the factory, and signs the vouchers that say whose they are.

use std::{
    collections::BTreeSet,
    fs,
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_primitives::hex;
use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyUri, Signer};
use dolmen_provisioning_ca::{Certificate, ObjectIdentifier, chain::Roots};
use dolmen_provisioning_ceremony::{Birth, Maker, MakerKeys, read_certificates, write_certificates};
use dolmen_provisioning_voucher::{OrganisationRoots, SerialNumber};
use serde_json::json;

use crate::{
    backends::keys::{self, Keys},
    ceremony::{fingerprint, moment},
    keys::DeviceArgs,
};

/// A list of boxes that are sold in one go.
const LIST_BYTES_MAX: u64 = 16 << 20;
/// A registrar's request.
const REQUEST_BYTES_MAX: u64 = 1 << 20;

/// Arguments of `dolmen masa`.
#[derive(Args)]
pub(crate) struct MasaArgs {
    /// The maker's directory: the journal of all that it signed, and its root.
    #[arg(long, global = true, value_name = "DIR", default_value = "masa")]
    maker: PathBuf,
    #[command(flatten)]
    uris: Uris,
    #[command(flatten)]
    devices: DeviceArgs,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: MasaCommand,
}

/// The maker's keys, P-256, wherever they live.
#[derive(Args)]
struct Uris {
    /// The key of its root, which `init` alone needs.
    #[arg(long, global = true, value_name = "URI", default_value = "soft:maker-root")]
    root_key: KeyUri,
    /// The key that certifies boxes.
    #[arg(long, global = true, value_name = "URI", default_value = "soft:maker-boxes")]
    boxes_key: KeyUri,
    /// The key that signs vouchers.
    #[arg(long, global = true, value_name = "URI", default_value = "soft:maker-vouchers")]
    vouchers_key: KeyUri,
}

#[derive(Subcommand)]
enum MasaCommand {
    /// Make a maker's authorities, and their keys where there are none.
    #[command(after_help = "Example:\n  dolmen masa init \"Box Works\" --hardware 1.3.6.1.4.1.99999.1")]
    Init {
        /// What the maker is called.
        name: String,
        /// The kind of its boxes: an object identifier under the maker's own number (IANA Private Enterprise Numbers).
        #[arg(long, value_name = "OID")]
        hardware: ObjectIdentifier,
        /// Days for which the certificate of the vouchers' key holds. Boxes do not look at it.
        #[arg(long, default_value_t = 10 * 365)]
        days: u32,
    },
    /// Certify a new box: its IDevID, for as long as its TPM lives.
    #[command(after_help = "Example:\n  dolmen masa certify birth.json --out idevid.pem")]
    Certify {
        /// What `dolmen keys idevid --birth` wrote on the box.
        birth: PathBuf,
        /// Where the certificate goes, with the authority's behind it.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sell boxes: sign a voucher for each that gives it to an organisation.
    #[command(after_help = "Examples:\n  dolmen masa sell BOX-0001 BOX-0002 --to alpha-root.pem --out vouchers\n  \
        dolmen masa sell --list delivery.txt --to alpha-root.pem --out vouchers")]
    Sell {
        /// Serial numbers.
        #[arg(value_name = "SERIAL", required_unless_present = "list")]
        serial_numbers: Vec<SerialNumber>,
        /// A file with a serial number a line; empty lines and lines that begin with # say nothing.
        #[arg(long, value_name = "FILE")]
        list: Option<PathBuf>,
        /// The organisation's root certificate.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// The directory for the vouchers, SERIAL.vcj each.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Take boxes away from whom they were sold to before; or another voucher for the same organisation, which makes
        /// the box follow it once more.
        #[arg(long)]
        resell: bool,
    },
    /// Answer a registrar's request for a voucher (RFC 8995), if the box was sold to its organisation.
    #[command(
        after_help = "Example:\n  dolmen masa answer request.vrq --organisation alpha-root.pem --out BOX-0001.vcj"
    )]
    Answer {
        /// The request.
        request: PathBuf,
        /// The organisation's root certificate; once for each that may ask.
        #[arg(long = "organisation", value_name = "FILE", required = true)]
        organisations: Vec<PathBuf>,
        /// Where the voucher goes.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show the boxes, and to whom they were sold.
    #[command(after_help = "Example:\n  dolmen masa list --json")]
    List,
}

/// Runs a subcommand.
pub(crate) async fn masa(args: MasaArgs) -> anyhow::Result<()> {
    let MasaArgs { maker: directory, uris, devices, json, command } = args;
    let keys = Keys::new(devices.devices_of(&directory)?)?;
    match command {
        MasaCommand::Init { name, hardware, days } => {
            keys::create_dir(&directory)?;
            keys::create_dir(keys.dir())?;
            let domains = [Domain::Certificate].into_iter().collect();
            let key = |uri| keys.open_or_create(uri, KeySpec { algorithm: Algorithm::EcdsaP256, domains });
            let (root, issuing, masa) = (key(&uris.root_key)?, key(&uris.boxes_key)?, key(&uris.vouchers_key)?);
            let moments = [moment()?, moment()?, moment()?];
            let maker_keys = MakerKeys { root, issuing, masa };
            let maker = Maker::found(&directory, &name, hardware, maker_keys, days, moments).await?;
            print_maker(&maker, json)
        }
        MasaCommand::Certify { birth, out } => {
            let mut maker = Maker::open(&directory)?;
            let birth = Birth::load(&birth)?;
            let idevid = maker.certify(open(&keys, &uris.boxes_key)?, &birth, moment()?).await?;
            write_certificates(&out, &[idevid, maker.issuing().clone()])?;
            anstream::println!("{}: {} has its certificate", out.display(), birth.serial_number);
            Ok(())
        }
        MasaCommand::Sell { serial_numbers, list, to, out, resell } => {
            let mut maker = Maker::open(&directory)?;
            let organisation = root(&to)?;
            let mut numbers: BTreeSet<_> = serial_numbers.into_iter().collect();
            if let Some(list) = list {
                numbers.extend(read_list(&list)?);
            }
            ensure!(!numbers.is_empty(), "the list has no serial number");
            fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
            let (all, shown) = (numbers.len(), std::io::stderr().is_terminal());
            let progress = |done| {
                if shown {
                    anstream::eprint!("\r{done} of {all} vouchers");
                }
            };
            let key = open(&keys, &uris.vouchers_key)?;
            let vouchers = maker.sell(&*key, &numbers, &organisation, resell, moment()?, progress).await?;
            if shown {
                anstream::eprintln!();
            }
            for (serial_number, voucher) in &vouchers {
                write(&out.join(file_name(serial_number)), voucher)?;
            }
            anstream::println!("{}: {} vouchers for {}", out.display(), vouchers.len(), organisation.subject());
            Ok(())
        }
        MasaCommand::Answer { request, organisations, out } => {
            let mut maker = Maker::open(&directory)?;
            let request = read(&request, REQUEST_BYTES_MAX)?;
            let roots = organisations.iter().map(|path| root(path)).collect::<anyhow::Result<_>>()?;
            let roots = OrganisationRoots(Roots::new(roots)?);
            let key = open(&keys, &uris.vouchers_key)?;
            let (serial_number, voucher) = maker.answer(&*key, &request, &roots, moment()?).await?;
            write(&out, &voucher)?;
            anstream::println!("{}: a voucher for {serial_number}", out.display());
            Ok(())
        }
        MasaCommand::List => print_maker(&Maker::open(&directory)?, json),
    }
}

fn open(keys: &Keys, key: &KeyUri) -> anyhow::Result<Arc<dyn Signer>> {
    keys.store(key)?.open(key).context("a key of the maker cannot be opened; name it as at `dolmen masa init`")
}

/// The one certificate of a file.
fn root(path: &Path) -> anyhow::Result<Certificate> {
    let mut certificates = read_certificates(path)?;
    let count = certificates.len();
    let certificate = certificates.pop().filter(|_| count == 1);
    certificate.with_context(|| format!("{} has {count} certificates; give the root alone", path.display()))
}

fn read_list(path: &Path) -> anyhow::Result<Vec<SerialNumber>> {
    let text = String::from_utf8(read(path, LIST_BYTES_MAX)?);
    let text = text.with_context(|| format!("{} is no text", path.display()))?;
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let number = |(at, line): (usize, &str)| line.parse().with_context(|| format!("{}, line {at}", path.display()));
    lines.map(number).collect()
}

fn read(path: &Path, bytes_max: u64) -> anyhow::Result<Vec<u8>> {
    let length = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    ensure!(length <= bytes_max, "{} has {length} bytes, {bytes_max} at most can be", path.display());
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes)
        .with_context(|| format!("cannot write {}; what it is to hold is in the journal", path.display()))
}

/// Serial numbers may have characters that a file's name has not.
fn file_name(serial_number: &SerialNumber) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let mut name = String::new();
    for byte in serial_number.as_str().bytes() {
        match byte {
            byte if plain(byte) => name.push(char::from(byte)),
            byte => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name + ".vcj"
}

fn print_maker(maker: &Maker, json: bool) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    let machines: Vec<_> = maker.ledger().machines().collect();
    if json {
        let machine = |(serial_number, machine): &(&SerialNumber, &dolmen_provisioning_ceremony::Machine)| {
            json!({
                "serial_number": serial_number.as_str(),
                "idevid": fingerprint(&machine.idevid),
                "endorsement_key": hex::encode(machine.endorsement_key),
                "ownership_epoch": machine.epoch.to_string(),
                "sold_to": machine.owner.map(hex::encode),
            })
        };
        let object = json!({
            "maker": maker.name(),
            "root": fingerprint(maker.root()),
            "vouchers": fingerprint(maker.masa()),
            "boxes": machines.iter().map(machine).collect::<Vec<_>>(),
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&object)?)?;
        return Ok(());
    }
    writeln!(out, "{}, root {}", maker.name(), fingerprint(maker.root()))?;
    for (serial_number, machine) in machines {
        let owner =
            machine.owner.map_or_else(|| "not sold".to_owned(), |owner| format!("sold to {}", hex::encode(owner)));
        writeln!(out, "  {serial_number:24}  epoch {:6}  {owner}", machine.epoch)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_called_after_boxes_and_stay_in_their_folder() {
        for (number, name) in
            [("BOX-0001", "BOX-0001.vcj"), ("../x", "%2E%2E%2Fx.vcj"), ("a b%", "a%20b%25.vcj"), (".", "%2E.vcj")]
        {
            assert_eq!(file_name(&number.parse().unwrap()), name);
        }
    }

    #[test]
    fn lists_have_a_number_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        fs::write(&path, "# delivery 7\nBOX-1\r\n\n  BOX-2  \n").unwrap();
        let numbers: Vec<_> = read_list(&path).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(numbers, ["BOX-1", "BOX-2"]);
        fs::write(&path, "BOX-1\nB\u{f6}x\n").unwrap();
        assert!(read_list(&path).unwrap_err().to_string().ends_with("line 2"));
    }
}
