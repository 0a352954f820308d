//! The learning-rate range test (Smith, *Cyclical Learning Rates for Training Neural Networks*, 2017, arXiv
//! 1506.01186): the rate grows from step to step, and the loss is recorded.
//!
//! Smith increases the rate linearly over some epochs. Here it grows geometrically over some batches, so that every
//! order of magnitude gets the same number of steps.

use serde::{Deserialize, Serialize};

use burn_forward::{Error, Result};

/// Weight of the previous losses in the smoothed loss.
const MEMORY: f64 = 0.9;
/// The test ends when the smoothed loss exceeds this multiple of its minimum.
const DIVERGED: f64 = 4.0;

/// The learning rates of a range test: `steps` rates that grow by a constant factor.
///
/// | name | default | range |
/// |---|---|---|
/// | `from` | 1e-7 | > 0 |
/// | `to` | 1 | > `from` |
/// | `steps` | 100 | >= 3 |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateRange {
    /// The first rate.
    pub from: f64,
    /// The last rate.
    pub to: f64,
    /// Number of rates.
    pub steps: usize,
}

impl Default for RateRange {
    fn default() -> Self {
        Self { from: 1e-7, to: 1.0, steps: 100 }
    }
}

/// One step of a range test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RatePoint {
    /// Learning rate of the step.
    pub rate: f64,
    /// Loss of its batch, before the update.
    pub loss: f64,
    /// Mean of the losses so far, where the loss `n` steps earlier has the weight `0.9^n`.
    pub smoothed: f64,
}

/// Result of a range test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateCurve {
    /// The steps in order, without a step whose loss is not finite.
    pub points: Vec<RatePoint>,
    /// Whether the test ended before the last rate, because the smoothed loss exceeded four times its minimum or a loss
    /// was not finite.
    pub diverged: bool,
    /// The rate with the smallest smoothed loss; `None` if the loss never fell.
    pub minimum: Option<f64>,
    /// The rate before the minimum at which the smoothed loss falls fastest on a logarithmic scale of rates; `None` if
    /// it never fell.
    pub steepest: Option<f64>,
    /// A tenth of [`minimum`](Self::minimum).
    pub tenth_of_minimum: Option<f64>,
}

impl RateRange {
    /// The rates, from the first to the last.
    ///
    /// # Errors
    /// [`Error::Argument`] for a value out of range.
    pub fn rates(self) -> Result<Vec<f64>> {
        let Self { from, to, steps } = self;
        let refuse = |what: &str, given: String, needed: String| Err(Error::argument("RateRange", what, given, needed));
        if !(from > 0.0 && from.is_finite()) {
            return refuse("first rate", from.to_string(), "a finite number > 0".into());
        }
        if !(to > from && to.is_finite()) {
            return refuse("last rate", to.to_string(), format!("a finite number > {from}, the first rate"));
        }
        if steps < 3 {
            return refuse("number of steps", steps.to_string(), "at least 3".into());
        }
        let last = (steps - 1) as f64;
        Ok((0..steps).map(|i| from * (to / from).powf(i as f64 / last)).collect())
    }

    /// Takes a step with each rate until the loss diverges. `step` receives the rate and returns the loss before its
    /// update.
    ///
    /// ```
    /// use burn_forward_train::measure::RateRange;
    ///
    /// // Gradient descent on w^2, which diverges for rates above 1.
    /// let mut w = 1.0;
    /// let curve = RateRange { to: 100.0, ..Default::default() }.test(|rate| {
    ///     let loss = w * w;
    ///     w -= rate * 2.0 * w;
    ///     Ok(loss)
    /// })?;
    /// assert!(curve.diverged);
    /// assert!(curve.steepest.is_some_and(|rate| rate < 1.0));
    /// # Ok::<(), burn_forward::Error>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`rates`](Self::rates), and any error from `step`.
    pub fn test(self, mut step: impl FnMut(f64) -> Result<f64>) -> Result<RateCurve> {
        let mut points: Vec<RatePoint> = Vec::with_capacity(self.steps.min(1 << 16));
        let (mut sum, mut weight, mut smallest) = (0.0, 0.0, f64::INFINITY);
        let mut diverged = false;
        for rate in self.rates()? {
            let loss = step(rate)?;
            if !loss.is_finite() {
                diverged = true;
                break;
            }
            sum = MEMORY * sum + loss;
            weight = MEMORY * weight + 1.0;
            let smoothed: f64 = sum / weight;
            points.push(RatePoint { rate, loss, smoothed });
            smallest = smallest.min(smoothed);
            // Some rules have negative losses; then the distance from the minimum counts.
            if smoothed > smallest + (DIVERGED - 1.0) * smallest.abs() {
                diverged = true;
                break;
            }
        }
        Ok(RateCurve::of(points, diverged))
    }
}

