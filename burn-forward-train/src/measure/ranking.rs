//! How well scores rank positive samples above negative ones.

/// Area under the ROC curve: the probability that a positive has a higher score than a negative, where ties count half.
/// `None` unless there are both. NaN scores rank lowest.
pub fn roc_auc(scored: &[(f64, bool)]) -> Option<f64> {
    let ordered = descending(scored);
    let positives = ordered.iter().filter(|(_, p)| *p).count();
    let negatives = ordered.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let (mut above, mut area) = (0.0, 0.0);
    for tied in ordered.chunk_by(|a, b| a.0 == b.0) {
        let here = tied.iter().filter(|(_, p)| *p).count() as f64;
        area += (tied.len() as f64 - here) * (above + here / 2.0);
        above += here;
    }
    Some(area / (positives as f64 * negatives as f64))
}

/// Average precision: the mean over all positives of the precision among the samples that score at least as high.
/// `None` without positives.
pub fn average_precision(scored: &[(f64, bool)]) -> Option<f64> {
    let ordered = descending(scored);
    let positives = ordered.iter().filter(|(_, p)| *p).count();
    let (mut seen, mut found, mut sum) = (0usize, 0usize, 0.0);
    for tied in ordered.chunk_by(|a, b| a.0 == b.0) {
        let here = tied.iter().filter(|(_, p)| *p).count();
        seen += tied.len();
        found += here;
        sum += here as f64 * found as f64 / seen as f64;
    }
    (positives > 0).then(|| sum / positives as f64)
}

fn descending(scored: &[(f64, bool)]) -> Vec<(f64, bool)> {
    let value = |v: f64| if v.is_nan() { f64::NEG_INFINITY } else { v };
    let mut ordered: Vec<(f64, bool)> = scored.iter().map(|(v, p)| (value(*v), *p)).collect();
    ordered.sort_by(|a, b| b.0.total_cmp(&a.0));
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        // 0.9+ 0.8- 0.7+ 0.6-: three of four pairs are in order; the precision at the positives is 1/1 and 2/3.
        let scored = [(0.7, true), (0.9, true), (0.6, false), (0.8, false)];
        assert_eq!(roc_auc(&scored), Some(0.75));
        assert!((average_precision(&scored).unwrap() - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert_eq!((roc_auc(&[(1.0, true)]), average_precision(&[(1.0, false)])), (None, None));
        assert_eq!(roc_auc(&[(1.0, true), (1.0, false)]), Some(0.5));
    }

    proptest! {
        #[test]
        fn the_area_is_the_fraction_of_pairs_in_order(scored in prop::collection::vec((0u8..6, any::<bool>()), 2..40)) {
            let scored: Vec<(f64, bool)> = scored.into_iter().map(|(v, p)| (f64::from(v), p)).collect();
            let of = |p: bool| scored.iter().filter(move |s| s.1 == p).map(|s| s.0).collect::<Vec<_>>();
            let (positives, negatives) = (of(true), of(false));
            let mut sum = 0.0;
            for p in &positives {
                for n in &negatives {
                    sum += if p > n { 1.0 } else if p == n { 0.5 } else { 0.0 };
                }
            }
            let pairs = (positives.len() * negatives.len()) as f64;
            match roc_auc(&scored) {
                Some(area) => prop_assert!((area - sum / pairs).abs() < 1e-12),
                None => prop_assert_eq!(pairs, 0.0),
            }
        }
    }
}
