//! IDX files of images, in every layout, and of labels. A small file may declare a large size.
#![no_main]

use std::path::Path;

use burn_forward_train::images::{Layout, idx};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let origin = Path::new("input-idx3-ubyte");
    for layout in [None, Some(Layout::ChannelsFirst), Some(Layout::ChannelsLast)] {
        if let Ok(images) = idx::decode_images(input, origin, layout) {
            assert_eq!(images.pixels.len(), images.count() * images.shape.iter().product::<usize>());
        }
    }
    if let Ok(labels) = idx::decode_labels(input, origin) {
        assert!(!labels.is_empty());
    }
});
