//! PNG and JPEG files, as they are and converted. A file of small size may announce a large image.
#![no_main]

use std::path::Path;

use burn_forward_train::images::image_folder::{Conversion, decode, is_image};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let origin = Path::new("input.png");
    for (channels, size) in [(None, None), (Some(1), Some([3, 5])), (Some(3), Some([8, 2]))] {
        let conversion = Conversion { channels, size };
        if let Ok(picture) = decode(input, origin, conversion) {
            assert!(is_image(input));
            assert_eq!(picture.pixels.len(), picture.shape.iter().product::<usize>());
            assert!(channels.is_none_or(|channels| channels == picture.shape[0]));
            assert!(size.is_none_or(|size| size == picture.shape[1..]));
        }
    }
});