impl RateCurve {
    fn of(points: Vec<RatePoint>, diverged: bool) -> Self {
        let smoothed = |i: usize| points[i].smoothed;
        let lowest = (0..points.len()).min_by(|a, b| smoothed(*a).total_cmp(&smoothed(*b))).unwrap_or(0);
        // The first means cover few losses and are dominated by chance.
        let settled = (points.len() / 10).max(1);
        let slope = |i: usize| smoothed(i + 1) - smoothed(i - 1);
        // A difference due to rounding in the mean of equal losses does not count as a fall.
        let rounding = 1e-9 * points.first().map_or(0.0, |point| point.smoothed.abs());
        let falling = (settled..lowest).filter(|i| i + 1 < points.len() && slope(*i) < -rounding);
        let steepest = falling.min_by(|a, b| slope(*a).total_cmp(&slope(*b))).map(|i| points[i].rate);
        let minimum = steepest.and(points.get(lowest)).map(|point| point.rate);
        Self { points, diverged, minimum, steepest, tenth_of_minimum: minimum.map(|rate| rate / 10.0) }
    }

    /// Why the suggested rates should not be trusted, if there is a reason.
    pub fn caution(&self) -> Option<&'static str> {
        let (minimum, last) = (self.minimum?, self.points.last()?);
        if !self.diverged && minimum >= last.rate {
            return Some("the loss still falls at the last rate; the range should end at a larger one");
        }
        // The steps up to the minimum, and how far their losses are from the smoothed ones.
        let falling: Vec<&RatePoint> = self.points.iter().take_while(|point| point.rate <= minimum).collect();
        let (first, lowest) = (falling.get(falling.len() / 10)?, falling.last()?);
        let squares: f64 = falling.iter().map(|point| (point.loss - point.smoothed).powi(2)).sum();
        let noise = (squares / falling.len() as f64).sqrt();
        (first.smoothed - lowest.smoothed < 2.0 * noise)
            .then_some("the loss falls by no more than it varies between batches, so the rates may be due to chance")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gradient descent on `1/2 sum L_i w_i^2`, starting from ones: a linear least-squares problem in the eigenbasis of
    /// its Hessian.
    fn least_squares(curvatures: &[f64], range: RateRange) -> RateCurve {
        let mut w = vec![1.0; curvatures.len()];
        let step = |rate: f64| {
            let loss = curvatures.iter().zip(&w).map(|(l, w)| 0.5 * l * w * w).sum();
            w.iter_mut().zip(curvatures).for_each(|(w, l)| *w -= rate * l * *w);
            Ok(loss)
        };
        range.test(step).unwrap()
    }

    /// Gradient descent diverges above 2 / L, where L is the largest curvature.
    #[test]
    fn least_squares_diverges_above_two_over_the_largest_curvature() {
        for (largest, curvatures) in [(40.0, vec![1.0, 10.0, 40.0]), (4e3, vec![4e3, 5.0]), (70.0, vec![70.0])] {
            let curve = least_squares(&curvatures, RateRange::default());
            let bound = 2.0 / largest;
            assert!(curve.diverged);
            let last = curve.points.last().unwrap();
            assert!(last.rate > bound, "{largest}: it ended at {}, below {bound}", last.rate);
            // With one curvature the loss falls up to the bound, and the next step has the smallest loss.
            let ratio = curve.points[1].rate / curve.points[0].rate;
            let lowest = curve.points.iter().min_by(|a, b| a.loss.total_cmp(&b.loss)).unwrap();
            let is_at_the_bound = lowest.rate >= bound && lowest.rate <= bound * ratio;
            assert!(is_at_the_bound || curvatures.len() > 1, "{largest}: {} and not {bound}", lowest.rate);
            // The suggested rates must be usable, and not needlessly small.
            for suggested in [curve.steepest.unwrap(), curve.tenth_of_minimum.unwrap()] {
                assert!(suggested < bound && suggested > bound / 50.0, "{largest}: {suggested} against {bound}");
            }
        }
    }

