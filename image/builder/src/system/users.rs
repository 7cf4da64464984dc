//! The accounts that our own files ask for: `/usr/lib/sysusers.d`, applied while the image is built.
//!
//! A box's `/etc` is read-only, so that systemd-sysusers cannot do it there. Of sysusers.d(5) this reads lines of the
//! kinds `u`, `g` and `m` with fixed numbers; accounts that are there stay as they are.

use crate::tree::{Node, Tree, TreeError};

/// Where we have them. Debian's packages make theirs when they are installed.
const FOLDER: &str = "usr/lib/sysusers.d";
const OURS: &str = "dolmen";
/// Numbers of accounts that are no person's.
const NUMBERS: std::ops::Range<u32> = 1..1000;
const NOBODY_LOGS_IN: &str = "/usr/sbin/nologin";

/// Why there is no account.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// Files that are missing.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A line that means nothing here.
    #[error("{file} says {line:?}; write `u NAME NUMBER \"TEXT\" HOME`, `g NAME NUMBER` or `m USER GROUP`")]
    Line {
        /// Where.
        file: String,
        /// The line.
        line: String,
    },
    /// A number that somebody else has, or that is a person's.
    #[error("the number {number} of {name} is taken, or not from 1 to 999; give it another")]
    Number {
        /// Whose it should be.
        name: String,
        /// Which.
        number: u32,
    },
    /// A group that is not there.
    #[error("{user} is to be in the group {group}, which is not there; add the package that makes it")]
    NoGroup {
        /// Who.
        user: String,
        /// Where.
        group: String,
    },
}

/// Adds the accounts.
///
/// # Errors
///
/// [`UsersError`] names the line.
pub(super) fn apply(root: &mut Tree) -> Result<(), UsersError> {
    let names = root.names(FOLDER).filter(|name| name.starts_with(OURS) && name.ends_with(".conf"));
    let files: Vec<String> = names.map(|name| format!("{FOLDER}/{name}")).collect();
    let mut accounts = Accounts::read(root)?;
    for file in files {
        let text = root.read_text(&file)?;
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let malformed = || UsersError::Line { file: file.clone(), line: line.to_owned() };
            let words = words(line);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words[..] {
                ["g", name, number] => accounts.group(name, number.parse().map_err(|_| malformed())?)?,
                ["u", name, number, text, home] => {
                    accounts.user(name, number.parse().map_err(|_| malformed())?, text, home)?;
                }
                ["m", user, group] => accounts.member(user, group)?,
                _ => return Err(malformed()),
            }
        }
    }
    accounts.write(root)?;
    Ok(())
}

/// The four files, by lines.
struct Accounts([Vec<String>; 4]);

const FILES: [&str; 4] = ["etc/passwd", "etc/shadow", "etc/group", "etc/gshadow"];
const PASSWD: usize = 0;
const SHADOW: usize = 1;
const GROUP: usize = 2;
const GSHADOW: usize = 3;

impl Accounts {
    fn read(root: &Tree) -> Result<Self, TreeError> {
        let mut files = [const { Vec::new() }; 4];
        for (file, lines) in FILES.iter().zip(&mut files) {
            *lines = root.read_text(file)?.lines().map(str::to_owned).collect();
        }
        Ok(Self(files))
    }

    fn write(self, root: &mut Tree) -> Result<(), TreeError> {
        for (file, lines) in FILES.iter().zip(self.0) {
            let before = root.get(file).cloned().unwrap_or_else(Node::folder);
            let node = Node::file((lines.join("\n") + "\n").into_bytes());
            root.insert(file, Node { kind: node.kind, ..before })?;
        }
        Ok(())
    }

    fn group(&mut self, name: &str, number: u32) -> Result<(), UsersError> {
        if !self.is_known(GROUP, name) {
            self.check(GROUP, name, number)?;
            self.0[GROUP].push(format!("{name}:x:{number}:"));
            self.0[GSHADOW].push(format!("{name}:!*::"));
        }
        Ok(())
    }

    fn user(&mut self, name: &str, number: u32, text: &str, home: &str) -> Result<(), UsersError> {
        self.group(name, number)?;
        if !self.is_known(PASSWD, name) {
            self.check(PASSWD, name, number)?;
            self.0[PASSWD].push(format!("{name}:x:{number}:{number}:{text}:{home}:{NOBODY_LOGS_IN}"));
            self.0[SHADOW].push(format!("{name}:!*:1::::::"));
        }
        Ok(())
    }

    fn member(&mut self, user: &str, group: &str) -> Result<(), UsersError> {
        for file in [GROUP, GSHADOW] {
            let line = self.0[file].iter_mut().find(|line| first(line) == group);
            let line = line.ok_or_else(|| UsersError::NoGroup { user: user.to_owned(), group: group.to_owned() })?;
            if !line.ends_with(':') {
                line.push(',');
            }
            line.push_str(user);
        }
        Ok(())
    }

    fn is_known(&self, file: usize, name: &str) -> bool {
        self.0[file].iter().any(|line| first(line) == name)
    }

    fn check(&self, file: usize, name: &str, number: u32) -> Result<(), UsersError> {
        let taken = |line: &String| line.split(':').nth(2).is_some_and(|other| other == number.to_string());
        if !NUMBERS.contains(&number) || self.0[file].iter().any(taken) {
            return Err(UsersError::Number { name: name.to_owned(), number });
        }
        Ok(())
    }
}

fn first(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

/// Words between spaces; those between quotes are one.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut quoted) = (Vec::new(), false);
    for piece in line.split('"') {
        if quoted {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
        quoted = !quoted;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(text: &str) -> Result<Tree, UsersError> {
        let mut root = Tree::default();
        for (file, content) in [
            ("etc/passwd", "root:x:0:0:root:/root:/usr/sbin/nologin\ntss:x:101:102::/:/usr/sbin/nologin\n"),
            ("etc/shadow", "root:*:20000:0:99999:7:::\n"),
            ("etc/group", "root:x:0:\ntss:x:102:\nadm:x:4:a\n"),
            ("etc/gshadow", "root:*::\ntss:!::\nadm:*::a\n"),
            ("usr/lib/sysusers.d/dolmen.conf", text),
        ] {
            root.insert(file, Node::file(content.as_bytes())).unwrap();
        }
        super::apply(&mut root)?;
        Ok(root)
    }

    #[test]
    fn accounts_are_added_locked() {
        let root = apply("# ours\nu dolmen 950 \"Dolmen node\" /data/dolmen\nm dolmen tss\nm dolmen adm\n").unwrap();
        let read = |file| root.read_text(file).unwrap();
        assert!(read("etc/passwd").ends_with("dolmen:x:950:950:Dolmen node:/data/dolmen:/usr/sbin/nologin\n"));
        assert!(read("etc/shadow").ends_with("dolmen:!*:1::::::\n"));
        assert!(read("etc/group").ends_with("tss:x:102:dolmen\nadm:x:4:a,dolmen\ndolmen:x:950:\n"));
        assert!(read("etc/gshadow").contains("adm:*::a,dolmen\n"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (text, expected) in [
            ("u dolmen - \"x\" /\n", "u NAME NUMBER"),
            ("r - 500-900\n", "u NAME NUMBER"),
            ("u dolmen 101 \"x\" /\n", "101"),
            ("u dolmen 1000 \"x\" /\n", "1000"),
            ("g dolmen 4\n", "4"),
            ("m dolmen wheel\n", "wheel"),
        ] {
            let error = apply(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
