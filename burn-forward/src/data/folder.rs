//! Where the files of a data set are.

use std::path::{Component, Path, PathBuf};

use super::{DataConfig, DataName};
use crate::{Error, Result};

/// The environment variable that names the data folder.
const VARIABLE: &str = "BURN_FORWARD_DATA";

/// The folders to look in.
///
/// A `path` in the config names the set's own folder: absolute, or relative to the config's folder or the current one.
/// Without a `path` the set is looked for by its name (`mnist`, `cifar10`, ..) in the data folder: the `--data` argument,
/// else the environment variable `BURN_FORWARD_DATA`, else `burn-forward/data` in the platform's cache folder. Only the
/// first of these that is given is looked at, so data is never taken from another place than the one that was asked for.
///
/// For the same reason the `--data` argument replaces the place that a `path` names: the set is then the folder itself, or
/// lies in it under the path, the path without its first parts, or its last part alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataFolders {
    /// Folder of the config file; a relative `path` is looked for there first, then in the current folder.
    pub config: Option<PathBuf>,
    /// Where a run found its set when it was trained: looked at when the set is no longer where the config says.
    pub recorded: Option<PathBuf>,
    /// The `--data` argument.
    pub argument: Option<PathBuf>,
    /// `BURN_FORWARD_DATA`.
    pub environment: Option<PathBuf>,
    /// The default data folder.
    pub cache: Option<PathBuf>,
}

impl DataFolders {
    /// The folders of this process. An empty variable counts as none.
    pub fn new(config: Option<&Path>, argument: Option<&Path>) -> Self {
        let environment = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            config: config.map(Path::to_path_buf),
            recorded: None,
            argument: argument.map(Path::to_path_buf),
            environment,
            cache: dirs::cache_dir().map(|cache| cache.join("burn-forward").join("data")),
        }
    }

    /// Where a `path` of the config is; `None` if it is nowhere.
    pub fn locate(&self, path: &str) -> Option<PathBuf> {
        self.places(path).into_iter().find(|place| place.exists())
    }

    /// The data folder, without a look whether it exists.
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

    /// The folder with the files of a set.
    ///
    /// # Errors
    /// [`Error::Data`] if it does not exist, with the folders that were looked at and the public source of the files.
    pub fn resolve(&self, config: &DataConfig) -> Result<PathBuf> {
        let candidates = match &config.path {
            Some(path) => self.places(path),
            None => vec![self.root()?.join(config.name.name())],
        };
        first(&candidates, Path::is_dir, "folder", || needed(config.name))
    }

    /// A file or folder of a data set of another crate: `path` relative to the config's folder, to the current one, or to
    /// the data folder; with a `--data` argument only there.
    ///
    /// # Errors
    /// [`Error::Data`] if there is none, with the places that were looked at and what is `needed` there.
    pub fn find(&self, path: &str, needed: &str) -> Result<PathBuf> {
        let mut candidates = self.places(path);
        candidates.extend(self.root().ok().map(|root| root.join(path)));
        candidates.dedup();
        first(&candidates, Path::exists, "file or folder", || {
            format!("{needed}; another place can be given with --data FOLDER, {VARIABLE} or $.data.path")
        })
    }

    /// Where a `path` may be, in the order of search.
    fn places(&self, path: &str) -> Vec<PathBuf> {
        let mut places = match &self.argument {
            Some(folder) => within(folder, Path::new(path)),
            None => {
                let mut places = self.beside(path);
                // Before the current folder, which has nothing to do with a run that is opened again.
                let last = places.len() - 1;
                places.splice(last..last, self.recorded.clone());
                places
            }
        };
        places.dedup();
        places
    }

    /// A path beside the config, and in the current folder.
    pub(crate) fn beside(&self, path: &str) -> Vec<PathBuf> {
        // An absolute path replaces the folder it is joined to.
        let mut candidates: Vec<_> = self.config.iter().map(|folder| folder.join(path)).collect();
        candidates.push(PathBuf::from(path));
        candidates
    }
}

/// What may be meant by `path` in `folder`: the path, its ends from the longest to the shortest, and the folder itself.
fn within(folder: &Path, path: &Path) -> Vec<PathBuf> {
    let names: Vec<_> = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    let ends = (0..names.len()).map(|first| folder.join(names[first..].iter().collect::<PathBuf>()));
    ends.chain([folder.to_path_buf()]).collect()
}

/// The first of the candidates that is there.
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

