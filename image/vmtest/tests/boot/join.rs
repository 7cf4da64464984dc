//! A box of the image on a network with registrars: it is plugged in, and becomes a validator of its organisation's chain.
//!
//! The chain and the registrars are those of `dolmen devnet --zero-touch --namespaces`, on whose bridge the machine is.

use std::{
    fs::{self, Permissions},
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use dolmen_image_bundle::SignedManifest;
use dolmen_image_vmtest::{Attachment, Disk, Drive, Machine, Network, Running, Tpm};
use serde_json::Value;

use crate::{
    image::{Image, release_key_pem, signing_key, test_file},
    machines::{STICK, new_box},
    markers::READY,
    web::wait_until,
};

/// The box that is plugged in.
const SERIAL: &str = "VM-0001";
/// Until the devnet's own box votes.
const DEVNET_WITHIN: Duration = Duration::from_mins(5);
/// The machine's end of its cable.
const TAP: &str = "dolmenvm0";

/// `dolmen`, which the tests' profile has built beside them.
fn dolmen() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("DOLMEN_BIN") {
        return Ok(path.into());
    }
    let test = std::env::current_exe()?;
    let path = test.ancestors().nth(2).context("a test is in a profile's folder")?.join("dolmen");
    ensure!(
        path.exists(),
        "there is no {}: build the package dolmen, or name the program with DOLMEN_BIN",
        path.display()
    );
    Ok(path)
}

fn run(program: &Path, arguments: &str) -> Result<String> {
    let output = Command::new(program).args(arguments.split(' ')).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} {arguments}: {said}", program.display());
    Ok(String::from_utf8(output.stdout)?)
}

fn ip(arguments: &str) -> Result<String> {
    run(Path::new("ip"), arguments)
}

/// A process that ends with this.
struct Process(Child);

impl Process {
    /// It is killed with the test, however that ends.
    fn command(program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(program.as_ref());
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // In order, so that it takes its networks away.
        let _ = run(Path::new("kill"), &self.0.id().to_string());
        for _ in 0..200 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A devnet with one box that joined, its network, and a registrar that knows this image.
struct Devnet {
    directory: PathBuf,
    rpc: String,
    // In this order: cable, address server and registrar are in the devnet's network.
    _cable: Cable,
    _addresses: Process,
    _registrar: Process,
    _devnet: Process,
}

struct Cable;

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = ip(&format!("link delete {TAP}"));
    }
}

impl Devnet {
    fn start(directory: &Path, image: &Image, endorsement_key: &str) -> Result<Self> {
        let dolmen = dolmen()?;
        let mut command = Process::command(&dolmen);
        command.args(["devnet", "--zero-touch", "--namespaces", "--boxes", "1", "--dir"]).arg(directory);
        let mut devnet = Process(command.stdout(Stdio::piped()).spawn()?);
        let lines = BufReader::new(devnet.0.stdout.take().context("it is piped")?).lines();
        let begin = Instant::now();
        let mut ready = None;
        for line in lines.map_while(Result::ok) {
            ready = line.strip_prefix("READY ").map(str::to_owned);
            if ready.is_some() || begin.elapsed() > DEVNET_WITHIN {
                break;
            }
        }
        let ready = ready.context("the devnet does not get ready")?;
        let rpc = ready.split(' ').find_map(|word| word.strip_prefix("rpc=")).context("READY names JSON-RPC")?;
        let rpc = rpc.to_owned();
        let address = rpc.trim_start_matches("http://").split(':').next().context("an address")?;
        let network = address.rsplit_once('.').context("an address")?.0.to_owned();

        let namespaces = ip("netns list")?;
        let bridge = namespaces.split_whitespace().find_map(|name| name.strip_suffix("-2")).context("a namespace")?;
        let registrar = restart_registrar(directory, bridge, image, endorsement_key)?;
        let _ = ip(&format!("link delete {TAP}"));
        ip(&format!("tuntap add dev {TAP} mode tap"))?;
        let cable = Cable;
        ip(&format!("link set {TAP} master {bridge} up"))?;
        let mut addresses = Process::command("dnsmasq");
        addresses.args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--bind-interfaces"]);
        addresses.args(["--except-interface=lo", &format!("--interface={bridge}"), "--user=root", "--pid-file="]);
        addresses.arg(format!("--dhcp-range={network}.200,{network}.220,1h"));
        addresses.arg(format!("--dhcp-leasefile={}", directory.join("leases").display()));
        let addresses = Process(addresses.stderr(Stdio::null()).spawn().context("install the package dnsmasq-base")?);
        Ok(Self {
            directory: directory.to_owned(),
            rpc,
            _cable: cable,
            _addresses: addresses,
            _registrar: registrar,
            _devnet: devnet,
        })
    }

