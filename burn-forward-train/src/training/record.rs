//! `run.json`: what ran, where, and how it ended. It also records what a resumed run is compared with: the config and
//! data it was begun with, and the checksums of the files it ended with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::run::Run;
use crate::config::schema::{in_words_of, is_renaming};
use crate::config::{RunConfig, paths};
use crate::files::sum_of_file;
use crate::quick_look::QuickLook;
use crate::run_folder::RunFolder;
use crate::{Error, Result};
use burn_forward::data::DataFolders;
use burn_forward::registry::Registry;
use burn_forward::{ConfigError, ConfigErrors};

/// Name of the file.
pub(super) const RECORD: &str = "run.json";

/// Key for the part of the data that a quick look uses.
const QUICK_LOOK: &str = "quick_look";

/// Settings that do not affect training: text for the reader, where the data is (its content is compared instead), and
/// settings that only change the speed, how often the run is saved, and which metric files it writes.
const FREE: [&str; 10] = [
    "$.$schema",
    "$.description",
    "$.reproduces",
    "$.measured",
    "$.data.path",
    "$.data.train",
    "$.data.test",
    "$.training.workers",
    "$.training.checkpoint-every",
    "$.training.log",
];

/// The record of an earlier start; `None` if there is none.
///
/// # Errors
/// [`Error::RunFolder`] if the record is damaged.
pub(super) fn read(folder: &RunFolder) -> Result<Option<Value>> {
    match folder.file(RECORD).exists() {
        true => folder.read_json(RECORD).map(Some),
        false => Ok(None),
    }
}

/// Whether the run in `folder` was trained and tested to the end.
///
/// # Errors
/// [`Error::RunFolder`] if the record is damaged.
pub(super) fn is_finished(folder: &RunFolder) -> Result<bool> {
    Ok(read(folder)?.is_some_and(|record| record["status"] == "finished"))
}

fn now() -> String {
    rfc3339(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()))
}

/// Formats seconds since 1970 as `2026-11-23T22:28:53Z`, using the civil-from-days algorithm.
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = ((seconds / 86_400) as i64, seconds % 86_400);
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Seconds since 1970 of a time in the format of [`rfc3339`]; `None` for any other text.
fn seconds_since_1970(time: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)? as i64, number(5..7)? as i64, number(8..10)? as i64);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    // The inverse of the algorithm above: years begin in March.
    let year = year - i64::from(month <= 2);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let era = year.div_euclid(400);
    let year = year.rem_euclid(400);
    let days = era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468;
    u64::try_from(days).ok().map(|days| days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// When the run in `folder` was begun, in seconds since 1970; 0 if its record does not tell.
///
/// # Errors
/// [`Error::RunFolder`] if the record is damaged.
pub(super) fn started(folder: &RunFolder) -> Result<f64> {
    let record = read(folder)?;
    let time = record.as_ref().and_then(|record| record["started"].as_str());
    Ok(time.and_then(seconds_since_1970).unwrap_or(0) as f64)
}

/// The record of a run that is training or has ended.
#[derive(Debug)]
pub(super) struct Record {
    fields: Value,
}

impl Record {
    /// The record of a run that starts now. It keeps from the earlier record `before` when the run began, its command,
    /// and every resume with the epoch it came `after`.
    pub(super) fn start(run: &Run, folder: &RunFolder, before: Option<&Value>, after: Option<usize>) -> Self {
        let kept = |key: &str, fresh: Value| {
            before.and_then(|b| b.get(key)).filter(|v| !v.is_null()).cloned().unwrap_or(fresh)
        };
        let mut fields = json!({
            "name": run.config.name,
            "status": "running",
            "started": kept("started", json!(now())),
            "finished": null,
            "versions": {"burn-forward": env!("CARGO_PKG_VERSION"), "burn": burn_forward::BURN_VERSION},
            "git_revision": run.options.git_revision,
            "seed": run.config.seed,
            "device": run.options.device_name,
            "host": {
                "os": std::env::consts::OS,
                "arch": std::env::consts::ARCH,
                "cpus": std::thread::available_parallelism().map_or(1, |n| n.get()),
            },
            "command": kept("command", json!(run.options.command)),
        });
        if let Some(look) = run.options.quick_look.some() {
            fields[QUICK_LOOK] = json!(look);
        }
        let epochs = |config: &Value| config["training"]["epochs"].as_u64();
        if let Some(before) = before {
            let times = before["resumed"].as_array().cloned().unwrap_or_default();
            fields["resumed"] = json!([times, vec![json!(now())]].concat());
            let mut extended = before["extended"].as_array().cloned().unwrap_or_default();
            if let (Some(from), Some(to)) = (epochs(&before["config"]), epochs(run.config.resolved()))
                && from != to
            {
                extended.push(json!({"after_epoch": after.unwrap_or(0), "epochs": [from, to]}));
            }
            if !extended.is_empty() {
                fields["extended"] = json!(extended);
            }
        }
        write_places(&mut fields, folder, run);
        fields["data"] = json!({"sets": run.data.describe(), "fingerprint": run.data.fingerprint()});
        fields["config"] = run.config.resolved_in(folder.path(), &run.options.folders);
        Self { fields }
    }

    /// Writes the record.
    ///
    /// # Errors
    /// [`Error::Write`] if the file cannot be written.
    pub(super) fn write(&self, folder: &RunFolder) -> Result<()> {
        folder.write_json(RECORD, &self.fields)
    }

    /// Records how the run ended; for a finished run, also the checksums of its `files`.
    ///
    /// # Errors
    /// [`burn_forward::Error::Io`] if a file cannot be read, [`Error::Write`] if the record cannot be written.
    pub(super) fn end(mut self, folder: &RunFolder, status: &str, files: &[&str]) -> Result<()> {
        self.fields["status"] = json!(status);
        self.fields["finished"] = json!(now());
        let mut sums = BTreeMap::new();
        for name in files.iter().filter(|name| folder.file(name).is_file()) {
            sums.insert(
                *name,
                sum_of_file(&folder.file(name)).map_err(|e| burn_forward::Error::io(folder.file(name), e))?,
            );
        }
        if !sums.is_empty() {
            self.fields["sums"] = json!(sums);
        }
        self.write(folder)
    }
}

/// Records where the data was found: the `--data` folder if one was given (the default folder is found again, even on
/// other machines), and the data set if the config names it by a path. The relative path from the run folder to the
/// data stays valid if both are moved together. Paths that JSON cannot represent are left out.
fn write_places(info: &mut Value, folder: &RunFolder, run: &Run) {
    let folders = &run.options.folders;
    let mut record = |key: &str, path: Option<PathBuf>| {
        if let Some(path) = path.as_deref().and_then(Path::to_str) {
            info[key] = json!(path);
        }
    };
    if let Some(data) = folders.argument.as_deref() {
        record("data_folder", std::path::absolute(data).ok());
        record("data_folder_from_run", paths::relative_path(folder.path(), data));
    }
    for setting in DataFolders::SETTINGS {
        let path = run.config.resolved()["data"][setting].as_str().and_then(|path| folders.locate(setting, path));
        record(&format!("data_{setting}"), path.and_then(|path| std::path::absolute(path).ok()));
    }
}

/// Where `run.json` says that the data was found, for a run that is opened again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedPaths {
    /// The `--data` folder, at its current place.
    pub data_folder: Option<PathBuf>,
    /// The folders and files that the config names by paths, by [setting](DataFolders::SETTINGS).
    pub data_paths: BTreeMap<String, PathBuf>,
}

