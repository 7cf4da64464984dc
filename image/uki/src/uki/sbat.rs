//! SBAT: lines of `component,generation,vendor,package,version,url`, by which a later revocation list can forbid old
//! versions of a component (shim's SBAT.md).

use super::UkiError;
use crate::pe::Image;

/// The first line, about the format itself.
const HEADER: &str = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md";
/// What a UKI says of itself where the caller says nothing.
const UKI: &str = "uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/";

/// The lines of stub and kernel, where they have some, and those of the UKI, under one header. Ends with a zero byte,
/// as all of them do.
pub(super) fn merge(stub: &Image<'_>, kernel: &Image<'_>, own: Option<&str>) -> Result<Vec<u8>, UkiError> {
    let mut lines = vec![HEADER.to_owned()];
    for (of, image) in [("the stub's .sbat", stub), ("the kernel's .sbat", kernel)] {
        if let Some(section) = image.section(".sbat") {
            let text = String::from_utf8(image.data(section).to_vec()).map_err(|_| UkiError::Sbat { of })?;
            lines.extend(entries(text.trim_end_matches('\0'), of)?);
        }
    }
    match own {
        Some(own) => lines.extend(entries(own, "the text for .sbat")?),
        None => lines.push(UKI.to_owned()),
    }
    let mut merged = lines.join("\n").into_bytes();
    merged.extend_from_slice(b"\n\0");
    Ok(merged)
}

/// The lines after the header.
fn entries(text: &str, of: &'static str) -> Result<Vec<String>, UkiError> {
    let mut lines = text.lines();
    if !lines.next().is_some_and(|header| header.starts_with("sbat,1")) {
        return Err(UkiError::Sbat { of });
    }
    Ok(lines.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_lines_have_a_header() {
        let own = "sbat,1,SBAT Version,sbat,1,https://example.org\nbox,2,Dolmen,box,1.2,https://example.org\n";
        assert_eq!(entries(own, "it").unwrap(), ["box,2,Dolmen,box,1.2,https://example.org"]);
        assert!(matches!(entries("box,2,Dolmen,box,1.2,https://example.org", "it"), Err(UkiError::Sbat { of: "it" })));
        assert!(matches!(entries("", "it"), Err(UkiError::Sbat { .. })));
    }
}
