//! A chain that boxes join by themselves, with the registrars of its organisations.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{Devnet, PATIENCE, dolmen, process};

/// A devnet of `--zero-touch`, asked with the commands that people use.
pub struct Joining {
    dir: PathBuf,
    rpc: String,
}

impl Joining {
    /// That of a devnet, which is asked at the box that founded its chain.
    pub fn of(devnet: &Devnet) -> Self {
        Self { dir: devnet.dir().to_owned(), rpc: devnet.chain.boxes[0].rpc.clone() }
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Runs `dolmen` in it; what that printed, or what it complained of.
    pub fn try_run(&self, arguments: &str) -> Result<String, String> {
        let ended = process::run(Command::new(dolmen()).args(arguments.split(' ')).current_dir(&self.dir), PATIENCE);
        if ended.status.success() { Ok(ended.output) } else { Err(ended.output) }
    }

    /// The same, which must succeed.
    pub fn run(&self, arguments: &str) -> String {
        self.try_run(arguments).unwrap_or_else(|said| panic!("dolmen {arguments}: {said}"))
    }

    /// The directory of an organisation's registrar, relative to the devnet's.
    pub fn registrar(organisation: &str) -> String {
        format!("organisations/{organisation}/registrar")
    }

    /// A box as its registrar shows it, once it has come.
    pub fn known(&self, organisation: &str, serial_number: &str) -> Option<Value> {
        let boxes = self.run(&format!("registrar boxes --json --registrar {}", Self::registrar(organisation)));
        let boxes: Vec<Value> = serde_json::from_str(&boxes).expect("JSON");
        boxes.into_iter().find(|one| one["serial_number"] == serial_number)
    }

    /// What a box is on the chain, once it is there.
    pub fn role(&self, name: &str) -> Option<String> {
        let boxes = self.run(&format!("gov boxes --all --json --rpc {}", self.rpc));
        let boxes: Vec<Value> = serde_json::from_str(&boxes).expect("JSON");
        Some(boxes.iter().find(|one| one["name"] == name)?["role"].as_str()?.to_owned())
    }

    /// Where an organisation's registrar serves boxes.
    pub fn registrar_address(&self, organisation: &str) -> SocketAddr {
        let settings = self.setting(&format!("{}/registrar.toml", Self::registrar(organisation)), "listen");
        settings.parse().expect("an address")
    }

    /// A setting of a file in the devnet's directory.
    pub fn setting(&self, file: &str, name: &str) -> String {
        let text = fs::read_to_string(self.dir.join(file)).expect("settings can be read");
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).trim_matches('"').to_owned()
    }

    /// Has the maker sell a box to an organisation, with more options of `dolmen masa sell`; its voucher's file.
    pub fn sell(&self, serial_number: &str, organisation: &str, options: &str) -> PathBuf {
        let place = format!("organisations/{organisation}");
        let more = if options.is_empty() { String::new() } else { format!(" {options}") };
        self.run(&format!(
            "masa sell {serial_number} --to {place}/ca/root.pem --out {place}/vouchers --maker maker{more}"
        ));
        self.dir.join(place).join("vouchers").join(format!("{serial_number}.vcj"))
    }

    /// Has an organisation's registrar take a box that was sold to it.
    pub fn expect(&self, serial_number: &str, organisation: &str) {
        let registrar = Self::registrar(organisation);
        let voucher = format!("organisations/{organisation}/vouchers/{serial_number}.vcj");
        self.run(&format!("registrar approve {serial_number} --registrar {registrar}"));
        self.run(&format!("registrar import {voucher} --registrar {registrar}"));
    }

    /// Codes of what an organisation's registrar refused to a box, by its journal.
    pub fn refused(&self, organisation: &str, serial_number: &str) -> Vec<String> {
        let journal = self.dir.join(Self::registrar(organisation)).join("journal");
        let journal = fs::read_to_string(journal).expect("the journal can be read");
        let records = journal.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["record"].take());
        let of_box = records.filter(|record| record["who"]["peer"]["serial"] == serial_number);
        of_box.filter_map(|record| Some(record["what"]["refused"]["code"].as_str()?.to_owned())).collect()
    }

    /// The numbers of an organisation's registrar.
    pub fn metrics(&self, organisation: &str) -> String {
        let place = self.setting(&format!("{}/registrar.toml", Self::registrar(organisation)), "metrics");
        let url = format!("http://{place}/metrics");
        let ended = process::run(Command::new("curl").args(["-s", "--max-time", "20", &url]), PATIENCE);
        assert!(ended.status.success(), "{url}: {}", ended.output);
        ended.output
    }

    /// What happened to a box, by its registrar's journal: names of events, and codes of refusals and alarms.
    pub fn events(&self, organisation: &str, serial_number: &str) -> Vec<String> {
        let journal = self.dir.join(Self::registrar(organisation)).join("journal");
        let journal = fs::read_to_string(&journal).expect("the journal can be read");
        let records = journal.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["record"].take());
        let events = records.filter_map(|record| {
            let (name, event) = record["what"].as_object()?.iter().next()?;
            let of_box = event["serial"] == serial_number || record["who"]["peer"]["serial"] == serial_number;
            of_box.then(|| event["code"].as_str().unwrap_or(name).to_owned())
        });
        events.collect()
    }

    /// What a box says of its joining, once it says anything; its directory has this name.
    pub fn report(&self, name: &str) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.dir.join(name).join("provisioning.json")).ok()?).ok()
    }
}
