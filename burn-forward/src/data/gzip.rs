//! Files that may be gzipped, which their content says and not their name.

use std::io::{self, BufRead, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::Error;

/// The reader itself, or what its gzip stream holds.
///
/// # Errors
/// What the reader says of its first bytes.
pub fn decompressed<'a>(mut reader: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let gzipped = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if gzipped { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) })
}

/// What an error of such a reader is to a user: a stream that breaks off or is damaged is the file's fault, anything else the
/// system's.
pub fn unreadable(path: &Path, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => Error::data(path, "a gzip stream that breaks off", "a whole one"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            Error::data(path, format!("a damaged gzip stream ({source})"), "a whole one")
        }
        _ => Error::io(path, source),
    }
}
