//! A box with users.

use std::{cell::Cell, io, net::IpAddr, path::Path};

use dolmen_access::{
    Access, Caller, ClaimCode, ClaimRequest, Csrf, Grant, HashCost, LoginRequest, NewUser, OpenError, PasswordChange,
    Random, Refusal, Role, Secret, Setup, TotpConfirm,
};
use tempfile::TempDir;

/// The least that Argon2 takes.
pub(crate) const CHEAP: HashCost = HashCost { memory_kib: 8, passes: 1, lanes: 1 };
/// When tests begin.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const CODE: &str = "AB01-CDEF-GH1J";
pub(crate) const OFFICER: &str = "li.wei";
pub(crate) const PASSWORD: &str = "tangerine-42-sky";
pub(crate) const HOST: &str = "box-7.example";

/// Random bytes that are the same each time: splitmix64.
pub(crate) struct Seeded(pub(crate) u64);

impl Random for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        for chunk in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = self.0;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(word ^ (word >> 31)).to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Somebody with a session.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) password: String,
    /// Of his authenticator app.
    pub(crate) totp: Option<totp_rs::Totp>,
    pub(crate) grant: Grant,
}

pub(crate) struct World {
    dir: TempDir,
    access: Option<Access>,
    now: Cell<u64>,
    seed: Cell<u64>,
}

/// A directory in memory, where there is one: each change waits for the disk some times, and what is looked at is in which
/// order.
pub(crate) fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.expect("a directory")
}

pub(crate) fn address(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

pub(crate) fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

/// The app that an enrolment is scanned with.
pub(crate) fn app(secret_base32: &Secret) -> totp_rs::Totp {
    let secret = totp_rs::Secret::try_from_base32(secret_base32.expose()).expect("base 32");
    totp_rs::Builder::new().with_secret(secret).build().expect("a TOTP secret")
}

pub(crate) fn open(dir: &Path, seed: u64, now: u64) -> Result<Access, OpenError> {
    let origins = vec![format!("https://{HOST}"), format!("https://{HOST}:8443"), "https://other.example".to_owned()];
    let setup = Setup { cost: CHEAP, random: Box::new(Seeded(seed)), ..Setup::new("box-7".to_owned(), origins) };
    Access::open(dir, setup, now)
}

impl World {
    /// A box that nobody claimed.
    pub(crate) fn new() -> Self {
        let dir = directory();
        let access = open(dir.path(), 0, NOW).expect("a new box");
        access.screen_shows(ClaimCode::of(CODE));
        Self { dir, access: Some(access), now: Cell::new(NOW), seed: Cell::new(1) }
    }

    /// A box with a security officer who is logged in.
    pub(crate) fn claimed() -> (Self, Person) {
        let world = Self::new();
        let request = ClaimRequest { claim_code: secret(CODE), name: OFFICER.to_owned(), password: secret(PASSWORD) };
        let grant = world.access().claim(address(1), &request, world.now()).expect("a claim");
        let mut officer = Person { name: OFFICER.to_owned(), password: PASSWORD.to_owned(), totp: None, grant };
        world.set_up_totp(&mut officer);
        (world, officer)
    }

    pub(crate) fn access(&self) -> &Access {
        self.access.as_ref().expect("it is open")
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn now(&self) -> u64 {
        self.now.get()
    }

    pub(crate) fn later(&self, seconds: u64) {
        self.now.set(self.now.get() + seconds);
    }

    /// Starts the box again.
    pub(crate) fn reopen(&mut self) {
        self.access = None;
        self.seed.set(self.seed.get() + 1000);
        self.access = Some(open(self.dir.path(), self.seed.get(), self.now()).expect("the box of before"));
    }

    /// Ends the box.
    pub(crate) fn close(&mut self) {
        self.access = None;
    }

    /// What was said of a session by its cookie, in a request that may change something.
    pub(crate) fn caller_of(&self, grant: &Grant) -> Result<Caller, Refusal> {
        let csrf = Csrf::Header(Some(grant.session.csrf_token.expose()));
        let who = self.access().session(grant.token.expose(), csrf, self.now())?;
        Ok(Caller { who, from: address(1) })
    }

    pub(crate) fn caller(&self, person: &Person) -> Caller {
        self.caller_of(&person.grant).expect("a session")
    }

    pub(crate) fn set_up_totp(&self, person: &mut Person) {
        let caller = self.caller(person);
        let enrolment = self.access().start_totp(&caller, self.now()).expect("an enrolment");
        let app = app(&enrolment.secret_base32);
        let totp = secret(&app.generate(self.now()).to_string());
        let confirmed =
            self.access().confirm_totp(&caller, &TotpConfirm { totp }, self.now()).expect("it is confirmed");
        (person.totp, person.grant) = (Some(app), confirmed.1);
        self.later(30);
    }

    /// Logs in from an address, with the app's code where there is one.
    pub(crate) fn login_from(&self, person: &Person, from: IpAddr) -> Result<Grant, Refusal> {
        self.later(30);
        let code = person.totp.as_ref().map(|app| secret(&app.generate(self.now()).to_string()));
        self.login(&person.name, &person.password, code, from)
    }

    pub(crate) fn login(
        &self,
        name: &str,
        password: &str,
        totp: Option<Secret>,
        from: IpAddr,
    ) -> Result<Grant, Refusal> {
        let request = LoginRequest { name: name.to_owned(), password: secret(password), totp };
        self.access().login(from, &request, self.now())
    }

    /// A user who was just made, and has his one-time password.
    pub(crate) fn fresh(&self, officer: &Person, name: &str, role: Role) -> Person {
        let request = NewUser { name: name.to_owned(), role };
        let made = self.access().create_user(&self.caller(officer), &request, self.now()).expect("a user");
        let password = made.one_time_password.expose().to_owned();
        let grant = self.login(name, &password, None, address(2)).expect("a login");
        Person { name: name.to_owned(), password, totp: None, grant }
    }

    /// A user who did all that he has to.
    pub(crate) fn user(&self, officer: &Person, name: &str, role: Role) -> Person {
        let mut person = self.fresh(officer, name, role);
        let own = "a-password-of-his-own";
        let request = PasswordChange { old_password: secret(&person.password), new_password: secret(own) };
        let changed = self.access().change_password(&self.caller(&person), &request, self.now());
        (person.grant, person.password) = (changed.expect("another password"), own.to_owned());
        self.set_up_totp(&mut person);
        person
    }
}

/// The code of a refusal.
pub(crate) fn code<T>(result: Result<T, Refusal>) -> &'static str {
    result.map_or_else(|refusal| refusal.code(), |_| "")
}
