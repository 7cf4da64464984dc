//! One opened device per library and process, and how it comes back after a fault.
//!
//! Libraries keep their device and its sessions in global variables, and most open it once. So all stores of a process
//! share it, and it is only opened again when all its sessions and then itself are closed. It is open while somebody
//! uses it: an open key, or a call on a store.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError},
    },
};

use dolmen_hsm_api::KeyError;
use futures::channel::oneshot;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::{
    Device, Library, Session,
    access::Refused,
    failure::{Failure, classify},
    limits::QUEUE_MAX,
    queue::{self, Job},
};

/// By the library's real path. None is ever taken out: libraries are not unloaded, and what was refused is remembered.
static DRIVERS: Mutex<BTreeMap<PathBuf, Arc<Driver>>> = Mutex::new(BTreeMap::new());

/// A library and its one device.
pub(crate) struct Driver {
    name: String,
    library: Arc<Library>,
    state: Mutex<State>,
    changed: Condvar,
    pub(crate) refused: Mutex<Refused>,
}

#[derive(Default)]
struct State {
    users: usize,
    jobs: Option<SyncSender<Job>>,
    sessions_max: usize,
    device: Option<Arc<Device>>,
    /// Counts how often the device was closed: what belongs to an earlier one is not used any more.
    generation: u64,
    idle: Vec<Pooled>,
    taken: usize,
    /// Somebody waits for the taken sessions, to close the device.
    closing: bool,
}

/// A session, and the keys that it may sign with.
pub(crate) struct Pooled {
    pub(crate) session: Session,
    generation: u64,
    rights: BTreeMap<u32, [u8; 64]>,
}

impl Pooled {
    /// Notes that the session has the right to use a key, whose public half it gave.
    pub(crate) fn add_right(&mut self, index: u32, public_key: [u8; 64]) {
        self.rights.insert(index, public_key);
    }

    /// Whether the session has the right to use this key.
    pub(crate) fn has_right(&self, index: u32, public_key: &[u8; 64]) -> bool {
        self.rights.get(&index) == Some(public_key)
    }
}

/// A session on loan.
struct Taken<'a> {
    driver: &'a Driver,
    pooled: Option<Pooled>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut state = self.driver.state.lock();
        let current = state.generation;
        state.idle.extend(self.pooled.take().filter(|pooled| pooled.generation == current));
        state.taken -= 1;
        self.driver.changed.notify_all();
    }
}

/// A failure, and the generation of the device that it happened on.
type Failed = (Failure, u64);

impl Driver {
    fn of(path: &Path) -> Result<Arc<Self>, KeyError> {
        let name = format!("the SDF device of {}", path.display());
        let absent = |reason: String| KeyError::Absent { device: name.clone(), reason };
        let real = path.canonicalize().map_err(|error| absent(error.to_string()))?;
        let mut drivers = DRIVERS.lock();
        if let Some(driver) = drivers.get(&real) {
            return Ok(Arc::clone(driver));
        }
        let library = Library::load(&real).map_err(|error| absent(error.to_string()))?;
        let driver = Arc::new(Self {
            name,
            library,
            state: Mutex::default(),
            changed: Condvar::new(),
            refused: Mutex::new(Refused::new()),
        });
        drivers.insert(real, Arc::clone(&driver));
        Ok(driver)
    }

    /// How messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs something on a session. If it fails so that another session may do, the device is closed and opened again,
    /// and it is run once more. Blocks.
    pub(crate) fn run<T>(&self, attempt: impl Fn(&mut Pooled) -> Result<T, Failure>) -> Result<T, KeyError> {
        let (first, generation) = match self.once(&attempt) {
            Ok(done) => return Ok(done),
            Err((Failure::Final(error), _)) => return Err(error),
            Err((Failure::Session(error), generation)) => (error, generation),
        };
        tracing::warn!(device = %self.name, error = %first, "the device is opened again");
        self.close(generation);
        self.once(&attempt).map_err(|(failure, generation)| match failure {
            Failure::Final(error) => error,
            Failure::Session(error) => {
                // The next one begins afresh.
                self.close(generation);
                error
            }
        })
    }

    fn once<T>(&self, attempt: &impl Fn(&mut Pooled) -> Result<T, Failure>) -> Result<T, Failed> {
        let mut taken = self.take()?;
        let pooled = taken.pooled.as_mut().expect("a session is taken until it is dropped");
        let generation = pooled.generation;
        attempt(pooled).map_err(|failure| (failure, generation))
    }

