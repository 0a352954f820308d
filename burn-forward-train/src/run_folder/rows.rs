//! The rows of `metrics.jsonl`.

use serde::{Deserialize, Serialize};

use super::folder::RunFolder;
use super::names::METRICS;
use crate::{Error, Result};

/// One row of `metrics.jsonl`: the metrics of one epoch and split, for a block or the whole network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricRow {
    /// Epoch, from 1; under a greedy schedule the count continues from block to block.
    pub epoch: usize,
    /// `train` or `validation`.
    pub split: String,
    /// Block, from 0; `None` for the whole network.
    pub block: Option<usize>,
    /// Mean loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Accuracy of the block's or the network's own readout, a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Mean goodness of positive samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodness_positive: Option<f64>,
    /// Mean goodness of negative samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodness_negative: Option<f64>,
    /// Difference of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separation: Option<f64>,
    /// Seconds that the split took (only in rows of the whole network).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The block that learned in this epoch, under a greedy schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<usize>,
}

impl RunFolder {
    /// The rows of `metrics.jsonl`; empty if the file does not exist. An incomplete last line, left by a killed run, is
    /// dropped.
    ///
    /// # Errors
    /// [`burn_forward::Error::Io`] if the file cannot be read, [`Error::RunFolder`] for a damaged line before the last.
    pub fn rows(&self) -> Result<Vec<MetricRow>> {
        Ok(self.lines()?.into_iter().map(|(_, row)| row).collect())
    }

    /// Removes the rows of epochs after `last_epoch` and an incomplete last line from `metrics.jsonl`, and returns the
    /// remaining rows.
    ///
    /// The remaining rows are kept byte for byte: a number that is read and written again may end in another digit, and
    /// the file of a resumed run would differ from that of an uninterrupted one.
    ///
    /// # Errors
    /// The errors of [`rows`](Self::rows), and [`Error::Write`] if the file cannot be written.
    pub fn keep_rows(&self, last_epoch: usize) -> Result<Vec<MetricRow>> {
        let mut text = String::new();
        let mut rows = Vec::new();
        for (line, row) in self.lines()? {
            if row.epoch <= last_epoch {
                text.push_str(&line);
                text.push('\n');
                rows.push(row);
            }
        }
        self.write(METRICS, text.as_bytes())?;
        Ok(rows)
    }

    /// The lines of `metrics.jsonl`, each with the row it contains.
    fn lines(&self) -> Result<Vec<(String, MetricRow)>> {
        let path = self.file(METRICS);
        if !path.exists() {
            return Ok(Vec::new());
        }
        // Read bytes, not text: a kill may cut a line anywhere, and a damaged disk may leave invalid UTF-8.
        let bytes = burn_forward::input::read(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let mut rows = Vec::with_capacity(lines.len());
        for (i, line) in lines.iter().enumerate() {
            match serde_json::from_str(line) {
                Ok(row) => rows.push(((*line).to_string(), row)),
                Err(_) if i + 1 == lines.len() => {}
                Err(e) => {
                    let problem = format!("{METRICS} line {} is damaged: {e}", i + 1);
                    return Err(Error::run_folder(self.path(), problem));
                }
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_torn_last_line_is_dropped_and_an_earlier_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::create(dir.path().join("r")).unwrap();
        let good = r#"{"epoch":1,"split":"train","block":null,"loss":0.5}"#;
        run.write("metrics.jsonl", format!("{good}\n{{\"epo").as_bytes()).unwrap();
        assert_eq!(run.rows().unwrap().len(), 1);
        run.write("metrics.jsonl", format!("nonsense\n{good}\n").as_bytes()).unwrap();
        assert!(run.rows().unwrap_err().to_string().contains("line 1"));
    }

    #[test]
    fn kept_rows_are_kept_byte_for_byte() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::create(dir.path().join("r")).unwrap();
        // Unusual but valid spellings that reading and writing would change.
        let first = r#"{"split":"train","epoch":1, "block":null,"loss":0.10000000000000000555}"#;
        let second = r#"{"epoch":2,"split":"train","block":0,"loss":1e-1}"#;
        let third = r#"{"epoch":3,"split":"train","block":null,"loss":0.5}"#;
        run.write("metrics.jsonl", format!("{first}\n{second}\n{third}\n{{\"epoch\":3,\"spl").as_bytes()).unwrap();
        assert_eq!(run.keep_rows(2).unwrap().iter().map(|r| r.epoch).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(fs::read_to_string(run.file("metrics.jsonl")).unwrap(), format!("{first}\n{second}\n"));
        // Only the end of the line is missing.
        run.write("metrics.jsonl", first.as_bytes()).unwrap();
        run.keep_rows(1).unwrap();
        assert_eq!(fs::read_to_string(run.file("metrics.jsonl")).unwrap(), format!("{first}\n"));
        run.keep_rows(0).unwrap();
        assert_eq!(fs::read(run.file("metrics.jsonl")).unwrap(), b"");
    }
}
