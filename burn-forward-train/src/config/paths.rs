//! Paths in a config that is written to another folder.

use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use burn_forward::data::DataFolders;

/// The config values that may be paths.
fn pointers() -> impl Iterator<Item = String> {
    DataFolders::SETTINGS.iter().map(|setting| format!("/data/{setting}")).chain(["/weights/file".to_string()])
}

/// Rewrites the relative paths in `config` so that they are relative to `folder`, where the config will be written.
///
/// A path that exists beside the config or in the current folder becomes the relative path from `folder` to it. It is
/// then found from `folder`, even after both were moved together. Absolute paths, paths that do not exist, and paths
/// that JSON cannot represent are left unchanged.
pub fn relative_to(config: &mut Value, folder: &Path, folders: &DataFolders) {
    for pointer in pointers() {
        let Some(value) = config.pointer_mut(&pointer) else { continue };
        let Some(path) = value.as_str().map(Path::new).filter(|path| path.is_relative()) else { continue };
        // A config given by its file name alone has an empty folder, which means the current one.
        let mut bases = folders.config.iter().map(|base| Path::new(".").join(base)).chain([PathBuf::from(".")]);
        let there = bases.find(|base| base.join(path).exists());
        let way = there.and_then(|base| way(&folder.canonicalize().ok()?, &base.canonicalize().ok()?, path));
        // Beyond a symbolic link, `..` may lead somewhere other than the names suggest.
        let way = way.filter(|way| folder.join(way).exists());
        if let Some(way) = way.as_deref().and_then(Path::to_str) {
            *value = json!(way);
        }
    }
}

/// The relative path from `folder` to `path`, which is absolute or relative to the current folder; `None` if a folder
/// does not exist.
pub fn relative_path(folder: &Path, path: &Path) -> Option<PathBuf> {
    way(&folder.canonicalize().ok()?, &Path::new(".").canonicalize().ok()?, path)
}

/// The relative path from the folder `from` to `path` in the folder `base`. Both folders are canonical, so `..` leads
/// where it does in the file system. `None` if there is no such path, as between two drives.
fn way(from: &Path, base: &Path, path: &Path) -> Option<PathBuf> {
    let mut to = base.to_path_buf();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                to.pop();
            }
            Component::CurDir => {}
            // The root replaces everything before it.
            part => to.push(part),
        }
    }
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    if shared == 0 {
        return None;
    }
    let way: PathBuf = up.chain(to.components().skip(shared)).collect();
    Some(if way.as_os_str().is_empty() { PathBuf::from(".") } else { way })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/p/runs/a", "/p/configs", "set", "../../configs/set")]
    #[case("/p/runs/a", "/p/configs", "../sets/./x", "../../sets/x")]
    #[case("/p", "/p", "set", "set")]
    #[case("/p/set", "/p", "set", ".")]
    #[case("/p/r", "/q", "set", "../../q/set")]
    #[case("/p/r", "/q", "/p/set", "../set")]
    fn the_way_leads_there(#[case] from: &str, #[case] base: &str, #[case] path: &str, #[case] expected: &str) {
        assert_eq!(way(Path::new(from), Path::new(base), Path::new(path)), Some(PathBuf::from(expected)));
    }

    #[test]
    fn what_is_there_is_found_from_the_new_folder() {
        let home = tempfile::tempdir().unwrap();
        for folder in ["configs/set", "runs/a"] {
            std::fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        std::fs::write(home.path().join("configs/w.pth"), "").unwrap();
        let folders = DataFolders { config: Some(home.path().join("configs")), ..DataFolders::default() };
        let run = home.path().join("runs/a");
        let mut config = json!({"data": {"path": "set"}, "weights": {"file": "w.pth"}});
        relative_to(&mut config, &run, &folders);
        assert_eq!(config, json!({"data": {"path": "../../configs/set"}, "weights": {"file": "../../configs/w.pth"}}));
        // Reading it from there and writing it there again does not change it.
        let again = DataFolders { config: Some(run.clone()), ..DataFolders::default() };
        let mut read = config.clone();
        relative_to(&mut read, &run, &again);
        assert_eq!(read, config);
        let mut config = json!({"data": {"train": "set", "test": 0.2}});
        relative_to(&mut config, &run, &folders);
        assert_eq!(config, json!({"data": {"train": "../../configs/set", "test": 0.2}}));
        for kept in [json!({"data": {"path": "nowhere"}}), json!({"data": {"path": home.path().join("configs/set")}})] {
            let mut config = kept.clone();
            relative_to(&mut config, &run, &folders);
            assert_eq!(config, kept);
        }
    }
}
