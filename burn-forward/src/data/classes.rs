//! Classes of a data set.

/// What to say of classes to which none of the training samples (`"image"`, `"node"`) belongs, of which `counts` says how many
/// every class has.
pub fn empty_classes(counts: &[usize], sample: &str) -> Option<String> {
    let empty: Vec<String> = (0..counts.len()).filter(|c| counts[*c] == 0).map(|c| c.to_string()).collect();
    let which = match empty.len() {
        0 => return None,
        1 => format!("class {} has", empty[0]),
        2..=10 => format!("classes {} have", empty.join(", ")),
        n => format!("{n} classes, {} ... among them, have", empty[..10].join(", ")),
    };
    Some(format!("{which} no training {sample}, of {} classes", counts.len()))
}
