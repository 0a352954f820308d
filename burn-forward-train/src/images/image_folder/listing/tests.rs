use std::fs;

use super::*;
use proptest::prelude::*;
use rstest::rstest;

/// A folder with these files, empty ones, and folders, whose names end in `/`.
fn folder(names: &[&str]) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for name in names {
        let path = home.path().join(name);
        let folder = if name.ends_with('/') { Some(path.as_path()) } else { path.parent() };
        fs::create_dir_all(folder.unwrap()).unwrap();
        if !name.ends_with('/') {
            fs::write(&path, "").unwrap();
        }
    }
    home
}

/// Paths without the folder, with the class of each.
fn named(home: &Path, listing: &Listing) -> Vec<(String, u16)> {
    let name = |path: &Path| path.strip_prefix(home).unwrap().to_str().unwrap().replace('\\', "/");
    listing.files.iter().map(|(path, class)| (name(path), *class)).collect()
}

#[test]
fn classes_and_images_are_in_the_order_of_their_names() {
    let home = folder(&["b/2.png", "b/10.jpg", "b/1.JPEG", "a b/x.Png", "10/y.png", "9/z.jpg"]);
    let listing = list(home.path(), None).unwrap();
    assert_eq!(listing.classes, ["10", "9", "a b", "b"]);
    let files = [("10/y.png", 0), ("9/z.jpg", 1), ("a b/x.Png", 2), ("b/1.JPEG", 3), ("b/10.jpg", 3), ("b/2.png", 3)];
    assert_eq!(named(home.path(), &listing), files.map(|(name, class)| (name.to_string(), class)));
}

#[test]
fn what_is_hidden_or_left_behind_is_passed_over() {
    let names = ["a/1.png", "a/.DS_Store", "a/._1.png", "a/Thumbs.db", ".git/x.png", "__MACOSX/a/1.png", "README.md"];
    let home = folder(&[&names[..], &["b/1.png", "b/.ipynb_checkpoints/", "b/desktop.ini", ".x.png"]].concat());
    let listing = list(home.path(), None).unwrap();
    assert_eq!(named(home.path(), &listing), [("a/1.png".to_string(), 0), ("b/1.png".to_string(), 1)]);
}

#[rstest]
#[case::nothing(&[], "", "no folder in it; needed a folder of images for every class")]
#[case::flat(&["1.png", "2.jpg", "x.txt"], "", "2 images, but no folder in it; needed a folder of images for every class")]
#[case::one(&["a/1.png", ".b/1.png"], "", "one class folder, \"a\"; needed 2 to 65536: a folder of images for every class")]
#[case::beside(&["a/1.png", "b/1.png", "c.jpg"], "c.jpg",
    "an image beside the folders of the classes; needed it in the folder of its class")]
#[case::empty(&["a/1.png", "b/"], "b", "no image; needed at least one PNG or JPEG file")]
#[case::hidden_alone(&["a/1.png", "b/.DS_Store"], "b", "no image; needed at least one PNG or JPEG file")]
#[case::nested(&["a/1.png", "b/c/1.png"], "b/c",
    "a folder among images; needed PNG and JPEG files alone, whose names end in .png, .jpg or .jpeg")]
#[case::other(&["a/1.png", "a/2.webp", "b/1.png"], "a/2.webp",
    "a file of another kind among images; needed PNG and JPEG files alone, whose names end in .png, .jpg or .jpeg")]
#[case::no_ending(&["a/png", "b/1.png"], "a/png",
    "a file of another kind among images; needed PNG and JPEG files alone, whose names end in .png, .jpg or .jpeg")]
#[case::control(&["a/1.png", "b\tc/1.png"], "b\tc",
    "a class folder called \"b\\tc\"; needed a name without control characters")]
fn mistakes_are_named(#[case] names: &[&str], #[case] place: &str, #[case] message: &str) {
    let home = folder(names);
    let place = if place.is_empty() { home.path().to_path_buf() } else { home.path().join(place) };
    let error = list(home.path(), None).unwrap_err().to_string();
    assert_eq!(error, format!("{}: found {message}", place.display()));
}

#[test]
fn known_classes_keep_their_numbers() {
    let home = folder(&["a/1.png", "c/1.png"]);
    let known = ["c", "b", "a"].map(String::from);
    let listing = list(home.path(), Some((&known, "the training images"))).unwrap();
    assert_eq!(listing.classes, known);
    assert_eq!(named(home.path(), &listing), [("c/1.png".to_string(), 0), ("a/1.png".to_string(), 2)]);
    let error = list(home.path(), Some((&known[1..], "the training images"))).unwrap_err().to_string();
    let place = home.path().join("c");
    assert_eq!(
        error,
        format!("{}: found the class \"c\"; needed a class of the training images: \"b\", \"a\"", place.display())
    );
    // One class of several is enough for a test.
    let home = folder(&["b/1.png"]);
    assert_eq!(list(home.path(), Some((&known, "the run"))).unwrap().files[0].1, 1);
}

