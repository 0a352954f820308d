//! Reading files that a user names, safely: with a limit on their size, and without reading endless ones.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::{Error, Result};

/// Opens a regular file. Folders, devices and pipes are rejected, since a device such as `/dev/zero` never ends.
///
/// # Errors
/// [`Error::Io`] if it cannot be opened, [`Error::Data`] if it is not a regular file.
pub fn open(path: &Path) -> Result<BufReader<File>> {
    // Check before opening: opening a pipe would wait for its writer.
    let kind = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.file_type();
    if !kind.is_file() {
        let found = if kind.is_dir() { "a folder" } else { "a device or a pipe" };
        return Err(Error::data(path, found, "a regular file"));
    }
    File::open(path).map(BufReader::new).map_err(|e| Error::io(path, e))
}

/// The bytes of a regular file.
///
/// # Errors
/// The errors of [`open`], and [`Error::Io`] if it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    Ok(bytes)
}

/// The text of a file of any kind, including pipes, with at most `limit` bytes. The error for a longer file says `what` it
/// should be.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::Data`] if it is longer or not UTF-8.
pub fn read_text(path: &Path, limit: u64, what: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    if bytes.len() as u64 > limit {
        return Err(Error::data(path, format!("more than {limit} bytes"), what));
    }
    String::from_utf8(bytes)
        .map_err(|e| Error::data(path, format!("invalid UTF-8 at byte {}", e.utf8_error().valid_up_to()), what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_or_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "ab\u{e9}").unwrap();
        assert_eq!(read(&path).unwrap(), "ab\u{e9}".as_bytes());
        assert_eq!(read_text(&path, 4, "a config").unwrap(), "ab\u{e9}");
        let name = path.display();
        let error = read_text(&path, 3, "a config").unwrap_err().to_string();
        assert_eq!(error, format!("{name}: found more than 3 bytes; needed a config"));
        std::fs::write(&path, [b'a', 0xff]).unwrap();
        let error = read_text(&path, 9, "a config").unwrap_err().to_string();
        assert_eq!(error, format!("{name}: found invalid UTF-8 at byte 1; needed a config"));
        let error = read(folder.path()).unwrap_err().to_string();
        assert_eq!(error, format!("{}: found a folder; needed a regular file", folder.path().display()));
        assert!(matches!(read(&folder.path().join("nowhere")), Err(Error::Io { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn a_device_without_an_end_is_refused() {
        let error = read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(error, "/dev/zero: found a device or a pipe; needed a regular file");
        let error = read_text(Path::new("/dev/zero"), 1000, "a config").unwrap_err().to_string();
        assert_eq!(error, "/dev/zero: found more than 1000 bytes; needed a config");
    }
}
