use proptest::prelude::*;

use super::*;

const HEADER: FileHeader = FileHeader { content: Content::Export, genesis: B256::repeat_byte(7), first: 3, last: 4 };

fn written(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = RecordWriter::new(Vec::new(), &HEADER).unwrap();
    for (payload, kind) in payloads.iter().zip(Kind::ALL[..7].iter().cycle()) {
        writer.write(*kind, payload).unwrap();
    }
    writer.finish().unwrap()
}

fn read_all(bytes: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let mut reader = RecordReader::new(bytes)?;
    let mut payloads = Vec::new();
    while let Some((_, payload)) = reader.read()? {
        payloads.push(payload);
    }
    assert_eq!(*reader.header(), HEADER);
    Ok(payloads)
}

proptest! {
    #[test]
    fn what_was_written_is_read(payloads in proptest::collection::vec(any::<Vec<u8>>(), 0..8)) {
        prop_assert_eq!(read_all(&written(&payloads)).unwrap(), payloads);
    }

    #[test]
    fn any_other_byte_is_noticed(
        payloads in proptest::collection::vec(any::<Vec<u8>>(), 1..4),
        at in any::<prop::sample::Index>(),
        change in 1..=255_u8,
    ) {
        let mut bytes = written(&payloads);
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(read_all(&bytes).is_err());
    }

    #[test]
    fn any_cut_and_any_addition_is_noticed(
        payloads in proptest::collection::vec(any::<Vec<u8>>(), 1..4),
        at in any::<prop::sample::Index>(),
        more in proptest::collection::vec(any::<u8>(), 1..4),
    ) {
        let bytes = written(&payloads);
        prop_assert!(matches!(read_all(&bytes[..at.index(bytes.len())]), Err(Fault::Cut)));
        prop_assert!(matches!(read_all(&[bytes, more].concat()), Err(Fault::Trailing)));
    }

    #[test]
    fn anything_else_is_refused(bytes in any::<Vec<u8>>()) {
        prop_assert!(read_all(&bytes).is_err());
        prop_assert!(read_all(&[&HEADER.encode()[..], &bytes].concat()).is_err());
    }
}

#[test]
fn records_that_changed_places_are_noticed() {
    let (first, second) = (vec![1; 9], vec![2; 9]);
    let bytes = written(&[first.clone(), second.clone()]);
    let swapped = written(&[second, first]);
    // The records of one file with the end of the other.
    let end = bytes.len() - (5 + 40 + CHECK_BYTES);
    assert!(matches!(read_all(&[&swapped[..end], &bytes[end..]].concat()), Err(Fault::Changed)));
}

/// The form is a promise: files are kept for years.
#[test]
fn the_form_is_this_one() {
    let bytes = written(&[b"abc".to_vec()]);
    assert_eq!(bytes.len(), HEADER_BYTES + (5 + 3 + 8) + (5 + 40 + 8));
    assert_eq!(bytes[..8], *b"dolmen\r\n");
    assert_eq!(bytes[8..11], [0, 1, 1]);
    assert_eq!(bytes[43..59], [0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4]);
    assert_eq!(bytes[59..67], [1, 0, 0, 0, 3, b'a', b'b', b'c']);
    assert_eq!(bytes[67..75], Sha256::digest(&bytes[..67])[..8]);
    assert_eq!(bytes[75..80], [255, 0, 0, 0, 40]);
    assert_eq!(bytes[80..88], [0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(bytes[88..120], Sha256::digest(&bytes[..75])[..]);
}
