//! Keys and names that configs used to have, so that a message can say what they are called now.

/// Path of the object that has the key, or of the key whose value is the name (a `*` stands for any one step); the old word;
/// the new one. What stands in for nothing any more does not belong here.
const RENAMED: &[(&str, &str, &str)] = &[
    ("$.data", "rows", "feature-scaling"),
    ("$.data", "normalise", "pixel-normalisation"),
    ("$.training", "keep", "final-weights"),
    ("$.rule", "label", "label-injection"),
    ("$.optimizer", "schedule", "lr-schedule"),
    ("$.optimizer.lr-schedule.name", "hinton", "constant-then-linear"),
];

/// What is now called otherwise, if it is: the key `old` of the object at `path`, or the name `old` that is the value at `path`.
pub(super) fn renamed(path: &str, old: &str, valid: &[&str]) -> Option<&'static str> {
    find(RENAMED, path, old).filter(|new| valid.contains(new))
}

fn find<'t>(table: &[(&str, &str, &'t str)], path: &str, old: &str) -> Option<&'t str> {
    table.iter().find(|(pattern, word, _)| *word == old && matches(pattern, path)).map(|(_, _, new)| *new)
}

fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.split('.'), path.split('.'));
    pattern.clone().count() == path.clone().count() && pattern.zip(path).all(|(p, step)| p == "*" || p == step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_looked_up_where_it_was_valid() {
        let table = [("$.a.*", "old", "new"), ("$.b", "old", "other")];
        let cases = [("$.a.x", Some("new")), ("$.a", None), ("$.a.x.y", None), ("$.b", Some("other")), ("$", None)];
        for (path, new) in cases {
            assert_eq!(find(&table, path, "old"), new, "{path}");
            assert_eq!(find(&table, path, "older"), None, "{path}");
        }
    }

    /// Only where the new word is valid: other data sets have no features to scale.
    #[test]
    fn a_new_word_is_given_where_it_is_valid() {
        assert_eq!(renamed("$.data", "rows", &["name", "feature-scaling"]), Some("feature-scaling"));
        assert_eq!(renamed("$.data", "rows", &["name", "validation"]), None);
    }
}