    /// The box as alpha's registrar shows it.
    fn known(&self) -> Result<Option<Value>> {
        let registrar = self.directory.join("organisations/alpha/registrar");
        let shown = run(&dolmen()?, &format!("registrar boxes --json --registrar {}", registrar.display()))?;
        let shown: Vec<Value> = serde_json::from_str(&shown)?;
        Ok(shown.into_iter().find(|one| one["serial_number"] == SERIAL))
    }

    /// Whether the box votes: it is among the validators of the epoch that runs.
    fn votes(&self) -> Result<bool> {
        let shown = run(&dolmen()?, &format!("gov boxes --json --rpc {}", self.rpc))?;
        let shown: Vec<Value> = serde_json::from_str(&shown)?;
        Ok(shown.iter().any(|one| one["name"] == SERIAL && one["votes"] == true))
    }
}

/// Alpha's registrar is started again with what it has to know of another maker's boxes and their image.
fn restart_registrar(directory: &Path, bridge: &str, image: &Image, endorsement_key: &str) -> Result<Process> {
    let registrar = directory.join("organisations/alpha/registrar");
    let old = fs::read_dir("/proc")?.flatten().find_map(|process| {
        let id: u32 = process.file_name().to_str()?.parse().ok()?;
        let said = fs::read(process.path().join("cmdline")).ok()?;
        let said = String::from_utf8_lossy(&said).into_owned();
        (said.contains("registrar\0run") && said.contains(registrar.to_str()?)).then_some(id)
    });
    run(Path::new("kill"), &old.context("alpha's registrar runs")?.to_string())?;

    let text = |path: &Path| fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let settings = registrar.join("registrar.toml");
    let makers = text(&directory.join("maker/root.pem"))? + &test_file("masa.pem")?;
    fs::write(registrar.join("makers.pem"), makers)?;
    fs::write(&settings, text(&settings)?.replace("../../../maker/root.pem", "makers.pem"))?;
    let policy = registrar.join("policy.toml");
    fs::write(&policy, text(&policy)?.replace("serials = [", &format!("serials = [\"{SERIAL}\", ")))?;
    let version = image.manifest.version.to_string();
    let appraisal = registrar.join("appraisal.toml");
    let known = text(&appraisal)?;
    let (versions, rest) = known.split_once('\n').context("it begins with versions")?;
    ensure!(versions.starts_with("versions"), "{versions}");
    let asked = format!(
        "versions = [\"{version}\"]\n{rest}\nwithout-certificate = true\n[registered-eks]\n{SERIAL} = \"{endorsement_key}\"\n"
    );
    fs::write(&appraisal, asked)?;
    let images = directory.join("image");
    fs::write(images.join("release.pem"), text(&images.join("release.pem"))? + &release_key_pem()?)?;
    let signed = SignedManifest::sign(image.manifest.clone(), &signing_key()?)?;
    // The devnet's own has the same version, and is of no image.
    fs::write(images.join("dolmen.json"), signed.json())?;
    fs::write(images.join("dolmen.json.sig"), signed.signature())?;

    let log = fs::OpenOptions::new().append(true).open(registrar.join("log"))?;
    let mut command = Process::command("ip");
    command.args(["netns", "exec", &format!("{bridge}-2")]).arg(dolmen()?);
    command.args(["registrar", "run", "--registrar"]).arg(&registrar);
    Ok(Process(command.stdout(log.try_clone()?).stderr(log).spawn()?))
}

/// The factory: the TPM gets an identity and its certificate, and the box is sold.
fn make(tpm: &mut Tpm, directory: &Path) -> Result<String> {
    let dolmen = dolmen()?;
    let maker = directory.join("test-maker");
    for file in [
        "journal",
        "root.pem",
        "keys/maker-boxes.key",
        "keys/maker-root.key",
        "keys/maker-vouchers.key",
        "keys/passphrase",
    ] {
        let path = maker.join(file);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(&path, test_file(&format!("maker/{file}"))?)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    }
    let name = |file: &str| directory.join(file).display().to_string();
    let (birth, certificate, maker) = (name("birth.json"), name("idevid.pem"), maker.display().to_string());
    let mut idevid = |arguments: &[&str]| {
        let program = dolmen.to_str().context("a path")?;
        let keys = name("factory-keys");
        let all = [&["keys", "idevid", "--dir", &keys], arguments].concat();
        tpm.tool(program, &all)?.map_err(anyhow::Error::msg)
    };
    idevid(&["--birth", &birth, "--serial", SERIAL])?;
    run(&dolmen, &format!("masa certify {birth} --out {certificate} --maker {maker}"))?;
    idevid(&["--install", &certificate])?;
    let birth: Value = serde_json::from_slice(&fs::read(&birth)?)?;
    let key = birth.as_object().and_then(|birth| birth.iter().find(|(name, _)| name.contains("endorsement")));
    Ok(key.and_then(|(_, key)| key.as_str()).context("the birth names the endorsement key")?.to_owned())
}

