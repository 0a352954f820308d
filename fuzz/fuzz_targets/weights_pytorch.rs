//! Import of a weights file of any kind: a PyTorch checkpoint (pickle or zip), safetensors, or neither.
#![no_main]

use burn_forward_fuzz::{small_network, write_file};
use burn_forward_train::weights;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let path = write_file("weights", input);
    for classifier in [false, true] {
        drop(weights::import(small_network(), &path, classifier));
    }
});
