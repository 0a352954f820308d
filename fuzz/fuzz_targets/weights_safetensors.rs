//! Import of safetensors: the input is the JSON header, followed by a line of `===` and the values. The target adds the
//! correct length so that the fuzzer gets past it; `weights_pytorch` tries wrong lengths.
#![no_main]

use burn_forward_fuzz::{parts, small_network, write_file};
use burn_forward_train::weights;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let parts = parts(input);
    let header = parts[0];
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(parts.get(1).copied().unwrap_or_default());
    let path = write_file("weights", &file);
    for classifier in [false, true] {
        drop(weights::import(small_network(), &path, classifier));
    }
});
