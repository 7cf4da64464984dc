//! A chain whose boxes are this test's own children, to be killed and started again.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::Write as _,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    BOXES, BoxInfo, Chain, EPOCH_BLOCKS, Load, PATIENCE, check_receipts, check_same_blocks, check_state, dolmen,
    ports::{quiet_port, quiet_ports},
    process, wait_for,
};

/// Makes the key that a box looks for in this directory; returns its public half.
fn make_key(dir: &Path) -> String {
    let create = ["keys", "create", "soft:consensus", "--algorithm", "ed25519", "--for", "vote,transport", "--json"];
    let made = process::run(Command::new(dolmen()).args(create).arg("--dir").arg(dir), PATIENCE);
    assert!(made.status.success(), "`dolmen keys create` failed: {}", made.output);
    let made: Value = serde_json::from_str(&made.output).expect("JSON");
    made[0]["public_key"].as_str().expect("a public key is text").to_owned()
}

/// Boxes of one chain. Dropping it kills those that run.
pub struct Cluster {
    /// Where the boxes are.
    pub chain: Chain,
    children: Vec<Option<Child>>,
    /// What each box is started through, see [`Self::start_through`].
    wrappers: Vec<Vec<String>>,
    /// The processes that were started here and not seen to end: the number of one that ended may be another's.
    started: Vec<u32>,
    // Last, so that the directory outlives the boxes that write to it.
    dir: TempDir,
}

impl Cluster {
    /// Creates a chain and starts its boxes; returns when all have finalized a block.
    pub fn start(boxes: usize) -> Self {
        let mut cluster = Self::prepare(boxes);
        (0..boxes).for_each(|index| cluster.spawn(index));
        cluster.wait_for_height(1);
        cluster
    }

    /// Creates a chain without starting anything.
    pub fn prepare(boxes: usize) -> Self {
        Self::prepare_with(boxes, &["--epoch-blocks", &EPOCH_BLOCKS.to_string()])
    }

    /// The same with more options of `dolmen devnet`.
    pub fn prepare_with(boxes: usize, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        prepare(dir.path(), boxes, options);
        let chain = Chain::read(dir.path());
        let children = (0..boxes).map(|_| None).collect();
        Self { chain, children, wrappers: vec![Vec::new(); boxes], started: Vec::new(), dir }
    }

    /// The chain's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Adds a box that the genesis file does not name, before any box runs; returns its index. It and the validators
    /// list each other as peers, since a box talks to those alone that it lists or that the chain has admitted. `from` is where it begins:
    /// `sync.from`.
    pub fn add_follower(&mut self, from: &str) -> usize {
        assert!(self.children.iter().all(Option::is_none), "boxes read their settings when they start");
        let (index, key) = self.make_box("follower", from);
        let genesis = fs::read(&self.chain.genesis).expect("the genesis file can be read");
        let genesis: Value = serde_json::from_slice(&genesis).expect("the genesis file is JSON");
        let validators = genesis["validators"].as_array().expect("the genesis file names the validators");
        let own = self.chain.boxes[index].p2p_address();
        for (other, validator) in validators.iter().enumerate() {
            let validator = validator["public_key"].as_str().expect("a public key is text");
            self.list(index, validator, self.chain.boxes[other].p2p_address());
            self.list(other, &key, own);
        }
        index
    }

    /// Adds a box with a key of its own that no other box knows of yet, nor it of them but by the chain; returns its
    /// index.
    pub fn add_box(&mut self, name: &str) -> usize {
        self.make_box(name, "snapshot").0
    }

    /// Writes the files of another box; returns its index and public key.
    fn make_box(&mut self, name: &str, from: &str) -> (usize, String) {
        // All bound at once, so that they differ.
        let ports = [(); 3].map(|()| quiet_port());
        let addresses = ports.each_ref().map(|port| port.local_addr().expect("it is bound"));
        drop(ports);
        let (own, key) = write_box(self.dir.path(), name, from, addresses);
        self.chain.boxes.push(own);
        self.children.push(None);
        self.wrappers.push(Vec::new());
        (self.children.len() - 1, key)
    }

    /// Removes a box that does not run, with all its files, and makes one with a key of its own in its place, at the
    /// same addresses. As with [`Self::add_box`], nobody knows of it yet.
    pub fn replace_box(&mut self, index: usize, name: &str) {
        assert!(self.children[index].is_none(), "box {index} runs still");
        let old = &self.chain.boxes[index];
        let addresses = [old.rpc_address(), old.admin_address(), old.p2p_address()];
        fs::remove_dir_all(old.dir()).expect("the directory of a box that is gone can be removed");
        self.chain.boxes[index] = write_box(self.dir.path(), name, "snapshot", addresses).0;
    }

