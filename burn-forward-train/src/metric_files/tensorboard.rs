//! The rows of one split as a TensorBoard event file.

use super::{event, record};
use crate::run_folder::MetricRow;

/// The file of a split. It contains the scalars of every epoch, such as `accuracy/network` and `accuracy/block-0`, at
/// step `epoch`.
///
/// The times are computed from the rows, as if the run `started` at that number of seconds since 1970 and took its
/// epochs without a pause. Equal rows give an equal file, whenever it is written.
pub(super) fn file(rows: &[MetricRow], split: &str, started: f64) -> Vec<u8> {
    let mut file = Vec::new();
    record::push(&mut file, &event::version(started));
    let mut now = started;
    let mut rows = rows.iter().peekable();
    while let Some(first) = rows.next() {
        let mut scalars = scalars(first);
        let mut seconds = first.seconds;
        let is_same = |row: &&MetricRow| (row.epoch, &row.split) == (first.epoch, &first.split);
        while let Some(row) = rows.next_if(is_same) {
            scalars.extend(self::scalars(row));
            seconds = seconds.or(row.seconds);
        }
        now += seconds.unwrap_or(0.0);
        if first.split == split && !scalars.is_empty() {
            record::push(&mut file, &event::scalars(now, first.epoch as u64, &scalars));
        }
    }
    file
}

/// The scalars of a row with their tags. Tags of the same quantity share a prefix, so that TensorBoard shows them side
/// by side.
fn scalars(row: &MetricRow) -> Vec<(String, f64)> {
    let of = row.block.map_or_else(|| "network".to_owned(), |block| format!("block-{block}"));
    let quantities = [
        ("loss", row.loss),
        ("accuracy", row.accuracy),
        ("goodness-positive", row.goodness_positive),
        ("goodness-negative", row.goodness_negative),
        ("separation", row.separation),
        ("seconds", row.seconds),
    ];
    quantities.into_iter().filter_map(|(name, value)| Some((format!("{name}/{of}"), value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_epoch_of_a_split_is_one_event_at_its_time() {
        let row = |value| -> MetricRow { serde_json::from_value(value).unwrap() };
        let rows = [
            row(json!({"epoch": 1, "split": "train", "block": null, "loss": 2.0, "seconds": 3.0})),
            row(json!({"epoch": 1, "split": "train", "block": 0, "separation": 0.5})),
            row(json!({"epoch": 1, "split": "validation", "block": null, "accuracy": 0.25, "seconds": 1.0})),
            row(json!({"epoch": 2, "split": "train", "block": null, "loss": 1.0, "seconds": 4.0})),
        ];
        let expected = |events: &[Vec<u8>]| {
            let mut file = Vec::new();
            events.iter().for_each(|event| record::push(&mut file, event));
            file
        };
        let scalar = |tag: &str, value: f64| (tag.to_owned(), value);
        let first = [scalar("loss/network", 2.0), scalar("seconds/network", 3.0), scalar("separation/block-0", 0.5)];
        let second = [scalar("loss/network", 1.0), scalar("seconds/network", 4.0)];
        let of_training =
            expected(&[event::version(100.0), event::scalars(103.0, 1, &first), event::scalars(108.0, 2, &second)]);
        assert_eq!(file(&rows, "train", 100.0), of_training);
        let tested = [scalar("accuracy/network", 0.25), scalar("seconds/network", 1.0)];
        assert_eq!(
            file(&rows, "validation", 100.0),
            expected(&[event::version(100.0), event::scalars(104.0, 1, &tested)])
        );
        // The file of a longer run starts with that of a shorter one, so it can be appended to.
        assert!(of_training.starts_with(&file(&rows[..3], "train", 100.0)));
    }
}
