//! A box fresh from the factory, as one machine: its TPM, its directory, and what runs on it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use dolmen_provisioning_rehearsal::Boot;
use serde_json::Value;

use crate::{Joining, PATIENCE, SoftTpm, dolmen, process, quiet_port, wait_for};

/// A box that somebody plugs in and out. It ends with this.
pub struct FreshBox {
    dir: PathBuf,
    serial_number: String,
    /// RPC, web page, peers.
    places: [SocketAddr; 3],
    tpm_port: u16,
    tpm: Option<SoftTpm>,
    node: Option<Child>,
}

impl FreshBox {
    /// Made and certified by the maker in a directory, relative to the devnet's.
    pub fn make(net: &Joining, serial_number: &str, maker: &str) -> Self {
        let dir = net.dir().join(serial_number.to_lowercase());
        fs::create_dir(&dir).expect("a directory");
        SoftTpm::make(&dir.join("tpm"), &net.dir().join("tpms/setup.conf"));
        let ports = [(); 3].map(|()| quiet_port());
        let places = ports.each_ref().map(|port| port.local_addr().expect("it is bound"));
        drop(ports);
        let serial_number = serial_number.to_owned();
        let mut this = Self { dir, serial_number, places, tpm_port: SoftTpm::free_port(), tpm: None, node: None };
        this.power_on();
        let tcti = this.tcti();
        let [born, certified] = ["birth.json", "idevid.pem"].map(|name| this.dir.join(name).display().to_string());
        net.run(&format!("keys idevid --tcti {tcti} --birth {born} --serial {}", this.serial_number));
        net.run(&format!("masa certify {born} --out {certified} --maker {maker}"));
        net.run(&format!("keys idevid --tcti {tcti} --install {certified}"));
        this
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.tpm_port)
    }

    fn power_on(&mut self) {
        let tpm = || SoftTpm::start(&self.dir.join("tpm"), self.tpm_port, &Boot::default().digests());
        self.tpm = Some(self.tpm.take().unwrap_or_else(tpm));
    }

    /// Has it look for its owner at these places.
    pub fn tell(&self, net: &Joining, registrars: &[SocketAddr]) {
        let places: Vec<_> = registrars.iter().map(ToString::to_string).collect();
        let (maker, image) = (net.dir().join("maker/root.pem"), net.dir().join("image"));
        let at = |name: &str| image.join(name);
        let settings = format!(
            "registrars = {places:?}\ndiscover = false\nstick = {:?}\nmasa_roots = {maker:?}\nendpoint = \"{}\"\n\
             firmware_log = {:?}\nuserspace_log = {:?}\nos_release = {:?}\ncommand_line = {:?}\n",
            self.dir.join("stick"),
            self.places[2],
            at("firmware.log"),
            at("userspace.log"),
            at("os-release"),
            at("command-line"),
        );
        fs::write(self.dir.join("provisioning.toml"), settings).expect("settings");
    }

    /// Power on, and a boot.
    pub fn start(&mut self) {
        self.power_on();
        // What it said the last time is not what it says now.
        let _ = fs::remove_file(self.dir.join("provisioning.json"));
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path()).expect("a log");
        let mut command = process::command(dolmen());
        command.args(["boot", "--tcti", &self.tcti(), "--dir"]).arg(&self.dir);
        for (option, place) in ["--rpc", "--page", "--p2p"].into_iter().zip(self.places) {
            command.args([option, &place.to_string()]);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.node = Some(command.spawn().expect("dolmen starts"));
    }

    /// Power off, without warning.
    pub fn cut(&mut self) {
        if let Some(mut node) = self.node.take() {
            let _ = node.kill();
            let _ = node.wait();
        }
        self.tpm = None;
    }

    /// Makes it nobody's box again.
    pub fn decommission(&mut self, net: &Joining) {
        self.cut();
        self.power_on();
        let mut command = Command::new(dolmen());
        // Without settings it does not know at which port its TPM is.
        command.args(["box", "decommission", "--yes", "--dir"]).arg(&self.dir).env("TCTI", self.tcti());
        let ended = process::run(command.current_dir(net.dir()), PATIENCE);
        assert!(ended.status.success(), "{}", ended.output);
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// What its page answers to a path.
    pub fn page(&self, path: &str) -> String {
        let url = format!("https://{}{path}", self.places[1]);
        let ended = process::run(Command::new("curl").args(["-sk", "--max-time", "20", &url]), PATIENCE);
        assert!(ended.status.success(), "{url}: {}", ended.output);
        ended.output
    }

    /// Waits until it tells of a refusal for this reason: in its log, on its page, in its numbers and on its screen.
    pub fn wait_for_refusal(&self, net: &Joining, code: &str) {
        let name = self.dir.file_name().and_then(|name| name.to_str()).expect("a name");
        let refused = || net.report(name).filter(|report| report["refusal"]["code"] == code).map(drop);
        wait_for(&format!("{} to tell of {code}", self.serial_number), PATIENCE, refused);
        let log = self.log();
        assert!(log.lines().any(|line| line.contains("refused") && line.contains(code)), "{code}: {log}");
        let shown: Value = serde_json::from_str(&self.page("/api/provisioning")).expect("JSON");
        assert_eq!(shown["refusal"]["code"], code, "{shown}");
        let numbers = self.page("/metrics");
        assert!(numbers.contains(&format!("dolmen_provisioning_refused{{code=\"{code}\"}} 1")), "{numbers}");
        if let Err(screen) = crate::screen::shows(&self.dir, code) {
            panic!("{code} is not on the screen: {screen}");
        }
    }
}

impl Drop for FreshBox {
    fn drop(&mut self) {
        self.cut();
    }
}