    /// Has a box list another one as its peer, which it reads when it starts.
    pub fn list(&self, index: usize, public_key: &str, address: SocketAddr) {
        let config = &self.chain.boxes[index].config;
        let mut config = OpenOptions::new().append(true).open(config).expect("box.toml can be written");
        let peer = format!("[[p2p.peers]]\npublic_key = \"{public_key}\"\naddress = \"{address}\"\n");
        config.write_all(peer.as_bytes()).expect("box.toml has room");
    }

    /// The key of a box.
    pub fn public_key(&self, index: usize) -> String {
        let show = ["keys", "show", "soft:consensus", "--json", "--dir"];
        let keys = self.chain.boxes[index].dir().join("keys");
        let shown = process::run(Command::new(dolmen()).args(show).arg(keys), PATIENCE);
        assert!(shown.status.success(), "`dolmen keys show` failed: {}", shown.output);
        let shown: Value = serde_json::from_str(&shown.output).expect("JSON");
        shown[0]["public_key"].as_str().expect("a public key is text").to_owned()
    }

    /// One box.
    pub fn node(&self, index: usize) -> &BoxInfo {
        &self.chain.boxes[index]
    }

    /// The process of a box that runs.
    pub fn pid(&self, index: usize) -> Option<u32> {
        self.children[index].as_ref().map(Child::id)
    }

    /// Starts a box from now on through other programs, given with their arguments, that become it by `exec`.
    pub fn start_through(&mut self, index: usize, wrapper: Vec<String>) {
        self.wrappers[index] = wrapper;
    }

    /// Starts a box that does not run; returns without waiting for it.
    pub fn spawn(&mut self, index: usize) {
        assert!(self.children[index].is_none(), "box {index} runs already");
        let own = &self.chain.boxes[index];
        let log = OpenOptions::new().create(true).append(true).open(own.log()).expect("the log can be written");
        let mut words = self.wrappers[index].iter().map(OsString::from).chain([dolmen().into_os_string()]);
        let mut command = Command::new(words.next().expect("the last word is dolmen"));
        command.args(words);
        // Standard input is a pipe from this test: however the test ends, the box ends too.
        // Whatever checks a box's signatures, it must agree with the others.
        let accel = ["cpu", "off", "cpu-portable"][index % 3];
        command.args(["run", "--stop-on-stdin-eof", "--accel", accel, "--config"]).arg(&own.config);
        command.stdin(Stdio::piped());
        command.stdout(log.try_clone().expect("a file can be shared")).stderr(log);
        let child = command.spawn().expect("dolmen starts");
        self.started.push(child.id());
        self.children[index] = Some(child);
    }

    /// Starts a box that does not run and waits until it answers.
    pub fn restart(&mut self, index: usize) {
        self.spawn(index);
        let own = self.chain.boxes[index].clone();
        wait_for(&format!("{} to answer", own.name), PATIENCE, || {
            self.assert_running();
            own.height()
        });
    }

    /// Waits until a box ends by itself, and returns how.
    pub fn wait_for_end(&mut self, index: usize) -> ExitStatus {
        let child = self.children[index].take().unwrap_or_else(|| panic!("box {index} does not run"));
        self.wait(child).unwrap_or_else(|| panic!("box {index} did not end within {PATIENCE:?}"))
    }

    /// How a process that is to end has ended; it is killed where it takes too long.
    fn wait(&mut self, mut child: Child) -> Option<ExitStatus> {
        let status = process::wait(&mut child, PATIENCE);
        if status.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.started.retain(|pid| *pid != child.id());
        status
    }

    /// Ends a box with SIGKILL: it can neither finish a write nor tell its peers.
    pub fn kill9(&mut self, index: usize) {
        let mut child = self.children[index].take().unwrap_or_else(|| panic!("box {index} does not run"));
        child.kill().expect("a child can be killed");
        child.wait().expect("a killed child ends");
        self.started.retain(|pid| *pid != child.id());
    }

