//! The metric rows as a table of comma-separated values.

use std::fmt::Display;

use crate::run_folder::MetricRow;

/// The columns, named like the keys of `metrics.jsonl`.
const COLUMNS: [&str; 10] = [
    "epoch",
    "split",
    "block",
    "loss",
    "accuracy",
    "goodness_positive",
    "goodness_negative",
    "separation",
    "seconds",
    "phase",
];

/// A header line and one line per row. Values that a row does not have are empty, as is the block in the rows of the
/// network. Numbers are written so that parsing restores them exactly.
pub(super) fn table(rows: &[MetricRow]) -> String {
    let mut text = COLUMNS.join(",") + "\n";
    for row in rows {
        let cells = [
            row.epoch.to_string(),
            row.split.clone(),
            cell(row.block),
            cell(row.loss),
            cell(row.accuracy),
            cell(row.goodness_positive),
            cell(row.goodness_negative),
            cell(row.separation),
            cell(row.seconds),
            cell(row.phase),
        ];
        text += &cells.join(",");
        text.push('\n');
    }
    text
}

fn cell(value: Option<impl Display>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_by_hand() {
        let row = json!({"epoch": 3, "split": "train", "block": 1, "loss": 0.1, "accuracy": 1e-7, "goodness_positive": 2.0,
            "goodness_negative": 0.5, "separation": 1.5, "phase": 1});
        let network = json!({"epoch": 3, "split": "validation", "block": null, "seconds": 12.25});
        let rows: Vec<MetricRow> = [row, network].map(|row| serde_json::from_value(row).unwrap()).to_vec();
        let lines = "3,train,1,0.1,0.0000001,2,0.5,1.5,,1\n3,validation,,,,,,,12.25,\n";
        assert_eq!(table(&rows), format!("{}\n{lines}", COLUMNS.join(",")));
    }

    /// Every key of a row has a column, in the same order.
    #[test]
    fn no_key_is_left_out() {
        let row = MetricRow {
            epoch: 1,
            split: "train".into(),
            block: Some(2),
            loss: Some(3.0),
            accuracy: Some(4.0),
            goodness_positive: Some(5.0),
            goodness_negative: Some(6.0),
            separation: Some(7.0),
            seconds: Some(8.0),
            phase: Some(9),
        };
        let value = serde_json::to_value(&row).unwrap();
        assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), COLUMNS);
        assert_eq!(table(&[row]).lines().nth(1), Some("1,train,2,3,4,5,6,7,8,9"));
    }
}
