//! The class folders of a set and the image files in them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use burn_forward::{Error, Result};

/// Endings of the names of image files, in lower case.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// What file managers leave in folders, beside names that begin with a dot; in lower case.
const LEFT_BEHIND: [&str; 3] = ["thumbs.db", "desktop.ini", "__macosx"];

/// Most classes: a label has two bytes.
const MOST_CLASSES: usize = 1 << 16;

/// The images of a set, by class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing {
    /// Name of every class, in order.
    pub(super) classes: Vec<String>,
    /// Every image with its class: class by class, in the order of the files' names.
    pub(super) files: Vec<(PathBuf, u16)>,
}

/// Lists a folder with one folder per class. Classes are in the order of their names, or as in `known` where a network or a
/// training set knows them already, `whose` classes they are.
///
/// Names that begin with a dot and what file managers leave behind are passed over, and so are files beside the class
/// folders that are no images. Links are followed.
///
/// # Errors
/// [`Error::Data`] for fewer than two classes, a class folder without an image or with anything but images, an image beside
/// the class folders, a class that is not known, a link that leads nowhere; [`Error::Io`] for what cannot be read.
pub(super) fn list(folder: &Path, known: Option<(&[String], &str)>) -> Result<Listing> {
    let (mut folders, mut images) = (Vec::new(), Vec::new());
    for entry in entries(folder)? {
        match entry.kind {
            Kind::Folder => folders.push(entry.path),
            Kind::Image => images.push(entry.path),
            Kind::Other => {}
        }
    }
    let needed = "a folder of images for every class";
    if folders.is_empty() {
        let found = match images.len() {
            0 => "no folder in it".to_string(),
            n => format!("{n} images, but no folder in it"),
        };
        return Err(Error::data(folder, found, needed));
    }
    if let Some(image) = images.first() {
        return Err(Error::data(image, "an image beside the folders of the classes", "it in the folder of its class"));
    }
    let names = folders.iter().map(|path| class_name(path)).collect::<Result<Vec<_>>>()?;
    if known.is_none() && !(2..=MOST_CLASSES).contains(&names.len()) {
        let found = match names.len() {
            1 => format!("one class folder, \"{}\"", names[0]),
            n => format!("{n} class folders"),
        };
        return Err(Error::data(folder, found, format!("2 to {MOST_CLASSES}: {needed}")));
    }
    let mut files = Vec::new();
    for (i, (path, name)) in folders.iter().zip(&names).enumerate() {
        let class = match known {
            None => i,
            Some((classes, whose)) => classes.iter().position(|class| class == name).ok_or_else(|| {
                Error::data(path, format!("the class \"{name}\""), format!("a class of {whose}: {}", shown(classes)))
            })?,
        };
        files.extend(images_in(path)?.into_iter().map(|file| (file, class as u16)));
    }
    // Known classes need not be in the order of their names.
    files.sort_by_key(|(_, class)| *class);
    Ok(Listing { classes: known.map_or(names, |(classes, _)| classes.to_vec()), files })
}

/// The image files of a folder, in the order of their names.
///
/// # Errors
/// [`Error::Data`] if there is none, or anything else than images: a folder, or a file whose name has another ending than
/// `.png`, `.jpg` and `.jpeg`; [`Error::Io`] if the folder cannot be read.
pub fn images_in(folder: &Path) -> Result<Vec<PathBuf>> {
    const NEEDED: &str = "PNG and JPEG files alone, whose names end in .png, .jpg or .jpeg";
    let mut images = Vec::new();
    for Entry { path, kind } in entries(folder)? {
        match kind {
            Kind::Image => images.push(path),
            Kind::Folder => return Err(Error::data(path, "a folder among images", NEEDED)),
            Kind::Other => return Err(Error::data(path, "a file of another kind among images", NEEDED)),
        }
    }
    match images.is_empty() {
        true => Err(Error::data(folder, "no image", "at least one PNG or JPEG file")),
        false => Ok(images),
    }
}

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    /// By its name.
    Image,
    Other,
}

#[derive(Debug)]
struct Entry {
    path: PathBuf,
    kind: Kind,
}

/// What is in a folder and not hidden, in the order of the names.
fn entries(folder: &Path) -> Result<Vec<Entry>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        names.push(entry.map_err(|e| Error::io(folder, e))?.file_name());
    }
    names.retain(|name| !is_passed_over(name));
    names.sort_unstable();
    let entry = |name: std::ffi::OsString| {
        let path = folder.join(name);
        // Follows links.
        let kind = match std::fs::metadata(&path) {
            Ok(kind) if kind.is_dir() => Kind::Folder,
            Ok(_) if has_image_ending(&path) => Kind::Image,
            Ok(_) => Kind::Other,
            Err(_) if path.is_symlink() => {
                return Err(Error::data(path, "a link that leads nowhere", "a file or a folder at its end"));
            }
            Err(error) => return Err(Error::io(path, error)),
        };
        Ok(Entry { path, kind })
    };
    names.into_iter().map(entry).collect()
}

fn is_passed_over(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".") || LEFT_BEHIND.iter().any(|left| name.eq_ignore_ascii_case(left))
}

fn has_image_ending(path: &Path) -> bool {
    path.extension().is_some_and(|found| ENDINGS.iter().any(|ending| found.eq_ignore_ascii_case(ending)))
}

/// The name of a class: it is written into run folders and tables.
fn class_name(folder: &Path) -> Result<String> {
    let name = folder.file_name().unwrap_or_default();
    match name.to_str() {
        Some(name) if !name.contains(char::is_control) => Ok(name.to_owned()),
        Some(_) => {
            Err(Error::data(folder, format!("a class folder called {name:?}"), "a name without control characters"))
        }
        None => Err(Error::data(folder, format!("a class folder called {name:?}"), "a name in UTF-8")),
    }
}

/// Names for an error, not too many.
fn shown(names: &[String]) -> String {
    const MOST: usize = 10;
    let quoted: Vec<_> = names.iter().take(MOST).map(|name| format!("\"{name}\"")).collect();
    match names.len() {
        n if n > MOST => format!("{} and {} more", quoted.join(", "), n - MOST),
        _ => quoted.join(", "),
    }
}

#[cfg(test)]
mod tests;
