//! Locations of data sets.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::{Error, Result};

/// The environment variable that names the data folder.
const VARIABLE: &str = "BURN_FORWARD_DATA";

/// The folders in which data sets are searched for.
///
/// A `path` in the config names the folder of the data set, either absolute, or relative to the config's folder or the
/// current one. Without a `path`, the data set is searched for by its name (`mnist`, `cifar10`, ...) in the data folder. This
/// is the `--data` argument, or else the environment variable `BURN_FORWARD_DATA`, or else `burn-forward/data` in the
/// platform's cache folder. Only the first of these that is given is used, so that data never comes from a place other than
/// the requested one.
///
/// For the same reason the `--data` argument replaces the place that a `path` names. The data set is then this folder itself,
/// or is in it under the path, the path without its first components, or its last component alone. Where settings name two
/// folders (`train` and `test`), neither is the folder itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataFolders {
    /// Folder of the config file; a relative `path` is looked for there first, then in the current folder.
    pub config: Option<PathBuf>,
    /// Where a run found its data set when it was trained, by the [setting](Self::SETTINGS) that names the place; used if the
    /// set is no longer where the config says.
    pub recorded: BTreeMap<String, PathBuf>,
    /// The `--data` argument.
    pub argument: Option<PathBuf>,
    /// The folder in `BURN_FORWARD_DATA`.
    pub environment: Option<PathBuf>,
    /// The default data folder.
    pub cache: Option<PathBuf>,
}

impl DataFolders {
    /// The settings in `$.data` that may name a folder or a file of a data set.
    pub const SETTINGS: [&str; 3] = ["path", "train", "test"];

    /// The folders of this process. An empty variable counts as unset.
    pub fn new(config: Option<&Path>, argument: Option<&Path>) -> Self {
        let environment = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            config: config.map(Path::to_path_buf),
            recorded: BTreeMap::new(),
            argument: argument.map(Path::to_path_buf),
            environment,
            cache: dirs::cache_dir().map(|cache| cache.join("burn-forward").join("data")),
        }
    }

    /// The location of the `path` that a [setting](Self::SETTINGS) of the config gives; `None` if it does not exist.
    pub fn locate(&self, setting: &str, path: &str) -> Option<PathBuf> {
        self.places(setting, path).into_iter().find(|place| place.exists())
    }

    /// The data folder, whether or not it exists.
    ///
    /// # Errors
    /// [`Error::Data`] if none is given and the platform has no cache folder.
    pub fn root(&self) -> Result<&Path> {
        let root = self.argument.as_ref().or(self.environment.as_ref()).or(self.cache.as_ref());
        root.map(PathBuf::as_path).ok_or_else(|| {
            let needed = format!("--data FOLDER, {VARIABLE} or $.data.path");
            Error::data("data folder", "no cache folder on this platform", needed)
        })
    }

    /// The folder of a data set: the one that a `path` of the config names, or else the one called `name` in the data folder.
    ///
    /// # Errors
    /// [`Error::Data`] if it does not exist, with the folders that were searched and what is `needed` there.
    pub fn folder_of(&self, name: &str, path: Option<&str>, needed: impl Fn() -> String) -> Result<PathBuf> {
        match path {
            Some(path) => self.folder_at("path", path, needed),
            None => first(&[self.root()?.join(name)], Path::is_dir, "folder", needed),
        }
    }

    /// The folder at the `path` that a [setting](Self::SETTINGS) of the config gives.
    ///
    /// # Errors
    /// As [`folder_of`](Self::folder_of).
    pub fn folder_at(&self, setting: &str, path: &str, needed: impl Fn() -> String) -> Result<PathBuf> {
        first(&self.places(setting, path), Path::is_dir, "folder", needed)
    }

    /// A file or folder for a data set of another crate: `path` relative to the config's folder, the current folder or the
    /// data folder; with a `--data` argument, relative to that alone.
    ///
    /// # Errors
    /// [`Error::Data`] if it does not exist, with the places that were searched and what is `needed` there.
    pub fn find(&self, path: &str, needed: &str) -> Result<PathBuf> {
        let mut candidates = self.places("path", path);
        candidates.extend(self.root().ok().map(|root| root.join(path)));
        candidates.dedup();
        first(&candidates, Path::exists, "file or folder", || format!("{needed}; {}", Self::advice()))
    }

    /// Advice for error messages on how to specify the location of data.
    pub fn advice() -> String {
        format!("another place can be given with --data FOLDER, {VARIABLE} or $.data.path")
    }

    /// Possible places of the `path` of a setting, in search order.
    fn places(&self, setting: &str, path: &str) -> Vec<PathBuf> {
        let mut places = match &self.argument {
            Some(folder) => {
                let mut places = within(folder, Path::new(path));
                // Two folders are not the same one.
                if setting != "path" && places.len() > 1 {
                    places.pop();
                }
                places
            }
            None => {
                let mut places = self.beside_config(path);
                // Before the current folder, which is unrelated to a run that is opened again.
                let last = places.len() - 1;
                places.splice(last..last, self.recorded.get(setting).cloned());
                places
            }
        };
        places.dedup();
        places
    }

    /// A path relative to the config, and one relative to the current folder.
    pub fn beside_config(&self, path: &str) -> Vec<PathBuf> {
        // An absolute path replaces the folder it is joined to.
        let mut candidates: Vec<_> = self.config.iter().map(|folder| folder.join(path)).collect();
        candidates.push(PathBuf::from(path));
        candidates
    }
}

/// What `path` may mean in `folder`: the path, its tails from the longest to the shortest, and the folder itself.
fn within(folder: &Path, path: &Path) -> Vec<PathBuf> {
    let names: Vec<_> = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    let ends = (0..names.len()).map(|first| folder.join(names[first..].iter().collect::<PathBuf>()));
    ends.chain([folder.to_path_buf()]).collect()
}

/// The first candidate that exists.
fn first(
    candidates: &[PathBuf],
    is_there: impl Fn(&Path) -> bool,
    kind: &str,
    needed: impl Fn() -> String,
) -> Result<PathBuf> {
    if let Some(folder) = candidates.iter().find(|folder| is_there(folder)) {
        return Ok(folder.clone());
    }
    let found = match &candidates[1..] {
        [] => format!("no such {kind}"),
        others => {
            let others: Vec<_> = others.iter().map(|folder| folder.display().to_string()).collect();
            format!("no such {kind}, and no {} either", others.join(", "))
        }
    };
    Err(Error::data(&candidates[0], found, needed()))
}
