//! Beginning again: a box that ends in order and starts anew, as the same process, where somebody asked for it.

use std::{env, os::unix::process::CommandExt as _, process::Command, sync::Arc};

use tokio::sync::Notify;

/// The program that runs, also where another file has its name by now.
const PROGRAM: &str = "/proc/self/exe";

/// Asks a box to begin again.
#[derive(Clone, Default)]
pub(crate) struct Restart(Arc<Notify>);

impl Restart {
    /// Asks; once is enough.
    pub(crate) fn ask(&self) {
        self.0.notify_one();
    }

    /// Returns when somebody has asked.
    pub(crate) async fn asked(&self) {
        self.0.notified().await;
    }
}

/// How a box ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was told to.
    Stopped,
    /// It is to begin again.
    Again,
}

/// Starts this program in its own place, with the arguments that it had: who watches the process goes on to. Comes back
/// only with an error.
pub(crate) fn begin_again() -> anyhow::Error {
    let mut arguments = env::args_os();
    let mut program = Command::new(PROGRAM);
    if let Some(name) = arguments.next() {
        program.arg0(name);
    }
    let error = program.args(arguments).exec();
    anyhow::Error::new(error).context("the program cannot be started again; start the box by hand")
}
