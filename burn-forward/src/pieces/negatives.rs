//! Negative labels: wrong answers whose goodness a rule lowers.
//!
//! Every generator is a function of its arguments and a stream, so the same seed gives the same negatives.

use burn::tensor::{Int, Tensor, TensorData};
use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::pieces::label;
use crate::random::Rng;
use crate::{Error, require};

/// The reason why a rule with such labels [cannot cache](crate::rules::RuleSpec::cacheable) what blocks compute from its
/// samples.
pub const NEGATIVES_DRAWN_ANEW: &str = "the rule draws new negatives in every step";

/// How wrong labels are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Negatives {
    /// Uniform over the wrong classes: `(y + U{1..C-1}) mod C`. Never the true label.
    Wrong,
    /// The labels of the batch, shuffled. About one in `C` "negatives" is the true label; only for comparison with programs
    /// that do this.
    Permuted,
    /// Sampled from the prediction of the network in a single pass, with the true class removed (Hinton 2022): the mistakes
    /// that the network is most likely to make.
    #[default]
    Hard,
}

impl Negatives {
    /// Draws labels for the negatives of samples with the given labels.
    ///
    /// - `labels`: `[B]`; `logits`: the network's prediction `[B, C]`, from which [`Hard`](Self::Hard) samples; without it,
    ///   `Hard` draws like [`Wrong`](Self::Wrong). Returns `[B]`.
    ///   draws as [`Wrong`](Self::Wrong). Returns `[B]`.
    ///
    /// # Panics
    /// If there are fewer than two classes, a label is not one of them, or the number of logits is wrong. `Permuted` checks
    /// none of this.
    pub fn draw(
        self,
        labels: &Tensor<1, Int>,
        logits: Option<&Tensor<2>>,
        classes: usize,
        rng: &mut Rng,
    ) -> Tensor<1, Int> {
        let values: Vec<i64> = labels.to_data().iter::<i64>().collect();
        let drawn = match (self, logits) {
            (Self::Hard, Some(logits)) => {
                let logits: Vec<f32> = logits.to_data().iter::<f32>().collect();
                hard(&values, &logits, classes, rng)
            }
            (Self::Permuted, _) => permuted(&values, rng),
            (Self::Wrong | Self::Hard, _) => wrong(&values, classes, rng),
        };
        let rows = drawn.len();
        Tensor::from_data(TensorData::new(drawn, [rows]), &labels.device())
    }
}

/// Checks that there is a wrong class for every label.
fn check_classes(place: &'static str, labels: &[i64], classes: usize) {
    require(classes >= 2, || {
        Error::argument(place, "number of classes", classes, ">= 2, since otherwise no label is wrong")
    });
    label::check_values(place, labels, classes);
}

/// Labels uniform over the wrong classes.
///
/// # Panics
/// If there are fewer than two classes, or a label is not one of them.
pub fn wrong(labels: &[i64], classes: usize, rng: &mut Rng) -> Vec<i64> {
    check_classes("negatives::wrong", labels, classes);
    let c = classes as i64;
    labels.iter().map(|y| (y + rng.random_range(1..c)) % c).collect()
}

/// The labels in random order.
pub fn permuted(labels: &[i64], rng: &mut Rng) -> Vec<i64> {
    let mut shuffled = labels.to_vec();
    shuffled.shuffle(rng);
    shuffled
}

/// Labels sampled from `softmax(logits)` with the true class removed. Never the true label.
///
/// # Shapes
/// - `logits`: `B * classes` values, row by row.
///
/// # Panics
/// If there are fewer than two classes, a label is not one of them, or the number of logits is wrong.
pub fn hard(labels: &[i64], logits: &[f32], classes: usize, rng: &mut Rng) -> Vec<i64> {
    check_classes("negatives::hard", labels, classes);
    require(logits.len() == labels.len() * classes, || {
        let needed = format!("{} for {} labels of {classes} classes", labels.len() * classes, labels.len());
        Error::argument("negatives::hard", "number of logits", logits.len(), needed)
    });
    labels
        .iter()
        .zip(logits.chunks_exact(classes))
        .map(|(&y, row)| {
            let highest = (0..classes).filter(|&c| c as i64 != y).map(|c| row[c]).fold(f32::NEG_INFINITY, f32::max);
            let weight = |c: usize| if c as i64 == y { 0.0 } else { ((row[c] - highest) as f64).exp() };
            let total: f64 = (0..classes).map(weight).sum();
            let mut left = rng.random::<f64>() * total;
            let mut chosen = None;
            for c in (0..classes).filter(|&c| c as i64 != y) {
                chosen = Some(c as i64);
                left -= weight(c);
                if left < 0.0 {
                    break;
                }
            }
            chosen.unwrap_or((y + 1) % classes as i64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn never_the_label(seed: u64, classes in 2usize..20, ys in proptest::collection::vec(0i64..1000, 1..50)) {
            let ys: Vec<i64> = ys.into_iter().map(|y| y % classes as i64).collect();
            let logits: Vec<f32> = (0..ys.len() * classes).map(|i| (i as f32 * 12.9898).sin() * 5.0).collect();
            let root = Seed::new(seed);
            for negatives in [
                wrong(&ys, classes, &mut root.stream("n", &[])),
                hard(&ys, &logits, classes, &mut root.stream("n", &[])),
            ] {
                for (y, n) in ys.iter().zip(&negatives) {
                    prop_assert!(y != n && (0..classes as i64).contains(n));
                }
            }
        }
    }

    #[test]
    fn permuted_collides_about_one_time_in_c() {
        let ys: Vec<i64> = (0..20_000).map(|i| i % 10).collect();
        let ns = permuted(&ys, &mut Seed::new(1).stream("n", &[]));
        let hits = ys.iter().zip(&ns).filter(|(a, b)| a == b).count() as f64;
        let (mean, sd) = (2_000.0, (20_000.0f64 * 0.1 * 0.9).sqrt());
        assert!((hits - mean).abs() < 4.0 * sd, "{hits}");
    }

    #[test]
    fn hard_follows_the_renormalised_softmax() {
        let logits = [0.0f32, 1.0, 2.0, 5.0];
        let n = 40_000;
        let (ys, all) = (vec![3i64; n], logits.repeat(n));
        let drawn = hard(&ys, &all, 4, &mut Seed::new(2).stream("n", &[]));
        let z: f64 = (0..3).map(|c| (logits[c] as f64).exp()).sum();
        let mut chi2 = 0.0;
        for (c, logit) in logits.iter().take(3).enumerate() {
            let expected = n as f64 * (*logit as f64).exp() / z;
            let got = drawn.iter().filter(|&&d| d == c as i64).count() as f64;
            chi2 += (got - expected).powi(2) / expected;
        }
        assert!(chi2 < 13.8, "chi^2 with 2 degrees of freedom: {chi2}"); // p = 0.001
    }
}