#[test]
fn many_classes_are_not_all_named() {
    let names: Vec<String> = (0..12).map(|i| i.to_string()).collect();
    assert_eq!(shown(&names), r#""0", "1", "2", "3", "4", "5", "6", "7", "8", "9" and 2 more"#);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let home = folder(&[]);
    assert!(matches!(list(&home.path().join("x"), None), Err(Error::Io { path, .. }) if path.ends_with("x")));
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_do_not_turn_in_circles() {
    use std::os::unix::fs::symlink;

    let home = folder(&["a/1.png", "elsewhere/b/2.png"]);
    let at = |name: &str| home.path().join(name);
    fs::create_dir(at("set")).unwrap();
    symlink(at("a"), at("set/a")).unwrap();
    symlink(at("elsewhere/b"), at("set/b")).unwrap();
    symlink(at("a/1.png"), at("elsewhere/b/link.png")).unwrap();
    let files = named(home.path(), &list(&at("set"), None).unwrap());
    assert_eq!(files, [("set/a/1.png", 0), ("set/b/2.png", 1), ("set/b/link.png", 1)].map(|(n, c)| (n.to_string(), c)));
    symlink(at("nowhere"), at("set/b/gone.png")).unwrap();
    let error = list(&at("set"), None).unwrap_err().to_string();
    let place = at("set/b/gone.png");
    assert_eq!(
        error,
        format!("{}: found a link that leads nowhere; needed a file or a folder at its end", place.display())
    );
    fs::remove_file(&place).unwrap();
    symlink(at("set"), at("set/c")).unwrap();
    assert!(list(&at("set"), None).unwrap_err().to_string().contains("set/c/a: found a folder among images"));
    fs::remove_file(at("set/c")).unwrap();
    symlink(at("set/d"), at("set/d")).unwrap();
    assert!(list(&at("set"), None).unwrap_err().to_string().contains("set/d: found a link that leads nowhere"));
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf8_are_fine_for_files_and_refused_for_classes() {
    use std::os::unix::ffi::OsStrExt;

    let home = folder(&["a/1.png", "b/1.png"]);
    let name = OsStr::from_bytes(b"caf\xe9.png");
    if fs::write(home.path().join("a").join(name), "").is_err() {
        return burn_forward_testing::skip::because("the file system takes no names that are not UTF-8");
    }
    assert_eq!(list(home.path(), None).unwrap().files.len(), 3);
    fs::rename(home.path().join("b"), home.path().join(OsStr::from_bytes(b"caf\xe9"))).unwrap();
    let error = list(home.path(), None).unwrap_err().to_string();
    assert!(error.ends_with("found a class folder called \"caf\\xE9\"; needed a name in UTF-8"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever lies in a folder: what is listed is there, once, in order, and its class is its folder.
    #[test]
    fn any_folder_gives_a_listing_or_an_error(
        names in prop::collection::vec("(a|b|\\.c|D)(/(1|2|x)(\\.png|\\.JPG|\\.txt|/)|/)?", 0..8),
    ) {
        // A name cannot be a file and a folder.
        let mut kept: Vec<&str> = Vec::new();
        for name in &names {
            let bare = |name: &str| name.trim_end_matches('/').to_string();
            let within = |a: &str, b: &str| format!("{}/", bare(b)).starts_with(&format!("{}/", bare(a)));
            let clash = |old: &&str| within(old, name) && !old.ends_with('/') || within(name, old) && !name.ends_with('/');
            if !kept.iter().any(clash) {
                kept.push(name);
            }
        }
        let home = folder(&kept);
        match list(home.path(), None) {
            Ok(Listing { classes, files }) => {
                prop_assert!(classes.len() >= 2 && classes.is_sorted());
                prop_assert!(files.is_sorted_by(|a, b| (a.1, &a.0) < (b.1, &b.0)));
                for (path, class) in &files {
                    prop_assert!(path.is_file());
                    prop_assert_eq!(path.parent().unwrap(), home.path().join(&classes[usize::from(*class)]));
                }
            }
            Err(error) => prop_assert!(error.to_string().contains(": found "), "{}", error),
        }
    }
}
