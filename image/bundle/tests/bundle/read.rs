//! Bundles that are right.

use std::io::{self, BufReader, Read};

use dolmen_image_bundle::{Bundle, BundleError, PART_NAMES, write};

use crate::support::{HEAD, bundle, check, contents, keys, manifest, signed};

/// Gives one byte at a time, and is interrupted before each.
struct Slow<'a>(&'a [u8], bool);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = buffer.len().min(1);
        self.0.read(&mut buffer[..count])
    }
}

fn read_parts(reader: impl Read) -> Vec<Vec<u8>> {
    let mut bundle = Bundle::open(reader, &keys()).expect("a bundle");
    assert_eq!(bundle.manifest(), &manifest());
    assert_eq!(bundle.signed_manifest(), &signed());
    let mut parts = Vec::new();
    while let Some(mut part) = bundle.next_part().expect("no error") {
        assert_eq!(part.part(), &manifest().parts[parts.len()]);
        let mut content = Vec::new();
        part.read_to_end(&mut content).expect("a part");
        assert_eq!(part.read(&mut [0; 8]).expect("its end"), 0);
        parts.push(content);
    }
    assert!(bundle.next_part().expect("no error").is_none());
    bundle.end().expect("its end");
    parts
}

#[test]
fn parts_come_out_as_they_went_in() {
    let bytes = bundle();
    assert_eq!(bytes.len() as u64, signed().bundle_bytes());
    assert_eq!(read_parts(&bytes[..]), contents());
    assert_eq!(read_parts(BufReader::with_capacity(7, &bytes[..])), contents());
    assert_eq!(read_parts(Slow(&bytes, false)), contents());
}

#[test]
fn parts_begin_at_whole_blocks() {
    let (bytes, mut at) = (bundle(), HEAD);
    for content in contents() {
        assert_eq!(bytes[at..at + content.len()], content);
        at = (at + content.len()).next_multiple_of(4096);
    }
    assert_eq!(at, bytes.len());
}

/// What is not read is still checked.
#[test]
fn parts_can_be_left_out() {
    for wanted in PART_NAMES {
        let bytes = bundle();
        let mut bundle = Bundle::open(&bytes[..], &keys()).unwrap();
        while let Some(mut part) = bundle.next_part().unwrap() {
            if part.part().name == wanted {
                part.read_exact(&mut [0; 100]).unwrap();
            }
        }
        bundle.end().unwrap();
    }
    let mut damaged = bundle();
    damaged[HEAD + 4095] ^= 1;
    let mut bundle = Bundle::open(&damaged[..], &keys()).unwrap();
    assert!(bundle.next_part().unwrap().is_some());
    assert!(matches!(bundle.next_part(), Err(BundleError::Part { name }) if name == PART_NAMES[0]));
    assert!(matches!(bundle.next_part(), Err(BundleError::Failed)));
}

#[test]
fn progress_is_in_bytes_of_parts() {
    let bytes = bundle();
    let mut bundle = Bundle::open(&bytes[..], &keys()).unwrap();
    // From within a part too.
    bundle.next_part().unwrap().unwrap().read_exact(&mut [0; 1000]).unwrap();
    let mut reports = Vec::new();
    bundle.verify(&mut |done, all| reports.push((done, all))).unwrap();
    let all = contents().iter().map(|content| content.len() as u64).sum();
    assert_eq!(manifest().parts_bytes(), all);
    assert!(reports.is_sorted() && reports[0].0 > 1000 && reports.last() == Some(&(all, all)), "{reports:?}");
}

/// A part's last byte comes only with all others right, however it is asked for.
#[test]
fn wrong_parts_have_no_end() {
    let mut damaged = bundle();
    damaged[HEAD] ^= 1;
    for step in [1, 100, 4096] {
        let mut bundle = Bundle::open(&damaged[..], &keys()).unwrap();
        let mut part = bundle.next_part().unwrap().unwrap();
        let mut content = vec![0; 4096];
        let error = content.chunks_mut(step).find_map(|chunk| part.read_exact(chunk).err()).unwrap();
        let error = error.downcast::<BundleError>().unwrap();
        assert!(matches!(error, BundleError::Part { name } if name == PART_NAMES[0]), "{error}");
        let again = part.read(&mut [0]).unwrap_err().downcast::<BundleError>().unwrap();
        assert!(matches!(again, BundleError::Failed), "{again}");
    }
}

/// A partition has more bytes than its bundle.
#[test]
fn only_a_file_must_end() {
    let mut bytes = bundle();
    bytes.extend_from_slice(b"older");
    let mut bundle = Bundle::open(&bytes[..], &keys()).unwrap();
    bundle.verify(&mut |_, _| {}).unwrap();
    assert!(matches!(check(&bytes[..], &keys()), Err(BundleError::Trailing)));
}

#[test]
fn other_parts_are_not_written() {
    let right = contents();
    for changed in 0..4 {
        let content = &right[changed];
        for wrong in [&content[1..], &[&content[..], b"+"].concat(), &[b"-", &content[1..]].concat(), b""] {
            let mut parts = [&right[0][..], &right[1], &right[2], &right[3]];
            parts[changed] = wrong;
            let [mut boot, mut uki, mut verity, mut root] = parts;
            let error = write(&mut io::sink(), &signed(), [&mut boot, &mut uki, &mut verity, &mut root]).unwrap_err();
            assert!(matches!(error, BundleError::OtherPart { name } if name == PART_NAMES[changed]), "{error}");
        }
    }
}
