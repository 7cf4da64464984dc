//! A box's screen: what `dolmen console` shows on a terminal.

use std::{
    fs::File,
    io::Read as _,
    path::Path,
    process::Stdio,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use nix::{pty::openpty, unistd::ttyname};

use crate::{PATIENCE, dolmen, process};

/// Waits until the screen of the box in a directory shows a text; what it showed instead where it never does.
pub fn shows(dir: &Path, text: &str) -> Result<(), String> {
    let terminal = openpty(None, None).expect("a terminal");
    let name = ttyname(&terminal.slave).expect("it has a name");
    let mut command = process::command(dolmen());
    command.args(["console", "--dir"]).arg(dir).arg("--tty").arg(&name);
    let mut console = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("dolmen starts");
    let (sender, pieces) = mpsc::channel();
    let mut screen = File::from(terminal.master);
    thread::spawn(move || {
        let mut piece = [0; 4096];
        // Ends when nobody has the terminal open any more.
        while let Ok(count @ 1..) = screen.read(&mut piece) {
            if sender.send(piece[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    let (mut seen, end) = (vt100::Parser::default(), Instant::now() + PATIENCE);
    let is_there = |seen: &vt100::Parser| plain(&seen.screen().contents()).contains(&plain(text));
    while !is_there(&seen) && Instant::now() < end {
        match pieces.recv_timeout(Duration::from_millis(100)) {
            Ok(piece) => seen.process(&piece),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    let _ = console.kill();
    let _ = console.wait();
    drop(terminal.slave);
    if is_there(&seen) { Ok(()) } else { Err(seen.screen().contents()) }
}

/// The letters and digits of a text, which lines may break.
fn plain(text: &str) -> String {
    text.chars().filter(|character| character.is_alphanumeric()).collect()
}