impl RecordedPaths {
    /// The paths in `info`, the content of the run's `run.json`; `folder` is the current place of the run.
    pub fn of(info: &Value, folder: &RunFolder) -> Self {
        let path = |key: &str| info[key].as_str().map(PathBuf::from);
        let moved_with_it = path("data_folder_from_run").map(|way| folder.path().join(way));
        let data_folder = moved_with_it.into_iter().chain(path("data_folder")).find(|place| place.is_dir());
        let of_setting = |setting: &str| Some((setting.to_string(), path(&format!("data_{setting}"))?));
        let data_paths = DataFolders::SETTINGS.into_iter().filter_map(of_setting).collect();
        Self { data_folder, data_paths }
    }
}

/// The part of the data that the run in `folder` uses according to its record; all of it if the record does not tell.
///
/// # Errors
/// [`Error::RunFolder`] if the record is damaged.
pub fn read_quick_look(folder: &RunFolder) -> Result<QuickLook> {
    let Some(look) = read(folder)?.and_then(|mut record| record.get_mut(QUICK_LOOK).map(Value::take)) else {
        return Ok(QuickLook::default());
    };
    serde_json::from_value(look)
        .map_err(|e| Error::run_folder(folder.path(), format!("{RECORD} is damaged: {QUICK_LOOK}: {e}")))
}

/// The files of a finished run that have changed since it ended.
pub(crate) fn changed_files(folder: &RunFolder, record: &Value) -> Vec<String> {
    let sums = record["sums"].as_object().cloned().unwrap_or_default();
    let is_changed = |(name, sum): &(String, Value)| {
        !sum_of_file(&folder.file(name)).is_ok_and(|found| sum.as_str() == Some(found.as_str()))
    };
    sums.into_iter().filter(is_changed).map(|(name, _)| name).collect()
}

/// The config of the run in `folder`, which must be the one it was begun with as defined by [`check_config`].
///
/// # Errors
/// [`burn_forward::Error::Config`] with all mistakes; keys and names that were renamed since the run was begun may be
/// replaced in its `config.json`. [`Error::RunFolder`] if a file is damaged.
pub fn read_config(folder: &RunFolder, registry: &Registry) -> Result<RunConfig> {
    let mut origin = folder.file("config.json").display().to_string();
    let document = folder.read_json("config.json")?;
    let config = RunConfig::from_value(&origin, document, &[], registry).map_err(|error| match error {
        burn_forward::Error::Config(ConfigErrors { errors, .. }) => {
            if errors.iter().any(is_renaming) {
                let stays = format!("(leave {RECORD} unchanged)");
                origin += &format!(", in which you may replace renamed keys and names {stays}");
            }
            burn_forward::Error::Config(ConfigErrors { origin, errors })
        }
        other => other,
    })?;
    check_config(folder, &config)?;
    Ok(config)
}

