//! Consoles on pseudo-terminals, of which the test holds the other end: what it sees is what a terminal of others (the
//! vt100 crate) shows.

use std::{
    num::NonZero,
    os::{fd::OwnedFd, unix::fs::symlink},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags, fcntl_setfl},
    io::Errno,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

use super::*;
use crate::{
    front::ask,
    grid::Size,
    screen::Screen,
    widgets::{Item, Menu},
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// The far end of a line: a terminal and somebody before it.
struct Far {
    master: OwnedFd,
    path: PathBuf,
    terminal: vt100::Parser,
    log: Vec<u8>,
}

impl Far {
    fn new() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        fcntl_setfl(&master, OFlags::NONBLOCK).unwrap();
        let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        let count = |number| NonZero::new(number).unwrap();
        Self { master, path, terminal: vt100::Parser::new(count(24), count(80), 0), log: Vec::new() }
    }

    fn types(&self, bytes: &str) {
        assert_eq!(rustix::io::write(&self.master, bytes.as_bytes()), Ok(bytes.len()));
    }

    /// Takes what has come.
    fn listen(&mut self) {
        let mut bytes = [0; 4096];
        loop {
            match rustix::io::read(&self.master, &mut bytes) {
                Ok(count) if count > 0 => {
                    self.terminal.process(&bytes[..count]);
                    self.log.extend_from_slice(&bytes[..count]);
                }
                // No bytes, or nobody at the near end.
                Ok(_) | Err(Errno::AGAIN | Errno::IO) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn text(&self) -> String {
        self.terminal.screen().contents()
    }
}

fn view(text: &'static str) -> impl Fn(Language) -> Screen {
    move |language| {
        let mut screen = Screen::new("Box");
        screen.line(format!("{text} {}", language.name()));
        screen
    }
}

/// Turns until every far end shows a text; the keys that came meanwhile.
fn until(console: &mut Console, view: &dyn View, ends: &mut [&mut Far], text: &str) -> Vec<Key> {
    let end = Instant::now() + PATIENCE;
    let mut keys = Vec::new();
    loop {
        keys.extend(console.turn(view, Duration::from_millis(20)).unwrap());
        ends.iter_mut().for_each(|far| far.listen());
        if ends.iter().all(|far| far.text().contains(text)) {
            return keys;
        }
        let seen: Vec<String> = ends.iter().map(|far| far.text()).collect();
        assert!(Instant::now() < end, "no {text:?} in {seen:#?}");
    }
}

fn serial(far: &Far) -> Place {
    Place::Serial { terminal: far.path.clone() }
}

/// Waits for a key.
fn key(console: &mut Console, view: &dyn View) -> Key {
    console.turn(view, PATIENCE).unwrap().unwrap()
}

#[test]
fn all_show_the_same_and_anybody_types() {
    let (mut one, mut two) = (Far::new(), Far::new());
    let mut console = Console::new(Language::English, [serial(&one), serial(&two)]);
    until(&mut console, &view("first"), &mut [&mut one, &mut two], "first English");
    two.types("\x1b[A");
    assert_eq!(key(&mut console, &view("first")), Key::Up);
    one.types("字");
    assert_eq!(key(&mut console, &view("first")), Key::Char('字'));
    // No echo of what was typed.
    one.listen();
    assert!(!one.text().contains('字'));
    two.types("\t");
    until(&mut console, &view("second"), &mut [&mut one, &mut two], "second 中文");
    assert_eq!(console.language(), Language::Chinese);
}

#[test]
fn an_escape_is_one_when_nothing_follows() {
    let mut far = Far::new();
    let mut console = Console::new(Language::English, [serial(&far)]);
    until(&mut console, &view("text"), &mut [&mut far], "text");
    let asked = Instant::now();
    far.types("\x1b");
    assert_eq!(key(&mut console, &view("text")), Key::Escape);
    assert!(asked.elapsed() < PATIENCE / 2);
}

#[test]
fn a_dialog_over_a_line() {
    let far = Far::new();
    let mut console = Console::new(Language::English, [serial(&far)]);
    let mut menu = Menu::new("Stick").item(Item::new("Install")).item(Item::new("Verify"));
    // The near end must be raw before anything is typed, or Enter would be another character.
    console.turn(&menu, Duration::ZERO).unwrap();
    far.types("2\r");
    assert_eq!(ask(&mut console, &mut menu), Ok(Some(1)));
}

#[test]
fn a_terminal_that_comes_late_asks_for_the_screen() {
    let mut far = Far::new();
    let mut console = Console::new(Language::English, [serial(&far)]);
    until(&mut console, &view("text"), &mut [&mut far], "text");
    far.terminal.process(b"\x1bc\x1b[31mlogin:");
    console.turn(&view("text"), Duration::from_millis(50)).unwrap();
    far.listen();
    assert!(!far.text().contains("text"), "nothing changed, so nothing is sent");
    far.types("\x0c");
    assert_eq!(until(&mut console, &view("text"), &mut [&mut far], "text"), []);
    assert!(!far.text().contains("login"));
}

#[test]
fn everything_is_drawn_anew_now_and_then() {
    let mut far = Far::new();
    let now = Instant::now();
    let mut seat = Seat::new(serial(&far), now);
    for (second, is_drawn) in [(0, true), (1, false), (9, false), (10, true), (19, false), (20, true)] {
        let now = now + Duration::from_secs(second);
        seat.tend(now);
        seat.show(&view("text"), Language::English, now);
        far.listen();
        assert_eq!(far.text().contains("text"), is_drawn, "after {second} s");
        far.terminal.process(b"\x1bc");
    }
}

#[test]
fn a_line_that_was_cut_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tty");
    let mut console = Console::new(Language::English, [Place::Serial { terminal: path.clone() }]);
    console.turn(&view("text"), Duration::ZERO).unwrap();
    let mut far = Far::new();
    symlink(&far.path, &path).unwrap();
    until(&mut console, &view("text"), &mut [&mut far], "text");

    drop(far);
    std::fs::remove_file(&path).unwrap();
    let mut far = Far::new();
    symlink(&far.path, &path).unwrap();
    until(&mut console, &view("text"), &mut [&mut far], "text");
}

#[test]
fn a_line_that_takes_nothing_holds_nobody_up() {
    let (mut stuck, mut far) = (Far::new(), Far::new());
    let mut console = Console::new(Language::English, [serial(&stuck), serial(&far)]);
    let began = Instant::now();
    for _ in 0..200 {
        for text in ["odd", "even"] {
            console.seats.iter_mut().for_each(Seat::redraw);
            console.turn(&view(text), Duration::ZERO).unwrap();
            far.listen();
        }
    }
    assert!(began.elapsed() < PATIENCE);
    until(&mut console, &view("last"), &mut [&mut stuck, &mut far], "last");
}

#[test]
fn a_screen_without_pixels_speaks_english() {
    let mut far = Far::new();
    let place = Place::Screen { framebuffer: "/dev/null/none".into(), terminal: far.path.clone() };
    let mut console = Console::new(Language::Chinese, [place]);
    until(&mut console, &view("text"), &mut [&mut far], "text English");
    console.print("dolmen: for serial lines alone");
    far.listen();
    assert!(!far.text().contains("dolmen:"));
}

#[test]
fn a_log_has_lines_and_no_keys() {
    let mut far = Far::new();
    let mut console = Console::new(Language::English, [Place::Log { terminal: far.path.clone() }]);
    until(&mut console, &view("one"), &mut [&mut far], "one English");
    far.types("\r\x1b");
    console.print("dolmen: data ready");
    assert_eq!(console.turn(&view("one"), Duration::from_millis(200)), Ok(None));
    far.listen();
    assert_eq!(String::from_utf8(far.log).unwrap(), " Box\r\n one English\r\ndolmen: data ready\r\n");
}

#[test]
fn a_printed_line_stands_alone() {
    let mut far = Far::new();
    let mut console = Console::new(Language::English, [serial(&far)]);
    until(&mut console, &view("text"), &mut [&mut far], "text");
    console.print("dolmen: data ready");
    far.listen();
    assert!(far.text().ends_with("\ndolmen: data ready"), "{}", far.text());
    until(&mut console, &view("text"), &mut [&mut far], " Box");
    assert!(!far.text().contains("data ready"));
}

#[test]
fn a_terminal_is_given_back_as_it_was() {
    let mut far = Far::new();
    let modes = |path: &Path| {
        let near = rustix::fs::open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        tcgetattr(&near).unwrap().local_modes
    };
    let near = rustix::fs::open(&far.path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    assert!(modes(&far.path).contains(LocalModes::ECHO));
    let mut console = Console::new(Language::English, [serial(&far)]);
    until(&mut console, &view("text"), &mut [&mut far], "text");
    assert!(!modes(&far.path).intersects(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG));
    drop(console);
    assert!(modes(&far.path).contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG));
    far.listen();
    assert_eq!(far.text(), "");
    assert!(!far.terminal.screen().hide_cursor());
    drop(near);
}

#[test]
fn the_flag_stops_a_turn() {
    let far = Far::new();
    let mut console = Console::new(Language::English, [serial(&far)]);
    let flag = Arc::new(AtomicBool::new(false));
    console.stop_on(Arc::clone(&flag));
    assert_eq!(console.turn(&view("text"), Duration::ZERO), Ok(None));
    let setter = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        flag.store(true, Ordering::Relaxed);
    });
    let began = Instant::now();
    assert_eq!(console.turn(&view("text"), Duration::MAX), Err(Closed));
    assert!(began.elapsed() < PATIENCE / 2);
    setter.join().unwrap();
}

#[test]
fn what_is_no_terminal_is_left_alone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut console = Console::new(Language::English, [Place::Serial { terminal: file.path().into() }]);
    assert_eq!(console.turn(&view("text"), Duration::from_millis(50)), Ok(None));
    drop(console);
    assert_eq!(file.as_file().metadata().unwrap().len(), 0);
    assert_eq!(Size::SERIAL, Size::new(80, 24));
}
