//! Runs the image in a virtual machine until Ctrl-C: `make boot`.
//!
//! It is a box of one's own: its disk, its TPM and its firmware's variables stay in a directory, so that the next start
//! finds its data. What the console shows comes to standard output, line by line, and a line that is typed goes to it.

use std::{
    fs,
    io::{self, BufRead as _, ErrorKind, Write as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Parser;
use dolmen_image_vmtest::{
    Accelerator, Attachment, Disk, Drive, Firmware, Keys, Machine, Network, Running, Tpm, VmError,
};
use nix::sys::signal::{SigSet, Signal};

/// How often the console is looked at for new lines.
const TICK: Duration = Duration::from_millis(100);
/// How long a box may take to shut down.
const SHUTDOWN_MAX: Duration = Duration::from_mins(2);

/// Run the image in a virtual machine until Ctrl-C.
#[derive(Parser)]
#[command(name = "dolmen-vm", version)]
struct Arguments {
    /// The image of a box.
    #[arg(long, default_value = "out/image/dolmen.img")]
    image: PathBuf,
    /// Where the machine's disk, TPM and firmware variables are kept.
    #[arg(long, default_value = "out/vm")]
    dir: PathBuf,
    /// Begin anew: another box, without data.
    #[arg(long)]
    fresh: bool,
    /// Start from this stick, in a port of USB.
    #[arg(long)]
    stick: Option<PathBuf>,
    /// Gigabytes of the disk. It is never made smaller.
    #[arg(long, default_value_t = 8)]
    disk_gb: u64,
    /// Memory.
    #[arg(long, default_value_t = 2048)]
    memory_mib: u32,
    /// Processors.
    #[arg(long, default_value_t = 2)]
    processors: u32,
    /// The port here for the box's web page; 0 for a free one.
    #[arg(long, default_value_t = 0)]
    web_port: u16,
    /// The port here for the box's Ethereum interface; 0 for a free one.
    #[arg(long, default_value_t = 0)]
    rpc_port: u16,
    /// The box's own port of the web page.
    #[arg(long, default_value_t = 443)]
    guest_web_port: u16,
    /// The box's own port of the Ethereum interface.
    #[arg(long, default_value_t = 8545)]
    guest_rpc_port: u16,
}

fn main() -> anyhow::Result<()> {
    let interrupts = interrupts()?;
    let arguments = Arguments::parse();
    let mut machine = machine(&arguments)?;
    let accelerator = Accelerator::choose()?;
    say(&format!("{} under {accelerator:?}; end with Ctrl-C", arguments.image.display()));
    let mut running = machine.start()?;
    say(&format!("web page  https://127.0.0.1:{}", running.port(arguments.guest_web_port)?));
    say(&format!("Ethereum  http://127.0.0.1:{}", running.port(arguments.guest_rpc_port)?));
    say(&format!("the box's disk, TPM and firmware variables are in {}", arguments.dir.display()));
    let typed = typed();
    show(&mut running, &typed, &interrupts, 1, None)?;
    if running.is_on() {
        say("asking the box to shut down; Ctrl-C once more cuts its power");
        running.press_power_button()?;
        show(&mut running, &typed, &interrupts, 2, Some(Instant::now() + SHUTDOWN_MAX))?;
    }
    say(if running.is_on() { "its power is cut" } else { "the box is off" });
    drop(running);
    // Nothing went wrong: somebody switched it off.
    machine.discard_artefacts();
    Ok(())
}

/// Counts Ctrl-C and its like instead of dying of them.
fn interrupts() -> anyhow::Result<Arc<AtomicU32>> {
    let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    // Threads have the mask of the one that starts them; programs begin with an empty one.
    signals.thread_block().context("cannot block signals")?;
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        while signals.wait().is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok(count)
}

fn machine(arguments: &Arguments) -> anyhow::Result<Machine> {
    let Arguments { image, dir, .. } = arguments;
    let [disk, tpm, firmware] = ["disk.img", "tpm", "firmware.fd"].map(|name| dir.join(name));
    if arguments.fresh {
        // These alone: the directory may be anybody's.
        for (path, removed) in
            [(&disk, fs::remove_file(&disk)), (&firmware, fs::remove_file(&firmware)), (&tpm, fs::remove_dir_all(&tpm))]
        {
            match removed {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                removed => removed.with_context(|| format!("cannot remove {}", path.display()))?,
            }
        }
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let mut disk = Disk::kept_copy_of(image, disk).context("build the image first: make image")?;
    let bytes = arguments.disk_gb.saturating_mul(1_000_000_000).next_multiple_of(1 << 20);
    if disk.bytes()? < bytes {
        disk.resize(bytes)?;
    }
    let network = Network::new()
        .open()
        .forward_from(arguments.guest_web_port, arguments.web_port)
        .forward_from(arguments.guest_rpc_port, arguments.rpc_port);
    let mut machine = Machine::new("dolmen-vm", Firmware::kept(firmware, &Keys::test()?)?)?
        .tpm(Tpm::kept(tpm)?)
        .drive(Drive::new("box", disk, Attachment::Virtio))
        .network(network)
        .memory_mib(arguments.memory_mib)
        .processors(arguments.processors);
    if let Some(stick) = &arguments.stick {
        // The installer writes logs to it; the image stays as it is.
        machine.insert(Drive::new("stick", Disk::copy_of(stick)?, Attachment::Usb), true);
    }
    Ok(machine)
}

/// Shows the console and passes on what is typed, until the machine is off, the time is over, or there were so many
/// interrupts.
fn show(
    running: &mut Running<'_>,
    typed: &mpsc::Receiver<String>,
    interrupts: &AtomicU32,
    enough: u32,
    deadline: Option<Instant>,
) -> anyhow::Result<()> {
    loop {
        if interrupts.load(Ordering::Relaxed) >= enough || deadline.is_some_and(|deadline| Instant::now() > deadline) {
            return Ok(());
        }
        for line in typed.try_iter() {
            running.send(&format!("{line}\r"))?;
        }
        match running.next_line(TICK) {
            Ok(Some(line)) => say(&line),
            Ok(None) => {}
            Err(VmError::Ended { status, .. }) if status.success() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Lines from standard input.
fn typed() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = io::stdin().lock().lines();
        while let Some(Ok(line)) = lines.next() {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn say(line: &str) {
    // Whoever closed standard output does not want to read it.
    let _ = writeln!(io::stdout(), "{line}");
}
