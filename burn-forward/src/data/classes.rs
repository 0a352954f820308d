//! Classes of a data set.

/// A warning about classes without training samples (`"image"`, `"node"`), where `counts` is the number of samples in every
/// class. `None` if there are no such classes.
pub fn empty_classes(counts: &[usize], sample: &str) -> Option<String> {
    let empty: Vec<String> = (0..counts.len()).filter(|c| counts[*c] == 0).map(|c| c.to_string()).collect();
    let which = match empty.len() {
        0 => return None,
        1 => format!("class {} has", empty[0]),
        2..=10 => format!("classes {} have", empty.join(", ")),
        n => format!("{n} classes, including {}, ..., have", empty[..10].join(", ")),
    };
    Some(format!("{which} no training {sample}, of {} classes", counts.len()))
}
