//! A stream that may be gzipped; a plain stream must pass through unchanged.
#![no_main]

use std::io::Read;

use burn_forward::data::gzip::decompressed;
use libfuzzer_sys::fuzz_target;

/// Maximum number of bytes read from a stream: a short one can decompress to gigabytes.
const LIMIT: u64 = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let reader = decompressed(input).expect("a slice can be read");
    let mut read = Vec::new();
    let result = reader.take(LIMIT).read_to_end(&mut read);
    if !input.starts_with(&[0x1f, 0x8b]) {
        result.expect("a plain stream is passed on");
        assert_eq!(read, &input[..input.len().min(LIMIT as usize)]);
    }
});