fn needed(name: DataName) -> String {
    let elsewhere = format!("another place can be given with --data FOLDER, {VARIABLE} or $.data.path");
    match name {
        DataName::Idx => "the folder with the files of \"idx\"".into(),
        _ => format!("the folder with the files of \"{}\"; {}; {elsewhere}", name.name(), name.origin()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_path(name: DataName, path: &str) -> DataConfig {
        DataConfig { path: Some(path.into()), ..DataConfig::new(name) }
    }

    #[test]
    fn the_first_given_folder_counts() {
        let home = tempfile::tempdir().unwrap();
        let [argument, environment, cache] = ["a", "e", "c"].map(|name| {
            std::fs::create_dir_all(home.path().join(name).join("mnist")).unwrap();
            home.path().join(name)
        });
        let config = DataConfig::new(DataName::Mnist);
        let mut folders = DataFolders {
            config: None,
            recorded: None,
            argument: Some(argument.clone()),
            environment: Some(environment.clone()),
            cache: Some(cache.clone()),
        };
        assert_eq!(folders.resolve(&config).unwrap(), argument.join("mnist"));
        folders.argument = None;
        assert_eq!(folders.resolve(&config).unwrap(), environment.join("mnist"));
        folders.environment = None;
        assert_eq!(folders.resolve(&config).unwrap(), cache.join("mnist"));
        folders.argument = Some(home.path().join("x"));
        assert!(folders.resolve(&config).is_err(), "what was asked for is not there: no fallback");
        folders = DataFolders::default();
        assert_eq!(
            folders.resolve(&config).unwrap_err().to_string(),
            "data folder: found no cache folder on this platform; needed --data FOLDER, BURN_FORWARD_DATA or $.data.path"
        );
    }

    #[test]
    fn a_path_is_relative_to_the_config_or_the_current_folder() {
        let home = tempfile::tempdir().unwrap();
        let set = home.path().join("set");
        std::fs::create_dir(&set).unwrap();
        let folders = DataFolders { config: Some(home.path().into()), ..DataFolders::default() };
        assert_eq!(folders.resolve(&with_path(DataName::Idx, "set")).unwrap(), set);
        let absolute = with_path(DataName::Idx, set.to_str().unwrap());
        assert_eq!(folders.resolve(&absolute).unwrap(), set);
        // Tests run in the crate's folder.
        assert_eq!(folders.resolve(&with_path(DataName::Idx, "src")).unwrap(), Path::new("src"));
    }

    #[test]
    fn an_argument_replaces_the_place_of_a_path() {
        let home = tempfile::tempdir().unwrap();
        for folder in ["old/configs/sets/a", "new/sets/a", "flat/a"] {
            std::fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        let at = |name: &str| home.path().join(name);
        let mut folders = DataFolders { config: Some(at("old/runs/r")), ..DataFolders::default() };
        std::fs::create_dir_all(at("old/runs/r")).unwrap();
        let set = with_path(DataName::Idx, "../../configs/sets/a");
        assert_eq!(folders.resolve(&set).unwrap(), at("old/runs/r/../../configs/sets/a"));
        let absolute = with_path(DataName::Idx, at("old/configs/sets/a").to_str().unwrap());
        for (argument, expected) in [("new", "new/sets/a"), ("flat", "flat/a"), ("new/sets/a", "new/sets/a")] {
            folders.argument = Some(at(argument));
            assert_eq!(folders.resolve(&set).unwrap(), at(expected));
            assert_eq!(folders.resolve(&absolute).unwrap(), at(expected));
            assert_eq!(folders.find("../../configs/sets/a", "a graph").unwrap(), at(expected));
        }
        folders.argument = Some(at("nowhere"));
        assert!(folders.resolve(&set).is_err(), "what was asked for is not there: no fallback");
        // The run was moved away from its data.
        folders = DataFolders { config: Some(at("r")), recorded: Some(at("old/configs/sets/a")), ..Default::default() };
        assert_eq!(folders.resolve(&set).unwrap(), at("old/configs/sets/a"));
        assert_eq!(folders.locate("../../configs/sets/a"), Some(at("old/configs/sets/a")));
    }

    #[test]
    fn a_missing_set_says_where_it_was_looked_for_and_where_it_can_be_had() {
        let folders = DataFolders { argument: Some("nowhere".into()), config: Some("c".into()), ..Default::default() };
        assert_eq!(
            folders.resolve(&DataConfig::new(DataName::Cifar10)).unwrap_err().to_string(),
            "nowhere/cifar10: found no such folder; needed the folder with the files of \"cifar10\"; public files: \
             www.cs.toronto.edu/~kriz/cifar.html, CIFAR-10 binary version; another place can be given with --data FOLDER, \
             BURN_FORWARD_DATA or $.data.path"
        );
        let missing =
            |folders: &DataFolders| folders.resolve(&with_path(DataName::Idx, "missing")).unwrap_err().to_string();
        assert_eq!(
            missing(&folders),
            "nowhere/missing: found no such folder, and no nowhere either; needed the folder with the files of \"idx\""
        );
        assert_eq!(
            missing(&DataFolders { argument: None, ..folders }),
            "c/missing: found no such folder, and no missing either; needed the folder with the files of \"idx\""
        );
    }
}
