use burn::tensor::Device;

use super::*;
use crate::data::BatchKey;

fn numbers(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

/// Feedback weights for a weight in the batch at `index`, with the values stored at the start.
fn feedback(kind: FeedbackKind, weight: &Tensor<2>, stored: &Tensor<2>, bound: f64, index: u64) -> Vec<f32> {
    let device = weight.device();
    let (feedback, output_feedback) = (Vec::new(), None);
    let output = ProjectedCrossEntropy::new(2, 2, false, &mut Seed::new(0).stream("t", &[]), &device).unwrap();
    let rule = FeedbackAlignment { feedback, output_feedback, output, kind };
    let context = StepContext { seed: Seed::new(0), key: BatchKey { epoch: 0, index, step: index } };
    let stored = kind.is_stored().then(|| fixed(stored.clone()));
    numbers(rule.in_place_of(weight.clone(), bound, stored.as_ref(), &mut FeedbackAlignment::rng(1, context)))
}

#[test]
fn feedback_has_the_signs_of_the_weights_where_it_says_so() {
    let device = Device::flex();
    let mut rng = Seed::new(3).stream("t", &[]);
    // A 3 x 3 kernel from 4 channels to 6.
    let (shape, bound) = as_matrix([6, 4, 3, 3]);
    assert_eq!(shape, [6, 36]);
    assert!((bound - (6.0f64 / 90.0).sqrt()).abs() < 1e-12);
    let mut draw = || Init::Uniform(bound).draw(shape, &mut rng, &device).unwrap();
    let (weight, stored) = (draw(), draw());
    let of = |kind, index| feedback(kind, &weight, &stored, bound, index);
    let (w, r) = (numbers(weight.clone()), numbers(stored.clone()));
    use FeedbackKind::*;
    for kind in [Usf, Brsf, Frsf] {
        let b = of(kind, 0);
        assert!(b.iter().zip(&w).all(|(b, w)| b.signum() == w.signum()), "{kind:?}");
        assert!(b.iter().all(|b| b.abs() <= bound as f32), "{kind:?}");
        assert_eq!(of(kind, 0), b, "{kind:?}: a batch has its own");
        assert_eq!(of(kind, 1) != b, kind == Brsf, "{kind:?}");
    }
    let std = (bound / 3f64.sqrt()) as f32;
    assert!(of(Usf, 0).iter().all(|b| (b.abs() - std).abs() < 1e-6));
    assert!(of(Frsf, 0).iter().zip(&r).all(|(b, r)| b.abs() == r.abs()));
    assert_eq!([of(Random, 0), of(KolenPollack, 0)], [r.clone(), r]);
    // Uniform up to the bound: the mean of 216 magnitudes is half of it, within five standard deviations.
    let mean = of(Brsf, 0).iter().map(|b| b.abs() as f64).sum::<f64>() / 216.0;
    assert!((mean / bound - 0.5).abs() < 5.0 / 12f64.sqrt() / 216f64.sqrt(), "{mean} of {bound}");
}
