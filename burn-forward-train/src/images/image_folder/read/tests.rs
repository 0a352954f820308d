use std::fs;

use super::*;
use crate::images::image_folder::decode::Picture;

const AS_IT_IS: Conversion = Conversion { channels: None, size: None };

/// A grey PNG of `[H, W]` whose pixels are all `value`.
fn grey(path: &Path, [height, width]: [u32; 2], value: u8) {
    let pixels = vec![value; (height * width) as usize];
    image::save_buffer(path, &pixels, width, height, image::ExtendedColorType::L8).unwrap();
}

fn files(folder: &Path, names: impl IntoIterator<Item = String>) -> Vec<(PathBuf, u16)> {
    names.into_iter().map(|name| (folder.join(name), 0)).collect()
}

#[test]
fn images_are_in_the_order_of_the_files() {
    let home = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for i in 0..60u8 {
        let path = home.path().join(format!("{i}.png"));
        grey(&path, [2, 3], i);
        all.push((path, u16::from(i % 4)));
    }
    let needed = Needed::as_in(&all[0].0, AS_IT_IS).unwrap();
    assert_eq!(needed.shape, [1, 2, 3]);
    let set = read(&all, 4, AS_IT_IS, &needed).unwrap();
    assert_eq!((set.len(), set.shape(), set.classes(), set.scale()), (60, [1, 2, 3], 4, 255.0));
    for i in 0..60 {
        assert_eq!((set.image(i), set.label(i)), (&[i as u8; 6][..], i % 4));
    }
    let paths: Vec<PathBuf> = all.iter().map(|(path, _)| path.clone()).collect();
    assert_eq!(read_files(&paths, AS_IT_IS, [1, 2, 3]).unwrap(), set.pixels());
    // Stretched and in three channels, as every file by itself.
    let conversion = Conversion { channels: Some(3), size: Some([4, 4]) };
    let converted = read_files(&paths, conversion, [3, 4, 4]).unwrap();
    for (i, pixels) in converted.chunks(48).enumerate() {
        let alone = crate::images::image_folder::decode(&fs::read(&paths[i]).unwrap(), &paths[i], conversion).unwrap();
        assert_eq!(alone, Picture { pixels: pixels.to_vec(), shape: [3, 4, 4] });
    }
}

/// However many threads read them.
#[test]
fn the_first_file_that_differs_is_named() {
    let home = tempfile::tempdir().unwrap();
    let all = files(home.path(), (0..200).map(|i| format!("{i:03}.png")));
    for (i, (path, _)) in all.iter().enumerate() {
        let width = if i >= 120 { 4 } else { 3 };
        grey(path, [2, width], 7);
    }
    image::save_buffer(&all[150].0, &[0; 18], 3, 2, image::ExtendedColorType::Rgb8).unwrap();
    fs::write(&all[170].0, "x").unwrap();
    let needed = Needed::as_in(&all[0].0, AS_IT_IS).unwrap();
    let at = |i: usize| all[i].0.display().to_string();
    let expected = format!(
        "{}: found an image of 1x2x4; needed 1x2x3 (channels x height x width), as {} has; $.data.size would convert it",
        at(120),
        at(0)
    );
    for _ in 0..20 {
        assert_eq!(read(&all, 1, AS_IT_IS, &needed).unwrap_err().to_string(), expected);
    }
    let resizing = Conversion { channels: None, size: Some([2, 3]) };
    let said = read(&all, 1, resizing, &Needed::as_in(&all[0].0, resizing).unwrap()).unwrap_err().to_string();
    assert_eq!(
        said,
        format!(
            "{}: found an image of 3x2x3; needed 1x2x3 (channels x height x width), as {} has; $.data.channels would \
             convert it",
            at(150),
            at(0)
        )
    );
    let converting = Conversion { channels: Some(1), ..resizing };
    let said = read(&all, 1, converting, &needed).unwrap_err().to_string();
    assert_eq!(said, format!("{}: found a file that is no image; needed a PNG or JPEG file", at(170)));
    let said = read_files(&[all[130].0.clone()], AS_IT_IS, [3, 8, 8]).unwrap_err().to_string();
    let needed = "3x8x8 (channels x height x width), as the run was trained on";
    assert_eq!(said, format!("{}: found an image of 1x2x4; needed {needed}", at(130)));
}

#[test]
fn more_than_memory_takes_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let all = files(home.path(), (0..4).map(|i| i.to_string()));
    let needed = Needed::trained([usize::MAX / 2, 1, 1]);
    let said = read(&all, 1, AS_IT_IS, &needed).unwrap_err().to_string();
    assert!(said.ends_with("needed as many as fit memory: fewer, or a smaller $.data.size"), "{said}");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("x.png");
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let said = read_files(std::slice::from_ref(&path), AS_IT_IS, [1, 1, 1]).unwrap_err().to_string();
    assert_eq!(said, format!("{}: found a device or a pipe; needed a regular file", path.display()));
    assert!(matches!(read_files(&[home.path().join("y.png")], AS_IT_IS, [1, 1, 1]), Err(Error::Io { .. })));
}