    /// Stops a box in order with SIGTERM; it must end with success.
    pub fn stop(&mut self, index: usize) {
        let child = self.children[index].take().unwrap_or_else(|| panic!("box {index} does not run"));
        process::send(child.id(), Signal::SIGTERM);
        let status = self.wait(child);
        let success = status.is_some_and(|status| status.success());
        assert!(success, "box {index} ended with {status:?} on SIGTERM (None: not within {PATIENCE:?})");
    }

    /// Stops every box that runs.
    pub fn stop_all(&mut self) {
        for index in 0..self.children.len() {
            if self.children[index].is_some() {
                self.stop(index);
            }
        }
    }

    /// Ends a load and the boxes, all of which run: they agree, on everything that was confirmed too.
    pub fn finish(&mut self, load: Load) {
        load.wait_for_more(50, PATIENCE);
        let acknowledged = load.finish(PATIENCE);
        self.wait_for_progress(1);
        let (boxes, height) = (&self.chain.boxes, self.heights().0);
        check_receipts(boxes, &acknowledged);
        check_same_blocks(boxes, 0..=height);
        check_state(boxes, height, &self.chain.accounts[..BOXES]);
        self.stop_all();
    }

    /// Fails the test where a box that should run has ended by itself.
    pub fn assert_running(&mut self) {
        for (own, child) in self.chain.boxes.iter().zip(&mut self.children) {
            let ended = child.as_mut().and_then(|child| child.try_wait().expect("a child can be waited for"));
            assert!(ended.is_none(), "{} ended by itself: {ended:?}", own.name);
        }
    }

    /// The lowest and the highest finalized height among the boxes that run.
    pub fn heights(&self) -> (u64, u64) {
        let running = self.chain.boxes.iter().zip(&self.children).filter(|(_, child)| child.is_some());
        let heights: Vec<u64> = running.map(|(own, _)| own.height().unwrap_or(0)).collect();
        (heights.iter().copied().min().unwrap_or(0), heights.iter().copied().max().unwrap_or(0))
    }

    /// Waits until every box that runs has finalized a height.
    pub fn wait_for_height(&mut self, height: u64) {
        wait_for(&format!("every running box to reach block {height}"), PATIENCE, || {
            self.assert_running();
            (self.heights().0 >= height).then_some(())
        });
    }

    /// Waits until every box that runs has everything that any of them had finalized at the call, and `more` blocks.
    pub fn wait_for_progress(&mut self, more: u64) {
        let target = self.heights().1 + more;
        self.wait_for_height(target);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            self.chain.print_logs();
        }
        for child in self.children.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let left = process::kill_left(&self.started);
        assert!(left.is_empty() || thread::panicking(), "boxes {left:?} outlived their chain");
    }
}

/// Writes the files of another box, which listens for JSON-RPC, administrators and other boxes; returns it and its
/// public key.
fn write_box(chain: &Path, name: &str, from: &str, [rpc, admin, p2p]: [SocketAddr; 3]) -> (BoxInfo, String) {
    let dir = chain.join(name);
    fs::create_dir(&dir).expect("a directory can be made");
    let key = make_key(&dir.join("keys"));
    let settings = format!(
        "name = \"{name}\"\ngenesis = \"../genesis.json\"\ndata_dir = \"data\"\n[sync]\nfrom = \"{from}\"\n\
         [rpc]\nlisten = \"{rpc}\"\n[admin]\nlisten = \"{admin}\"\n[p2p]\nlisten = \"{p2p}\"\n"
    );
    let config = dir.join("box.toml");
    fs::write(&config, settings).expect("box.toml can be written");
    let own = BoxInfo {
        name: name.to_owned(),
        rpc: format!("http://{rpc}"),
        ws: format!("ws://{rpc}"),
        metrics: format!("https://{admin}/metrics"),
        ui: format!("https://{admin}/"),
        certificate: dir.join("keys/tls.pem"),
        token: dir.join("local-token"),
        claim_code: dir.join("claim-code"),
        config,
        pid: None,
    };
    (own, key)
}

/// Writes the files of a new chain on free ports.
fn prepare(dir: &Path, boxes: usize, options: &[&str]) {
    let (base_port, boxes) = (quiet_ports(boxes).to_string(), boxes.to_string());
    let mut command = Command::new(dolmen());
    command.args(["devnet", "--prepare", "--base-port", &base_port, "--boxes", &boxes, "--dir"]).arg(dir);
    command.args(options);
    let prepared = process::run(&mut command, PATIENCE);
    assert!(prepared.status.success(), "`dolmen devnet --prepare` failed: {}", prepared.output);
}
