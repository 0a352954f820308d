//! Files that may be gzipped, which is detected from their content, not their name.

use std::io::{self, BufRead, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::Error;

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The reader itself, or the content of its gzip stream. As with `gzip`, this includes all members and ignores zeros after
/// the last one, which programs that write whole blocks append.
///
/// # Errors
/// Any error from reading the first bytes.
pub fn decompressed<'a>(mut reader: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let gzipped = reader.fill_buf()?.starts_with(&MAGIC);
    Ok(if gzipped { Box::new(Members { member: Some(GzDecoder::new(reader)) }) } else { Box::new(reader) })
}

/// The members of a gzip stream, one after another.
struct Members<R> {
    /// The current member; `None` after the last one, or after an error.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            self.member = self.member.take().map(GzDecoder::into_inner).map(next_member).transpose()?.flatten();
        }
        Ok(0)
    }
}

/// What follows a member: another one, or the end after any number of zeros.
fn next_member<R: BufRead>(mut reader: R) -> io::Result<Option<GzDecoder<R>>> {
    let mut padded = false;
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        if zeros == bytes.len() {
            padded = true;
            reader.consume(zeros);
            continue;
        }
        // If the buffer contains only one byte of a header, the decoder has to check it.
        if padded || zeros > 0 || bytes[0] != MAGIC[0] {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes after its end"));
        }
        return Ok(Some(GzDecoder::new(reader)));
    }
}

/// The error for a failed read of such a reader: a truncated or damaged stream is a fault of the file, anything else one of
/// the system.
pub fn unreadable(path: &Path, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => Error::data(path, "a truncated gzip stream", "a complete one"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            Error::data(path, format!("a damaged gzip stream ({source})"), "a complete one")
        }
        _ => Error::io(path, source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use rstest::rstest;
    use std::io::{BufReader, Write};

    fn gz(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    /// The output of `gzip -dc`, which is the oracle; `None` if it fails. With a small buffer, every boundary occurs within
    /// it.
    #[rstest]
    #[case::plain(b"plain".to_vec(), Some("plain"))]
    #[case::one(gz("one"), Some("one"))]
    #[case::two([gz("one "), gz("two")].concat(), Some("one two"))]
    #[case::a_zero([gz("one"), vec![0]].concat(), Some("one"))]
    #[case::a_block_of_zeros([gz("one"), gz(""), vec![0; 1000]].concat(), Some("one"))]
    #[case::garbage([gz("one"), b"more".to_vec()].concat(), None)]
    #[case::garbage_behind_zeros([gz("one"), vec![0; 9], b"more".to_vec()].concat(), None)]
    #[case::member_behind_zeros([gz("one"), vec![0; 9], gz("two")].concat(), None)]
    #[case::cut(gz("one")[..12].to_vec(), None)]
    fn streams_are_read_as_gzip_does(
        #[case] bytes: Vec<u8>,
        #[case] expected: Option<&str>,
        #[values(1, 7, 4096)] buffer: usize,
    ) {
        // The magic number must be in the first buffer.
        let buffer = buffer.max(2);
        let mut text = String::new();
        let read = decompressed(BufReader::with_capacity(buffer, &bytes[..])).unwrap().read_to_string(&mut text);
        assert_eq!(read.is_ok(), expected.is_some(), "{read:?}");
        assert!(expected.is_none_or(|expected| text == expected), "{text}");
    }
}
