//! Atomic writing of files, and checksums that tell whether a file has changed.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Prefix of a file's name while it is being written.
const PREFIX: &str = ".burn-forward-";

/// Writes `bytes` to `path` atomically: first to a temporary file beside it, which is then renamed. A reader sees
/// either the old file or the new one, never a part of one, even after a power failure. A symbolic link is kept and
/// leads to the new file. Anything but a regular file (a device, a pipe) is written to directly.
///
/// # Errors
/// [`Error::Write`] if the file cannot be written.
pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<()> {
    let (path, bytes) = (path.as_ref(), bytes.as_ref());
    replace(path, bytes).map_err(|source| Error::Write { path: path.to_path_buf(), source })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Follow a link to its target, so that the link itself is not replaced.
    let path = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(e) if e.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        Err(e) => return Err(e),
    };
    match fs::metadata(&path) {
        Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(found) if !found.is_file() => return File::options().write(true).open(&path)?.write_all(bytes),
        _ => {}
    }
    let folder = folder_of(&path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    // Temporary files are readable by their owner alone. Give this one the permissions of the file it replaces, or
    // those of any new file.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(&folder)?;
    file.write_all(bytes)?;
    if let Ok(old) = fs::metadata(&path) {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|e| e.error)?;
    // The new name has to reach the disk, too. Not every system allows opening a folder.
    #[cfg(unix)]
    File::open(&folder)?.sync_all()?;
    Ok(())
}

/// The folder that contains a file.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Whether a file of this name was left behind by [`write()`], or by Burn, when the program was killed.
pub(crate) fn is_remains(name: &str) -> bool {
    let by_burn = || {
        let (_, number) = name.strip_suffix(".tmp")?.rsplit_once('.')?;
        let (process, count) = number.split_once('-')?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        (is_number(process) && is_number(count)).then_some(())
    };
    name.starts_with(PREFIX) || by_burn().is_some()
}

/// SHA-256 of a file, in hexadecimal digits.
///
/// # Errors
/// Any error from reading the file.
pub(crate) fn sum_of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(sum)),
            n => sum.update(&buffer[..n]),
        }
    }
}

/// The digits of a finished checksum.
pub(crate) fn hexadecimal(sum: Sha256) -> String {
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for text in ["old", "new"] {
            write(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn rights_and_links_stay_as_they_were() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (path, link, fresh) = (folder.path().join("a"), folder.path().join("link"), folder.path().join("fresh"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        fs::write(&path, "old").unwrap();
        // The permissions that any program gives a new file here.
        let usual = mode(&path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("a", &link).unwrap();
        write(&link, "new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((fs::read_to_string(&path).unwrap(), mode(&path)), ("new".into(), 0o640));
        write(&fresh, "").unwrap();
        assert_eq!(mode(&fresh), usual);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_a_failed_write_and_stays_a_device() {
        let error = write("/dev/full", "x").unwrap_err();
        assert!(
            matches!(&error, Error::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull),
            "{error}"
        );
        assert!(!error.is_input());
        assert!(!fs::metadata("/dev/full").unwrap().is_file());
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(matches!(write(&taken, "x"), Err(Error::Write { .. })));
        assert!(matches!(write(folder.path().join("no/such"), "x"), Err(Error::Write { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn remains_are_known_by_their_names() {
        for name in [".burn-forward-x7Gh2k", "model-4.bpk.3121-0.tmp"] {
            assert!(is_remains(name), "{name}");
        }
        for name in ["model-4.bpk", ".lock", "notes.tmp", "a.1.tmp", "a.-.tmp", "a.x-1.tmp"] {
            assert!(!is_remains(name), "{name}");
        }
    }

    #[test]
    fn a_sum_is_that_of_the_standard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        // The first example of FIPS 180-2.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sum_of_file(&path).unwrap(), expected);
    }
}
