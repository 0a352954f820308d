use super::*;
use crate::init::{self, Init};

const QUERIES: usize = 5;
/// `L = w A w / 2 + b w` of three weights.
const A: [[f32; 3]; 3] = [[2.0, 0.5, -1.0], [0.5, 1.0, 0.25], [-1.0, 0.25, 3.0]];
const B: [f32; 3] = [1.0, -2.0, 0.5];

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn rule(entries: DirectionEntries, epsilon: f64, sign: bool) -> ZerothOrder {
    let device = Device::flex().autodiff();
    let seed = Seed::new(5);
    let settings = ZerothOrderConfig { directions: entries, queries: QUERIES, epsilon, sign, bias: true };
    let output = ProjectedCrossEntropy::new(3, 2, true, &mut seed.stream("output", &[]), &device).unwrap();
    ZerothOrder { output, settings, seed }
}

fn loss(w: &[f32]) -> f32 {
    let pairs = (0..3).flat_map(|i| (0..3).map(move |j| (i, j)));
    pairs.map(|(i, j)| w[i] * A[i][j] * w[j] / 2.0).sum::<f32>() + (0..3).map(|i| B[i] * w[i]).sum::<f32>()
}

/// Three weights, the estimate for them, and the directions.
fn estimated(rule: &ZerothOrder) -> (Vec<f32>, Vec<f32>, Vec<Vec<f32>>) {
    let (mut rng, device) = (rule.seed.stream("weights", &[]), Device::flex().autodiff());
    let module = init::linear(3, 1, Init::default_uniform(3), None, &mut rng, &device).unwrap();
    let directions = rule.directions(BatchKey::new(2, 3, 10), Some(1));
    let moved = |query, by| numbers(directions.moved(&module, query, by).weight.val());
    let at = |by: f64| (0..QUERIES).map(move |query| (query, by));
    let epsilon = rule.settings.epsilon;
    let losses: Vec<f32> = at(epsilon).chain(at(-epsilon)).map(|(query, by)| loss(&moved(query, by))).collect();
    let losses = Tensor::<1>::from_floats(losses.as_slice(), &Device::flex()).unsqueeze();
    let mut tape = Tape::new(());
    directions.register(&module, &rule.slopes(&losses), rule.settings.sign, &mut tape);
    let estimate = numbers(tape.gradients().get::<2>(module.weight.id).unwrap());
    let weights = numbers(module.weight.val());
    let directions = (0..QUERIES).map(|query| moved(query, 1.0).iter().zip(&weights).map(|(m, w)| m - w).collect());
    (weights.clone(), estimate, directions.collect())
}

/// A central difference is exact there, whatever its step: `g = 1/q sum_i u_i u_i (A w + b)`.
#[test]
fn the_estimate_of_a_quadratic_is_its_gradient_along_the_directions() {
    for entries in [DirectionEntries::Rademacher, DirectionEntries::Gaussian] {
        let (w, estimate, directions) = estimated(&rule(entries, 0.5, false));
        let gradient: Vec<f32> = (0..3).map(|i| B[i] + (0..3).map(|j| A[i][j] * w[j]).sum::<f32>()).collect();
        let slope = |u: &[f32]| u.iter().zip(&gradient).map(|(u, g)| u * g).sum::<f32>();
        for (i, got) in estimate.iter().enumerate() {
            let expected = directions.iter().map(|u| u[i] * slope(u)).sum::<f32>() / QUERIES as f32;
            assert!((got - expected).abs() < 2e-5, "{entries:?} [{i}]: {got}, not {expected}");
        }
        let differ = |a: usize, b: usize| directions[a] != directions[b];
        assert!(differ(0, 1) || differ(0, 2) || differ(0, 3), "every query has directions of its own: {directions:?}");
    }
}

#[test]
fn the_sign_is_that_of_the_estimate() {
    let estimate = |sign| estimated(&rule(DirectionEntries::Gaussian, 0.5, sign)).1;
    let signs: Vec<f32> = estimate(false).iter().map(|g| g.signum()).collect();
    assert_eq!(estimate(true), signs);
}

/// Means and variances of 100,000 entries: five standard deviations are 0.016 and 0.022.
#[test]
fn entries_have_mean_0_and_variance_1() {
    for entries in [DirectionEntries::Rademacher, DirectionEntries::Gaussian] {
        let values = entries.draw(100_000, &mut Seed::new(1).stream("entries", &[]));
        let mean = values.iter().map(|v| *v as f64).sum::<f64>() / 1e5;
        let variance = values.iter().map(|v| (*v as f64).powi(2)).sum::<f64>() / 1e5;
        assert!(values.len() == 100_000 && mean.abs() < 0.016 && (variance - 1.0).abs() < 0.023, "{mean} {variance}");
        assert!(entries == DirectionEntries::Gaussian || values.iter().all(|v| v.abs() == 1.0));
    }
}

#[test]
fn settings_that_estimate_nothing_are_refused() {
    let network = Network::new(
        crate::network::MlpConfig {
            widths: vec![2],
            activation: Default::default(),
            dropout: 0.0,
            normalisation: Default::default(),
            init: Default::default(),
        }
        .layers(crate::activation::RowShape::Features(3), Seed::new(0), &Device::flex().autodiff())
        .unwrap(),
        crate::network::Partition::LAYER,
    )
    .unwrap();
    let refused = |settings: ZerothOrderConfig| settings.build(&network, 2, Seed::new(0)).unwrap_err().to_string();
    assert!(refused(ZerothOrderConfig { queries: 0, ..Default::default() }).contains("queries"));
    for epsilon in [0.0, -1.0, f64::NAN] {
        assert!(refused(ZerothOrderConfig { epsilon, ..Default::default() }).contains("epsilon"));
    }
}
