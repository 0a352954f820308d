//! Entries of a zip archive, stored or deflated, by its central directory: as much of the format as `.npz` files use.

use std::io::Read;

use flate2::read::DeflateDecoder;

fn number(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    let field = bytes.get(at..at + size)?;
    Some(field.iter().rev().fold(0usize, |n, b| n << 8 | usize::from(*b)))
}

/// Names and contents of the entries that are `wanted`.
///
/// # Errors
/// What is wrong with the archive.
pub(super) fn entries(bytes: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Vec<(String, Vec<u8>)>, String> {
    const CUT: &str = "a zip archive that is cut short";
    // The end record has 22 bytes and perhaps a comment behind them.
    let end = (0..=bytes.len().saturating_sub(22))
        .rev()
        .take(1 << 16)
        .find(|at| bytes[*at..].starts_with(b"PK\x05\x06"))
        .ok_or("no zip archive")?;
    let count = number(bytes, end + 10, 2).ok_or(CUT)?;
    let mut at = number(bytes, end + 16, 4).ok_or(CUT)?;
    let mut found = Vec::new();
    for _ in 0..count {
        if !bytes.get(at..).is_some_and(|b| b.starts_with(b"PK\x01\x02")) {
            return Err(CUT.into());
        }
        let field = |offset, size| number(bytes, at + offset, size).ok_or(CUT);
        let (method, packed, size, local) = (field(10, 2)?, field(20, 4)?, field(24, 4)?, field(42, 4)?);
        let (name, extra, comment) = (field(28, 2)?, field(30, 2)?, field(32, 2)?);
        let title = String::from_utf8_lossy(bytes.get(at + 46..at + 46 + name).ok_or(CUT)?).into_owned();
        at += 46 + name + extra + comment;
        if !wanted(&title) {
            continue;
        }
        if [packed, size, local].contains(&0xffff_ffff) {
            return Err(format!("entry {title} of more than 4 GiB"));
        }
        let skip = number(bytes, local + 26, 2).ok_or(CUT)? + number(bytes, local + 28, 2).ok_or(CUT)?;
        let data = bytes.get(local + 30 + skip..local + 30 + skip + packed).ok_or(CUT)?;
        let content = match method {
            0 => data.to_vec(),
            8 => {
                let mut content = Vec::with_capacity(size);
                DeflateDecoder::new(data).read_to_end(&mut content).map_err(|e| format!("entry {title}: {e}"))?;
                content
            }
            other => return Err(format!("entry {title} packed by method {other}")),
        };
        if content.len() != size {
            return Err(format!("entry {title} of {} instead of {size} bytes", content.len()));
        }
        found.push((title, content));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One stored entry, written out by the format's definition.
    fn archive(name: &str, content: &[u8]) -> Vec<u8> {
        let (n, size) = ((name.len() as u16).to_le_bytes(), (content.len() as u32).to_le_bytes());
        let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &size, &size, &n, &[0, 0]].concat();
        let local = [b"PK\x03\x04", &common[..], name.as_bytes(), content].concat();
        let directory = [b"PK\x01\x02\x14\x00", &common[..], &[0; 12], &[0; 2], name.as_bytes()].concat();
        let (length, start) = ((directory.len() as u32).to_le_bytes(), (local.len() as u32).to_le_bytes());
        let end = [b"PK\x05\x06", &[0, 0, 0, 0, 1, 0, 1, 0][..], &length, &start, &[0, 0]].concat();
        [local, directory, end].concat()
    }

    #[test]
    fn a_stored_entry() {
        let bytes = archive("a.npy", b"hello");
        assert_eq!(entries(&bytes, |_| true).unwrap(), [("a.npy".to_string(), b"hello".to_vec())]);
        assert_eq!(entries(&bytes, |n| n == "b").unwrap(), []);
        assert_eq!(entries(b"PK", |_| true).unwrap_err(), "no zip archive");
        assert!(entries(&bytes[10..], |_| true).is_err());
    }
}
