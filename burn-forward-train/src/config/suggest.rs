//! "Did you mean ...?": the valid name closest to what was typed, or none if no name is close.

use strsim::damerau_levenshtein;

/// Minimum length of a prefix that counts as an abbreviation: `mono` for `mono-forward`.
const MIN_PREFIX: usize = 3;

/// Returns the one of `names` that `given` most likely stands for; the first one if several are equally close.
///
/// Case, `_`, `-` and spaces are ignored. A name is close if at most about a third of its characters differ (swapped
/// neighbours count as one mistake), if one of the two is a prefix of the other, or if one consists of the initials of
/// the other (`learning_rate` and `lr`).
///
/// ```
/// use burn_forward_train::config::suggest::nearest;
///
/// assert_eq!(nearest("mono_foward", ["backprop", "mono-forward"]), Some("mono-forward"));
/// assert_eq!(nearest("banana", ["backprop", "mono-forward"]), None);
/// ```
pub fn nearest<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .filter_map(|name| distance(given, name).map(|d| (d, name)))
        .min_by_key(|(d, _)| *d)
        .map(|(_, name)| name)
}

/// Number of typing mistakes between two names, or `None` if they are not close to each other.
fn distance(given: &str, name: &str) -> Option<usize> {
    let (a, b) = (plain(given), plain(name));
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let (shorter, longer) = if a.len() < b.len() { (&a, &b) } else { (&b, &a) };
    let allowed = (longer.chars().count() + 1) / 3;
    let typed = damerau_levenshtein(&a, &b);
    if typed <= allowed {
        return Some(typed);
    }
    let begins = shorter.chars().count() >= MIN_PREFIX && longer.starts_with(shorter.as_str());
    let initials = initials(given) == b || initials(name) == a;
    // Either is weaker evidence than a typing mistake, so it only wins if no name is close by typing.
    (begins || initials).then_some(usize::MAX)
}

/// The name without what people often get wrong: case and word separators.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !is_separator(*c)).flat_map(char::to_lowercase).collect()
}

/// First letters of the words of a name with several words; empty for a single word.
fn initials(name: &str) -> String {
    let words: Vec<&str> = name.split(is_separator).filter(|word| !word.is_empty()).collect();
    if words.len() < 2 {
        return String::new();
    }
    words.iter().filter_map(|word| word.chars().next()).flat_map(char::to_lowercase).collect()
}

fn is_separator(c: char) -> bool {
    matches!(c, '_' | '-' | ' ' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const NAMES: [&str; 8] =
        ["backprop", "mono-forward", "forward-forward", "dfa", "lr", "momentum", "weight_decay", "betas"];

    #[rstest]
    #[case::one_letter_missing("momentm", Some("momentum"))]
    #[case::neighbours_swapped("moemntum", Some("momentum"))]
    #[case::underscore_for_hyphen("mono_forward", Some("mono-forward"))]
    #[case::camel_case("WeightDecay", Some("weight_decay"))]
    #[case::upper_case("DFA", Some("dfa"))]
    #[case::short_swap("rl", Some("lr"))]
    #[case::beginning("mono", Some("mono-forward"))]
    #[case::longer_than_the_name("backpropagation", Some("backprop"))]
    #[case::initials_of_a_name("ff", Some("forward-forward"))]
    #[case::name_is_the_initials("learning_rate", Some("lr"))]
    #[case::nothing_near("banana", None)]
    #[case::one_letter("x", None)]
    #[case::empty("", None)]
    #[case::only_separators("--", None)]
    fn suggests(#[case] given: &str, #[case] expected: Option<&str>) {
        assert_eq!(nearest(given, NAMES), expected);
    }

    #[test]
    fn first_of_equals_wins() {
        assert_eq!(nearest("beta", ["beta1", "beta2"]), Some("beta1"));
    }

    #[test]
    fn typing_mistake_beats_a_beginning() {
        assert_eq!(nearest("mono", ["mono-forward", "monk"]), Some("monk"));
    }

    proptest! {
        #[test]
        fn every_name_is_its_own_nearest(index in 0..NAMES.len()) {
            prop_assert_eq!(nearest(NAMES[index], NAMES), Some(NAMES[index]));
        }

        #[test]
        fn never_panics(given in ".*", names in proptest::collection::vec(".*", 0..5)) {
            nearest(&given, names.iter().map(String::as_str));
        }
    }
}