    /// Takes a session, opens another where there may be more, or waits for one.
    fn take(&self) -> Result<Taken<'_>, Failed> {
        let mut state = self.state.lock();
        while state.closing || (state.idle.is_empty() && state.taken >= state.sessions_max) {
            self.changed.wait(&mut state);
        }
        let pooled = match state.idle.pop() {
            Some(pooled) => pooled,
            None => self.open_session(&mut state)?,
        };
        state.taken += 1;
        Ok(Taken { driver: self, pooled: Some(pooled) })
    }

    fn open_session(&self, state: &mut State) -> Result<Pooled, Failed> {
        let generation = state.generation;
        let device = match &state.device {
            Some(device) => Arc::clone(device),
            None => {
                // Nothing of ours is open that could be in the way: at once it would fail again.
                let absent = |reason: String| KeyError::Absent { device: self.name.clone(), reason };
                let opened = Device::open(&self.library);
                let device = opened.map_err(|error| (Failure::Final(absent(error.to_string())), generation))?;
                state.device = Some(Arc::clone(&device));
                device
            }
        };
        let session = Session::open(&device)
            .map_err(|error| (classify(&self.name, None, "open a session", &error), generation))?;
        Ok(Pooled { session, generation, rights: BTreeMap::new() })
    }

    /// Closes the sessions and the device of a generation, unless somebody else did.
    fn close(&self, generation: u64) {
        let mut state = self.state.lock();
        while state.closing {
            self.changed.wait(&mut state);
        }
        if state.generation == generation {
            self.close_all(&mut state);
        }
    }

    fn close_all(&self, state: &mut MutexGuard<'_, State>) {
        state.closing = true;
        state.generation += 1;
        state.idle.clear();
        while state.taken > 0 {
            self.changed.wait(state);
        }
        state.device = None;
        state.closing = false;
        self.changed.notify_all();
    }

    /// Adds a user. The first one says how many sessions there may be.
    fn attach(&self, sessions_max: usize) -> Result<SyncSender<Job>, KeyError> {
        let mut state = self.state.lock();
        let jobs = match &state.jobs {
            Some(jobs) => jobs.clone(),
            None => {
                let sessions_max = sessions_max.max(1);
                let jobs = queue::start(sessions_max).map_err(|error| KeyError::Device {
                    device: self.name.clone(),
                    operation: "have threads of its own",
                    reason: error.to_string(),
                })?;
                state.sessions_max = sessions_max;
                state.jobs = Some(jobs.clone());
                jobs
            }
        };
        state.users += 1;
        Ok(jobs)
    }

    /// Takes a user away, and closes the device after the last.
    fn detach(&self) {
        let mut state = self.state.lock();
        state.users -= 1;
        if state.users == 0 {
            state.jobs = None;
            self.close_all(&mut state);
        }
    }
}

/// A use of a driver; its device is open as long as there is one.
pub(crate) struct Connection {
    driver: Arc<Driver>,
    jobs: SyncSender<Job>,
}

impl Connection {
    /// Loads the library where that was not done yet.
    pub(crate) fn open(path: &Path, sessions_max: usize) -> Result<Self, KeyError> {
        let driver = Driver::of(path)?;
        let jobs = driver.attach(sessions_max)?;
        Ok(Self { driver, jobs })
    }

    pub(crate) fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Has a thread do something that blocks, and gives the channel that its result comes through. What nobody waits
    /// for any more when its turn comes is not done.
    pub(crate) fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, KeyError> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move || {
            if !reply.is_canceled() {
                // Whoever asked may have gone in the meantime.
                let _ = reply.send(work());
            }
        });
        self.jobs.try_send(job).map_err(|error| {
            self.busy(match error {
                TrySendError::Full(_) => format!("{QUEUE_MAX} signatures wait for it already; sign less at once"),
                TrySendError::Disconnected(_) => "its threads ended; start the box again".into(),
            })
        })?;
        Ok(answer)
    }

    /// Why nothing is signed.
    pub(crate) fn busy(&self, reason: String) -> KeyError {
        KeyError::Device { device: self.driver.name.clone(), operation: "sign", reason }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.detach();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("device", &self.driver.name).finish_non_exhaustive()
    }
}
