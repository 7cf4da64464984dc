//! Bodies of messages: base64 (RFC 4648 §4), in lines or not.

use base64ct::{Base64, Encoding as _};

use super::EstError;

/// Characters of a line that is written, as in PEM.
const LINE_CHARS: usize = 64;

/// In lines, each with CR and LF at its end as MIME has them (RFC 2045 §6.8).
pub(super) fn write(bytes: &[u8]) -> String {
    let text = Base64::encode_string(bytes);
    let mut lines = String::with_capacity(text.len() + text.len() / LINE_CHARS * 2 + 2);
    for (at, character) in text.chars().enumerate() {
        if at > 0 && at % LINE_CHARS == 0 {
            lines.push_str("\r\n");
        }
        lines.push(character);
    }
    lines.push_str("\r\n");
    lines
}

/// At most `bytes_max`, in lines of any length. Nothing but the ends of lines may be between the characters.
pub(super) fn read(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, EstError> {
    // Four characters for three bytes, and at most as many ends of lines.
    let limit = bytes_max.div_ceil(3) * 4 * 2;
    if body.len() > limit {
        return Err(EstError::Bytes { found: body.len(), limit });
    }
    let text: Vec<u8> = body.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
    let text = std::str::from_utf8(&text).map_err(|_| EstError::Base64)?;
    let bytes = Base64::decode_vec(text).map_err(|_| EstError::Base64)?;
    if bytes.len() > bytes_max {
        return Err(EstError::Bytes { found: bytes.len(), limit: bytes_max });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_64_characters() {
        assert_eq!(write(b""), "\r\n");
        assert_eq!(write(&[0; 48]), format!("{}\r\n", "A".repeat(64)));
        assert_eq!(write(&[0; 49]), format!("{}\r\nAA==\r\n", "A".repeat(64)));
        for length in 0..200 {
            let bytes: Vec<u8> = (0..length).collect();
            let text = write(&bytes);
            assert_eq!(read(text.as_bytes(), 200).unwrap(), bytes);
            assert_eq!(read(text.replace("\r\n", "").as_bytes(), 200).unwrap(), bytes);
            assert_eq!(read(text.replace('\r', "").as_bytes(), 200).unwrap(), bytes);
        }
    }

    #[test]
    fn bytes_have_one_form() {
        // Blanks, other alphabets, missing and needless padding, bits that are lost, and what is no text at all.
        for text in
            [&b"QUJD QUJD"[..], b"QUJ-", b"QUI", b"QUJD====", b"QUJ=QUJD", b"QUJ=\n=", b"QUK=x", b"QR==", b"\xff"]
        {
            assert!(matches!(read(text, 100), Err(EstError::Base64)), "{text:?}");
        }
    }

    #[test]
    fn bytes_are_bounded() {
        assert_eq!(read(b"QUJD", 3).unwrap(), b"ABC");
        assert!(matches!(read(b"QUJDRA==", 3), Err(EstError::Bytes { found: 4, limit: 3 })));
        assert!(matches!(read(&[b'\n'; 9], 3), Err(EstError::Bytes { found: 9, limit: 8 })));
    }
}