    #[test]
    fn a_loss_that_never_falls_suggests_nothing() {
        let rising = RateRange::default().test(|rate| Ok(1.0 + rate)).unwrap();
        assert_eq!((rising.steepest, rising.minimum, rising.diverged), (None, None, false));
        assert_eq!(rising.points.len(), 100);
        let flat = RateRange::default().test(|_| Ok(2.5)).unwrap();
        assert_eq!((flat.steepest, flat.tenth_of_minimum), (None, None));
    }

    /// A loss that falls to the end of the range, one that only varies, and one that falls and diverges.
    #[test]
    fn a_suggestion_that_cannot_be_trusted_says_why() {
        let falls = RateRange { to: 1e-3, ..Default::default() }.test(|rate| Ok(2.0 - 100.0 * rate)).unwrap();
        assert!(falls.caution().unwrap().contains("at the last rate"));
        let mut step = 0u32;
        let varies = RateRange::default().test(|_| {
            step += 1;
            let dip = if (30..60).contains(&step) { 0.02 } else { 0.0 };
            Ok(2.3 + 0.05 * f64::from(step * 7919 % 13) / 13.0 - dip)
        });
        let varies = varies.unwrap();
        assert!(varies.steepest.is_some() && varies.caution().unwrap().contains("due to chance"));
        assert_eq!(least_squares(&[1.0, 10.0, 40.0], RateRange::default()).caution(), None);
        assert_eq!(RateRange::default().test(|_| Ok(1.0)).unwrap().caution(), None);
    }

    #[test]
    fn it_ends_above_four_times_the_minimum_and_at_what_is_no_number() {
        let mut losses = [1.0, 1.0, 1.0, 30.0, 1000.0].into_iter();
        let curve = RateRange::default().test(|_| Ok(losses.next().unwrap())).unwrap();
        // (0.729 + 0.81 + 0.9 + 30) / 3.439 is 9.4; the loss of 1000 is never requested.
        assert!(curve.diverged && curve.points.len() == 4);
        assert!((curve.points[3].smoothed - 32.439 / 3.439).abs() < 1e-12);
        let mut losses = [-1.0, -2.0, f64::NAN].into_iter();
        let curve = RateRange::default().test(|_| Ok(losses.next().unwrap())).unwrap();
        assert!(curve.diverged && curve.points.len() == 2);
    }

    #[test]
    fn ranges_that_are_none_are_refused() {
        let range = RateRange::default();
        for (range, what) in [
            (RateRange { from: 0.0, ..range }, "first rate is 0"),
            (RateRange { from: f64::NAN, ..range }, "first rate is NaN"),
            (RateRange { to: 1e-7, ..range }, "last rate is 0.0000001"),
            (RateRange { steps: 2, ..range }, "number of steps is 2"),
        ] {
            let said = range.rates().unwrap_err().to_string();
            assert!(said.contains(what), "{said}");
        }
    }

    proptest! {
        /// The rates reach both ends and grow by a constant factor.
        #[test]
        fn rates_grow_geometrically(from in 1e-9f64..1e-2, times in 2.0f64..1e8, steps in 3usize..200) {
            let range = RateRange { from, to: from * times, steps };
            let rates = range.rates().unwrap();
            prop_assert_eq!(rates.len(), steps);
            prop_assert!((rates[0] / from - 1.0).abs() < 1e-12 && (rates[steps - 1] / range.to - 1.0).abs() < 1e-9);
            let ratio = times.powf(1.0 / (steps - 1) as f64);
            prop_assert!(rates.windows(2).all(|pair| (pair[1] / pair[0] / ratio - 1.0).abs() < 1e-9));
        }
    }
}
