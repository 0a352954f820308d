//! CIFAR's binary files, for both data sets. The first byte of the input is repeated to fill a whole number of records, since
//! few inputs would do so by chance.
#![no_main]

use std::path::Path;

use burn_forward_train::images::cifar::{Cifar, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for (which, record) in [(Cifar::Ten, 3073), (Cifar::Hundred, 3074)] {
        let origin = Path::new("data_batch_1.bin");
        let read = decode(input, which, origin);
        assert!(read.is_err() || input.len().is_multiple_of(record));
        let Some(first) = input.first() else { continue };
        let mut whole = input.to_vec();
        whole.resize(input.len().next_multiple_of(record), *first);
        // Labels may be out of range, but the size is right.
        if let Ok(set) = decode(&whole, which, origin) {
            assert_eq!(set.len(), whole.len() / record);
        }
    }
});
