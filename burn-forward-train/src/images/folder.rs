//! Location of the files of an image data set.

use std::path::PathBuf;

use burn_forward::Result;
use burn_forward::data::DataFolders;

use super::{DataConfig, DataName};

impl DataConfig {
    /// The folder with the files of the data set.
    ///
    /// # Errors
    /// [`Error::Data`](burn_forward::Error::Data) if it does not exist, with the folders that were searched and the public
    /// source of the files.
    pub fn folder(&self, folders: &DataFolders) -> Result<PathBuf> {
        folders.folder_of(self.name.name(), self.path.as_deref(), || needed(self.name))
    }
}

fn needed(name: DataName) -> String {
    match name {
        DataName::Idx => "the folder with the files of \"idx\"".into(),
        _ => {
            format!("the folder with the files of \"{}\"; {}; {}", name.name(), name.origin(), DataFolders::advice())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

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
            recorded: BTreeMap::new(),
            argument: Some(argument.clone()),
            environment: Some(environment.clone()),
            cache: Some(cache.clone()),
        };
        assert_eq!(config.folder(&folders).unwrap(), argument.join("mnist"));
        folders.argument = None;
        assert_eq!(config.folder(&folders).unwrap(), environment.join("mnist"));
        folders.environment = None;
        assert_eq!(config.folder(&folders).unwrap(), cache.join("mnist"));
        folders.argument = Some(home.path().join("x"));
        assert!(config.folder(&folders).is_err(), "what was asked for is not there: no fallback");
        folders = DataFolders::default();
        assert_eq!(
            config.folder(&folders).unwrap_err().to_string(),
            "data folder: found no cache folder on this platform; needed --data FOLDER, BURN_FORWARD_DATA or $.data.path"
        );
    }

    #[test]
    fn a_path_is_relative_to_the_config_or_the_current_folder() {
        let home = tempfile::tempdir().unwrap();
        let set = home.path().join("set");
        std::fs::create_dir(&set).unwrap();
        let folders = DataFolders { config: Some(home.path().into()), ..DataFolders::default() };
        assert_eq!(with_path(DataName::Idx, "set").folder(&folders).unwrap(), set);
        let absolute = with_path(DataName::Idx, set.to_str().unwrap());
        assert_eq!(absolute.folder(&folders).unwrap(), set);
        // Tests run in the folder of the crate.
        assert_eq!(with_path(DataName::Idx, "src").folder(&folders).unwrap(), Path::new("src"));
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
        assert_eq!(set.folder(&folders).unwrap(), at("old/runs/r/../../configs/sets/a"));
        let absolute = with_path(DataName::Idx, at("old/configs/sets/a").to_str().unwrap());
        for (argument, expected) in [("new", "new/sets/a"), ("flat", "flat/a"), ("new/sets/a", "new/sets/a")] {
            folders.argument = Some(at(argument));
            assert_eq!(set.folder(&folders).unwrap(), at(expected));
            assert_eq!(absolute.folder(&folders).unwrap(), at(expected));
            assert_eq!(folders.find("../../configs/sets/a", "a graph").unwrap(), at(expected));
        }
        folders.argument = Some(at("nowhere"));
        assert!(set.folder(&folders).is_err(), "what was asked for is not there: no fallback");
        // The run was moved away from its data.
        let recorded =
            BTreeMap::from([("path".to_string(), at("old/configs/sets/a")), ("test".to_string(), at("flat"))]);
        folders = DataFolders { config: Some(at("r")), recorded, ..Default::default() };
        assert_eq!(set.folder(&folders).unwrap(), at("old/configs/sets/a"));
        assert_eq!(folders.locate("path", "../../configs/sets/a"), Some(at("old/configs/sets/a")));
        assert_eq!(folders.locate("train", "../../configs/sets/a"), None);
        assert_eq!(folders.folder_at("test", "elsewhere", || "a folder".into()).unwrap(), at("flat"));
    }

    #[test]
    fn a_missing_set_says_where_it_was_looked_for_and_where_it_can_be_had() {
        let folders = DataFolders { argument: Some("nowhere".into()), config: Some("c".into()), ..Default::default() };
        assert_eq!(
            DataConfig::new(DataName::Cifar10).folder(&folders).unwrap_err().to_string(),
            "nowhere/cifar10: found no such folder; needed the folder with the files of \"cifar10\"; public files: \
             www.cs.toronto.edu/~kriz/cifar.html, CIFAR-10 binary version; another place can be given with --data FOLDER, \
             BURN_FORWARD_DATA or $.data.path"
        );
        let missing =
            |folders: &DataFolders| with_path(DataName::Idx, "missing").folder(folders).unwrap_err().to_string();
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
