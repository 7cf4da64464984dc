//! Files that are not as they were written.

use dolmen_provisioning_journal::{Reader, verify};

use crate::support::{Place, Record, damaged, said};

/// Power fails at any byte of a write.
#[test]
fn a_torn_last_line_is_dropped() {
    let place = Place::with(&[Record::Opened, said("a"), said("b")]);
    let whole = place.bytes();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for length in last..whole.len() {
        place.write(&whole[..length]);
        assert_eq!(verify(&place.path()).unwrap().number, 2, "{length}");
        assert_eq!(Reader::<Record>::open(&place.path()).unwrap().count(), 2, "{length}");
        let (mut journal, entries) = place.open().unwrap();
        assert_eq!((entries.len(), journal.dropped()), (2, (length - last) as u64), "{length}");
        assert_eq!(place.bytes(), whole[..last], "{length}");
        // The same record again gives the same file.
        journal.append(1_800_000_002, said("b")).unwrap();
        assert_eq!(place.bytes(), whole, "{length}");
    }
    // All of it was written.
    place.write(&whole);
    assert_eq!(place.open().unwrap().0.dropped(), 0);
}

/// In each byte a bit by turns, and the one that tells capital letters from small ones; the ends of lines among them.
#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let place = Place::with(&[Record::Opened, said("a"), said("b")]);
    let whole = place.bytes();
    for at in 0..whole.len() {
        let line = whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        for bit in [at % 8, 5] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            place.write(&bytes);
            assert_eq!(damaged(verify(&place.path())), line, "byte {at}, bit {bit}");
            assert_eq!(damaged(place.open()), line, "byte {at}, bit {bit}");
            assert_eq!(place.bytes(), bytes, "it is left as it is");
        }
    }
}

#[test]
fn lines_that_are_missing_or_moved_are_found() {
    let place = Place::with(&[Record::Opened, said("a"), said("b"), said("c")]);
    let whole = String::from_utf8(place.bytes()).unwrap();
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    for (order, line) in [
        (&[1, 2, 3][..], 1),
        (&[0, 2, 3], 2),
        (&[0, 1, 3], 3),
        (&[0, 0, 1, 2, 3], 2),
        (&[0, 2, 1, 3], 2),
        (&[0, 1, 2, 3, 3], 5),
    ] {
        place.write(order.iter().map(|at| lines[*at]).collect::<String>().as_bytes());
        assert_eq!(damaged(place.open()), line, "{order:?}");
    }
    // The same line from another journal, whose first one is another.
    let other = Place::with(&[said("z"), said("a")]);
    let other = String::from_utf8(other.bytes()).unwrap();
    let second = other.split_inclusive('\n').nth(1).unwrap();
    place.write([lines[0], second].concat().as_bytes());
    assert_eq!(damaged(place.open()), 2);
    // Text around lines.
    for (text, line) in [("\n", 1), ("{}\n", 1), (&format!("{}\n", lines[0]), 2), (&format!(" {}", lines[0]), 1)] {
        place.write(text.as_bytes());
        assert_eq!(damaged(place.open()), line, "{text:?}");
    }
    // What was cut off at the end is found by who knows the head.
    let head = Place::with(&[Record::Opened, said("a"), said("b"), said("c")]).open().unwrap().0.head();
    place.write(lines[..3].concat().as_bytes());
    assert_ne!(verify(&place.path()).unwrap(), head);
}

#[test]
fn long_lines_are_not_read() {
    let place = Place::new();
    place.write(&vec![b'x'; (256 << 10) + 1]);
    assert_eq!(damaged(place.open()), 1);
}