/// Rejects a config that differs from the one the run in `folder` was begun with. Only the number of epochs may grow;
/// under a greedy schedule only while the first block learns. Runs from versions that did not record configs are not
/// compared. Keys and names that have been renamed since are compared under their new names.
///
/// # Errors
/// [`burn_forward::Error::Config`] with every setting that differs, [`Error::RunFolder`] if `run.json` or
/// `metrics.jsonl` is damaged.
pub fn check_config(folder: &RunFolder, config: &RunConfig) -> Result<()> {
    let Some(record) = read(folder)? else { return Ok(()) };
    if record["config"].is_null() {
        return Ok(());
    }
    let begun = in_words_of(config.resolved(), record["config"].clone());
    let mut errors = Vec::new();
    compare("$", &begun, config.resolved(), &mut errors);
    if let (Some(was), Some(is)) =
        (begun["training"]["epochs"].as_u64(), config.resolved()["training"]["epochs"].as_u64())
    {
        let path = "$.training.epochs";
        let block = folder.rows()?.iter().filter_map(|row| row.phase).max().unwrap_or(0);
        if is < was {
            errors.push(ConfigError::new(
                path,
                format!("{is}, but the run was begun with {was}; needed: at least {was}"),
            ));
        } else if is > was && block > 0 {
            let problem = format!("{is}, but blocks before block {block} have ended with at most {was}; needed: {was}");
            errors.push(ConfigError::new(path, problem));
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    let origin = format!("{}, compared with {RECORD} beside it", folder.file("config.json").display());
    Err(burn_forward::Error::Config(ConfigErrors { origin, errors }).into())
}

/// Collects every leaf in which two configs differ, except the [`FREE`] ones and the number of epochs.
fn compare(path: &str, was: &Value, is: &Value, errors: &mut Vec<ConfigError>) {
    if was == is || FREE.contains(&path) || path == "$.training.epochs" {
        return;
    }
    match (was, is) {
        (Value::Object(old), Value::Object(new)) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let of = |value: &Value| value.get(key).cloned().unwrap_or_default();
                compare(&format!("{path}.{key}"), &of(was), &of(is), errors);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (i, (was, is)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{i}]"), was, is, errors);
            }
        }
        _ => {
            let named = |value: &Value| if value.is_null() { "no value".into() } else { value.to_string() };
            let message = format!("{}, but the run was begun with {}", named(is), named(was));
            errors.push(ConfigError::new(path, format!("{message}; needed: the same, or a new run")));
        }
    }
}

/// Rejects data other than that the run in `folder` was begun with.
///
/// # Errors
/// [`Error::RunFolder`] with a description of the original data and of the data found.
pub fn check_data(folder: &RunFolder, run: &Run) -> Result<()> {
    let Some(record) = read(folder)? else { return Ok(()) };
    let (was, before) = (&record["data"]["fingerprint"], record["data"]["sets"].as_str().unwrap_or("unknown"));
    let now = run.data.describe();
    if was.is_null() || *was == json!(run.data.fingerprint()) {
        return Ok(());
    }
    let found = match before == now {
        true => format!("{now}, but with different content (pixels, features, labels or split)"),
        false => now,
    };
    let problem = format!(
        "according to {RECORD}, the run was begun with other data: {before}; found {found}; needed: the same data, in $.data.path, --data or \
         the data folder"
    );
    Err(Error::run_folder(folder.path(), problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_back() {
        for seconds in (0..3_000_000_000).step_by(7_654_321) {
            assert_eq!(seconds_since_1970(&rfc3339(seconds)), Some(seconds));
        }
        assert_eq!(seconds_since_1970("1970-03-01T00:00:09Z"), Some(59 * 86_400 + 9));
        assert_eq!(seconds_since_1970("yesterday"), None);
    }

    #[test]
    fn dates() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(rfc3339(1_795_472_933), "2026-11-23T22:28:53Z");
    }

    #[test]
    fn every_leaf_that_differs_is_named_with_both_values() {
        let was = json!({"a": {"b": [1, 2], "c": "x"}, "description": "old", "data": {"path": "here", "n": 1}});
        let is = json!({"a": {"b": [1, 3], "d": true}, "description": "new", "data": {"path": "there", "n": 1}});
        let mut errors = Vec::new();
        compare("$", &was, &is, &mut errors);
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let rest = "; needed: the same, or a new run";
        let expected = [
            "$.a.b[1]: 3, but the run was begun with 2",
            "$.a.c: no value, but the run was begun with \"x\"",
            "$.a.d: true, but the run was begun with no value",
        ];
        assert_eq!(said, expected.map(|e| format!("{e}{rest}")));
    }
}
