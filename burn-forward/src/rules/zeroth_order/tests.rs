use burn::tensor::Device;

use super::*;
use crate::activation::RowShape;
use crate::init::{self, Init};
use crate::network::{MlpConfig, Partition};
use crate::optim::{ClipConfig, OptimizerName};

const QUERIES: usize = 5;
/// `L = w A w / 2 + b w` for three weights.
const A: [[f32; 3]; 3] = [[2.0, 0.5, -1.0], [0.5, 1.0, 0.25], [-1.0, 0.25, 3.0]];
const B: [f32; 3] = [1.0, -2.0, 0.5];

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn rule(entries: DirectionEntries, epsilon: f64, sign: bool) -> ZerothOrder {
    let device = Device::flex().autodiff();
    let seed = Seed::new(5);
    let settings = ZerothOrderConfig { directions: entries, queries: QUERIES, epsilon, sign, ..Default::default() };
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
    let moved = |query, by| numbers(directions.moved(&module, Some(Shift { query, by })).weight.val());
    let at = |by: f64| (0..QUERIES).map(move |query| (query, by));
    let epsilon = rule.settings.epsilon;
    let losses: Vec<f32> = at(epsilon).chain(at(-epsilon)).map(|(query, by)| loss(&moved(query, by))).collect();
    let losses = Tensor::<1>::from_floats(losses.as_slice(), &Device::flex()).unsqueeze();
    let mut tape = Tape::new(());
    let estimate = Estimate { slopes: &rule.slopes(&losses), sign: rule.settings.sign, factor: None };
    directions.register(&module, estimate, &mut tape);
    let estimate = numbers(tape.gradients().get::<2>(module.weight.id).unwrap());
    let weights = numbers(module.weight.val());
    let directions = (0..QUERIES).map(|query| moved(query, 1.0).iter().zip(&weights).map(|(m, w)| m - w).collect());
    (weights.clone(), estimate, directions.collect())
}

/// For a quadratic, a central difference is exact whatever its step: `g = 1/q sum_i u_i u_i (A w + b)`.
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

fn mlp() -> MlpConfig {
    MlpConfig::new([2])
}

#[test]
fn settings_that_estimate_nothing_are_refused() {
    let layers = mlp().layers(RowShape::Features(3), Seed::new(0), &Device::flex().autodiff()).unwrap();
    let network = Network::new(layers, Partition::LAYER).unwrap();
    let refused = |settings: ZerothOrderConfig| settings.build(&network, 2, Seed::new(0)).unwrap_err().to_string();
    assert!(refused(ZerothOrderConfig { queries: 0, ..Default::default() }).contains("queries"));
    for epsilon in [0.0, -1.0, f64::NAN] {
        assert!(refused(ZerothOrderConfig { epsilon, ..Default::default() }).contains("epsilon"));
    }
}

/// Rejected are the default momentum and everything else for which a step back does not undo a step forward.
#[test]
fn conserve_asks_for_an_optimiser_that_can_go_back() {
    let network = mlp();
    let errors = |conserve: bool, optimizer: Option<&OptimizerConfig>| {
        let context =
            Context { network_name: "mlp", network: &network, blocks: None, input: None, classes: None, optimizer };
        ZerothOrderConfig { conserve, ..Default::default() }.check(&context).len()
    };
    let plain = OptimizerConfig { momentum: Some(0.0), ..OptimizerConfig::new(OptimizerName::Sgd, 0.1) };
    let others = [
        OptimizerConfig::new(OptimizerName::Sgd, 0.1),
        OptimizerConfig::new(OptimizerName::Adam, 0.1),
        OptimizerConfig { weight_decay: 0.1, ..plain.clone() },
        OptimizerConfig { clip: Some(ClipConfig { norm: Some(1.0), ..ClipConfig::default() }), ..plain.clone() },
    ];
    assert_eq!([errors(true, Some(&plain)), errors(true, None)], [0, 0]);
    for other in &others {
        assert_eq!([errors(true, Some(other)), errors(false, Some(other))], [1, 0], "{other:?}");
    }
}

/// From a step back, one estimate leads to the initial weights and two lead to a step forward.
#[test]
fn the_best_of_three_places_is_kept_and_of_equals_the_first() {
    let way = |tried: [[f32; 3]; 2]| numbers(way_to_the_best(Tensor::from_floats(tried, &Device::flex())));
    assert_eq!(way([[1.0, 1.5, 3.0], [1.0, 1.0, 0.0]]), [1.0], "neither step is better");
    assert_eq!(way([[1.0, 0.5, 3.0], [1.0, 1.0, 0.0]]), [2.0], "a step forth");
    assert_eq!(way([[1.0, 0.5, 3.0], [1.0, 1.0, -9.0]]), [0.0], "a step back");
    assert_eq!(way([[1.0; 3]; 2]), [1.0]);
    for bad in [f32::NAN, f32::INFINITY] {
        assert_eq!(way([[1.0, bad, bad], [1.0, 0.0, 0.0]]), [1.0]);
        assert_eq!(way([[1.0, bad, 0.5], [1.0, 0.0, 0.5]]), [0.0]);
    }
}