fn sell(devnet: &Devnet) -> Result<()> {
    let at = |path: &str| devnet.directory.join(path).display().to_string();
    let (root, vouchers) = (at("organisations/alpha/ca/root.pem"), at("vouchers"));
    run(&dolmen()?, &format!("masa sell {SERIAL} --to {root} --out {vouchers} --maker {}", at("test-maker")))?;
    let import =
        format!("registrar import {vouchers}/{SERIAL}.vcj --registrar {}", at("organisations/alpha/registrar"));
    let begin = Instant::now();
    loop {
        match run(&dolmen()?, &import) {
            Err(error) if begin.elapsed() > Duration::from_secs(60) => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
            Ok(_) => return Ok(()),
        }
    }
}

/// From power-on to the first vote, with nobody at the keyboard.
#[test]
#[ignore = "boots the image: make test-boot"]
fn a_box_joins_at_its_first_power_on() -> Result<()> {
    let image = Image::find()?;
    let directory = tempfile::tempdir()?;
    let mut tpm = Tpm::new()?;
    let endorsement_key = make(&mut tpm, directory.path())?;
    let devnet = Devnet::start(directory.path(), &image, &endorsement_key)?;
    sell(&devnet)?;

    let mut machine: Machine = new_box("join", &image)?.tpm(tpm).network(Network::tap(TAP));
    let mut running = machine.start()?;
    running.wait_for(READY)?;
    let mut times = running.timings().to_string();
    let mut tell = |running: &Running<'_>, what: &str| {
        let (wall, processor) = (running.uptime().as_secs_f64(), running.processor_time().as_secs_f64());
        times += &format!("{wall:8.1}  {processor:8.1}  {what}\n");
    };
    wait_until(&mut running, "its registrar", || devnet.known())?;
    tell(&running, "it asks its registrar");
    let certified = || Ok(devnet.known()?.filter(|one| one["certificate_until"].is_string()));
    wait_until(&mut running, "its certificate", certified)?;
    tell(&running, "it has its certificate");
    let on_chain = |wanted: &'static [&'static str]| {
        let devnet = &devnet;
        move || Ok(devnet.known()?.filter(|one| wanted.iter().any(|role| one["chain"] == *role)))
    };
    wait_until(&mut running, "its admission", on_chain(&["follower", "validator"]))?;
    tell(&running, "the chain has admitted it");
    wait_until(&mut running, "its promotion", on_chain(&["validator"]))?;
    tell(&running, "it has the chain, and is to vote");
    wait_until(&mut running, "its first vote", || Ok(devnet.votes()?.then_some(())))?;
    tell(&running, "it votes");
    eprintln!("from power-on\n{times}");
    Ok(())
}

/// Where nothing answers on the network, a stick that is in is written to: a letter by the box's first certificate.
#[test]
#[ignore = "boots the image: make test-boot"]
fn a_box_without_a_registrar_writes_a_letter() -> Result<()> {
    let image = Image::find()?;
    let directory = tempfile::tempdir()?;
    let mut tpm = Tpm::new()?;
    make(&mut tpm, directory.path())?;
    let mut machine = new_box("letter", &image)?.tpm(tpm).network(Network::new());
    machine.insert(Drive::new(STICK, Disk::copy_of(image.stick())?, Attachment::Usb), false);
    let mut running = machine.start()?;
    running.wait_for(READY)?;
    let path = running.disk(STICK)?.path().to_owned();
    let letter = wait_until(&mut running, "letter", || {
        // The machine writes to the disk itself.
        let letter = Disk::copy_of(&path)?.esp()?.read(&format!("dolmen/{SERIAL}/letter-1.cms"));
        Ok(letter.ok().filter(|letter| !letter.is_empty()))
    })?;
    eprintln!("from power-on\n{}{:8.1}  the letter is on the stick", running.timings(), running.uptime().as_secs_f64());
    let file = directory.path().join("letter.cms");
    fs::write(&file, letter)?;
    let verify = format!("cms -verify -noverify -binary -inform DER -in {}", file.display());
    let said: Value = serde_json::from_str(&run(Path::new("openssl"), &verify)?)?;
    assert_eq!(said["body"]["serial_number"], SERIAL, "{said}");
    Ok(())
}
