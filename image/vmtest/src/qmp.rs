//! QEMU's control socket: one JSON object per line (QEMU's `docs/interop/qmp-spec`).

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    limits::{QMP_WAIT_MAX, START_WAIT_MAX},
    process::{POLL, Process},
};

/// A connection to a QEMU.
pub(crate) struct Qmp {
    stream: BufReader<UnixStream>,
    /// What it told without being asked.
    events: Vec<Value>,
}

impl Qmp {
    /// Connects to a QEMU that has just been started. `None` where it does not listen in time, or ends.
    pub(crate) fn connect(socket: &Path, qemu: &mut Process) -> Option<Self> {
        let begin = Instant::now();
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(_) if qemu.ended().is_some() || begin.elapsed() > START_WAIT_MAX => return None,
                Err(_) => thread::sleep(POLL),
            }
        };
        stream.set_read_timeout(Some(QMP_WAIT_MAX)).ok()?;
        let mut qmp = Self { stream: BufReader::new(stream), events: Vec::new() };
        // Its greeting; then it wants to be asked for what it can.
        qmp.read().ok()?;
        qmp.execute("qmp_capabilities", json!({})).ok()?;
        Some(qmp)
    }

    /// Has a command executed; its answer, or why there is none.
    pub(crate) fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, String> {
        let line = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        self.stream.get_mut().write_all(line.as_bytes()).map_err(|error| error.to_string())?;
        loop {
            let mut answer = self.read().map_err(|error| error.to_string())?;
            if let Some(error) = answer.get("error") {
                let text = error.get("desc").and_then(Value::as_str).unwrap_or("it gave no reason");
                return Err(text.to_owned());
            }
            match answer.get_mut("return") {
                Some(value) => return Ok(value.take()),
                None => self.events.push(answer),
            }
        }
    }

    /// Waits for an event that `wanted` knows, from the beginning on; each is found once.
    pub(crate) fn wait(
        &mut self,
        within: Duration,
        mut wanted: impl FnMut(&str, &Value) -> bool,
    ) -> Result<(), String> {
        let begin = Instant::now();
        loop {
            let known = self.events.iter().position(|event| {
                let name = event.get("event").and_then(Value::as_str).unwrap_or_default();
                wanted(name, event.get("data").unwrap_or(&Value::Null))
            });
            if let Some(known) = known {
                self.events.remove(known);
                return Ok(());
            }
            if begin.elapsed() > within {
                return Err(format!("no event told of it within {within:?}"));
            }
            let event = self.read().map_err(|error| error.to_string())?;
            self.events.push(event);
        }
    }

    fn read(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection"));
        }
        serde_json::from_str(&line).map_err(io::Error::from)
    }
}
