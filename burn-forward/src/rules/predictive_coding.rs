//! Predictive coding: states of the layers relax to agree with each other, and every layer learns to predict its own.
//!
//! Salvatori et al. 2024, arXiv 2212.00720 (incremental: weights learn while states relax); Pinchetti et al. 2025 for the settings.
//! With the input `x_0` `[B, d_0]`, states `x_l` `[B, d_l]` of the blocks `f_l`, `l = 1 .. L`, the output layer `O` and targets
//! `y` `[B, C]` one-hot:
//!
//! - energy of a block `E_l = |x_l - f_l(x_{l-1})|^2 / 2`, of the output `E_{L+1} = |y - O(x_L)|^2 / 2`, `F` their sum over blocks
//!   and rows;
//! - states begin at the forward pass, `x_l = f_l(x_{l-1})`, and move by `v <- mu v + dF/dx`, `x <- x - eta v`, each row by its own
//!   gradient;
//! - weights learn from `dF/dtheta / B`: once, when the states have relaxed for `steps` steps, or after every step of the states
//!   (`incremental`), from the states before it.
//!
//! The prediction is that of a forward pass.
//!
//! What we do differently: every pass over a batch, of which there are `steps + 2`, counts in the running statistics of batch
//! normalisation, which the papers' networks do not have. A block's energy has its input detached, so each learns by itself; what reaches it is the
//! state that the others' energies have moved.

use burn::module::Module;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::dfa::{output_layer, output_scores};
use super::local_classifiers::export_heads;
use super::{
    AnyHead, AnyRule, BlockRange, HeadReadout, Pass, Reach, ReadoutExport, Rule, RuleSpec, Scores, StepContext,
};
use crate::Result;
use crate::activation::{Activation, AnyActivation};
use crate::block::Block;
use crate::data::Batch;
use crate::error::InBlock;
use crate::network::{Chain, Network};
use crate::pieces::dropout;
use crate::pieces::label::one_hot;
use crate::pieces::projection::ProjectedCrossEntropy;
use crate::random::Seed;
use crate::tape::{Score, Tape};

/// Settings of `predictive-coding`.
///
/// | name | default | range | meaning |
/// |---|---|---|---|
/// | `incremental` | false | | whether weights learn after every step of the states, not once at their end |
/// | `steps` | 8 | 1 to 1000 | steps of the states on a batch |
/// | `state-lr` | 0.0105, incremental 0.8495 | (0, 10] | step size `eta` of the states |
/// | `state-momentum` | 0.65, incremental 0.35 | [0, 1) | momentum `mu` of the states, from zero on every batch |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "config", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PredictiveCodingConfig {
    /// Whether weights learn after every step of the states, not once at their end.
    pub incremental: bool,
    /// Steps of the states on a batch.
    #[cfg_attr(feature = "config", schemars(range(min = 1, max = 1000)))]
    pub steps: usize,
    /// Step size of the states; default 0.0105, incremental 0.8495.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "config", schemars(range(min = 1e-12, max = 10.0)))]
    pub state_lr: Option<f64>,
    /// Momentum of the states; default 0.65, incremental 0.35.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "config", schemars(range(min = 0.0, max = 0.999999)))]
    pub state_momentum: Option<f64>,
}

impl Default for PredictiveCodingConfig {
    fn default() -> Self {
        Self { incremental: false, steps: 8, state_lr: None, state_momentum: None }
    }
}

impl RuleSpec for PredictiveCodingConfig {
    fn resolved(&self) -> serde_json::Value {
        let full = Self {
            state_lr: Some(self.state_lr.unwrap_or(if self.incremental { 0.8495 } else { 0.0105 })),
            state_momentum: Some(self.state_momentum.unwrap_or(if self.incremental { 0.35 } else { 0.65 })),
            ..self.clone()
        };
        serde_json::to_value(full).unwrap_or_default()
    }

    fn reach(&self) -> Reach {
        Reach::Network("states that relax with those of all blocks")
    }

    fn greedy(&self) -> Result<(), String> {
        Err("states relax in all blocks together, so blocks cannot be trained one after the other".into())
    }

    fn build(&self, network: &Network, classes: usize, seed: Seed) -> Result<AnyRule> {
        Ok(AnyRule::new(PredictiveCoding {
            output: output_layer(network, classes, true, seed)?,
            incremental: self.incremental,
            steps: self.steps,
            state_lr: self.state_lr.unwrap_or(if self.incremental { 0.8495 } else { 0.0105 }),
            state_momentum: self.state_momentum.unwrap_or(if self.incremental { 0.35 } else { 0.65 }),
        }))
    }
}

/// The momentum `v` of every block's state.
const VELOCITY: &str = "velocity of the state";
/// The targets `y` `[B, C]`.
const TARGETS: &str = "targets";

/// An output layer, and how states relax.
#[derive(Module, Debug)]
pub struct PredictiveCoding {
    output: ProjectedCrossEntropy,
    incremental: bool,
    steps: usize,
    state_lr: f64,
    state_momentum: f64,
}

/// `|state - prediction|^2 / 2` summed over rows and features `[1]`.
fn energy(state: Tensor<2>, prediction: Tensor<2>) -> Tensor<1> {
    (state - prediction).square().sum() * 0.5
}

impl PredictiveCoding {
    /// One step of the states `pass.streams[1..]`.
    fn relax(&self, network: &Network, pass: &mut Pass) {
        let Some(targets) = pass.signals.rows(TARGETS).cloned() else { return };
        // All passes over a batch have the same dropout masks.
        dropout::repeat();
        // Weights learn from the energy at the states of a step, and not from this.
        let (blocks, output) = (network.clone().no_grad(), self.output.clone().no_grad());
        let leaves: Vec<Tensor<2>> =
            pass.streams[1..].iter().map(|state| state.features().detach().require_grad()).collect();
        let mut below = pass.streams[0].clone().detach();
        let mut total: Option<Tensor<1>> = None;
        for (block, (leaf, state)) in blocks.blocks().iter().zip(leaves.iter().zip(&pass.streams[1..])) {
            let own = energy(leaf.clone(), block.forward(below).features());
            total = Some(total.map_or_else(|| own.clone(), |sum| sum + own.clone()));
            below = state.with_features(leaf.clone());
        }
        let Some(total) = total else { return };
        let gradients = (total + energy(targets, output.scores(&below))).backward();
        for (index, leaf) in leaves.iter().enumerate() {
            let Some(force) = leaf.grad(&gradients) else { continue };
            let force = Tensor::from_inner(force);
            let velocity = match pass.signals.take_block(VELOCITY, index) {
                Some(velocity) => velocity.output.features() * self.state_momentum + force,
                None => force,
            };
            let state = leaf.clone().detach() - velocity.clone() * self.state_lr;
            pass.signals.put_block(VELOCITY, index, AnyActivation::Features(velocity).into());
            pass.streams[index + 1] = pass.streams[index + 1].with_features(state);
        }
    }
}

impl Rule for PredictiveCoding {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn rounds(&self) -> usize {
        if self.incremental { self.steps } else { 1 }
    }

    fn begin(&self, network: &Network, batch: &Batch, _: StepContext, _: &mut Tape) -> Pass {
        let mut pass = Pass::of(batch);
        let mut x = batch.inputs.clone();
        for block in network.blocks() {
            x = block.forward(x).detach();
            pass.streams.push(x.clone());
        }
        pass.logits = Some(self.output.scores(&x).without_autodiff());
        pass.signals.put(TARGETS, one_hot(&pass.labels, batch.classes));
        if !self.incremental {
            (0..self.steps).for_each(|_| self.relax(network, &mut pass));
        }
        pass
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let _in_block = InBlock::new(index);
        if index == 0 {
            dropout::repeat();
        }
        let prediction = block.forward(pass.streams[index].clone().detach()).features();
        let rows = prediction.dims()[0] as f64;
        let score = Score::from(energy(pass.streams[index + 1].features().detach(), prediction) / rows);
        tape.backward(&score.loss, block);
        tape.record(index, score);
    }

    fn end(&self, network: &Network, pass: &mut Pass, tape: &mut Tape) {
        if let (Some(targets), Some(top)) = (pass.signals.rows(TARGETS).cloned(), pass.streams.last().cloned()) {
            let rows = targets.dims()[0] as f64;
            tape.backward(&(energy(targets, self.output.scores(&top.detach())) / rows), &self.output);
        }
        if self.incremental {
            self.relax(network, pass);
        }
    }

    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        output_scores(network, &self.output, inputs)
    }

    fn output_head(&self) -> Option<ProjectedCrossEntropy> {
        Some(self.output.clone())
    }

    fn export(&self, _: &Network) -> ReadoutExport {
        export_heads(&[AnyHead::new(self.output.clone())], HeadReadout::Last, BlockRange::all(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::RowShape;
    use crate::init::InitScheme;
    use crate::model::LocalModel;
    use crate::network::{MlpConfig, Partition};
    use crate::pieces::activation_fn::ActivationFn;
    use crate::pieces::normalisation::Normalisation;
    use burn::tensor::{Device, Int, TensorData};
    use rand::RngExt;

    /// A linear network 3-4-3 with two classes, and a batch of five rows.
    fn linear(config: &PredictiveCodingConfig) -> (LocalModel, Batch) {
        let device = Device::flex().autodiff();
        let mlp = MlpConfig {
            widths: vec![4, 3],
            activation: ActivationFn::None,
            dropout: 0.0,
            normalisation: Normalisation::None,
            init: InitScheme::Default,
        };
        let seed = Seed::new(5);
        let layers = mlp.layers(RowShape::Features(3), seed, &device).unwrap();
        let network = Network::new(layers, Partition::LAYER).unwrap().with_device(&device);
        let rule = config.build(&network, 2, seed).unwrap();
        let mut rng = seed.stream("rows", &[]);
        let values: Vec<f32> = (0..15).map(|_| rng.random_range(-1.0..1.0)).collect();
        let batch = Batch {
            inputs: AnyActivation::Features(Tensor::from_data(TensorData::new(values, [5, 3]), &device)),
            targets: Tensor::<1, Int>::from_data([0, 1, 1, 0, 1], &device),
            classes: 2,
            key: Default::default(),
            samples: (0..5).collect(),
        };
        (LocalModel::new(network, rule, seed), batch)
    }

    fn context() -> StepContext {
        StepContext { seed: Seed::new(5), key: Default::default() }
    }

    fn numbers(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().iter().collect()
    }

    /// At the equilibrium of a linear network every state has no force: `eps_l = eps_{l+1} W_{l+1}^T`, with `eps` the errors of
    /// prediction. It is checked by the condition, which has one solution.
    #[test]
    fn states_of_a_linear_network_come_to_their_equilibrium() {
        let config = PredictiveCodingConfig {
            steps: 1000,
            state_lr: Some(0.2),
            state_momentum: Some(0.5),
            ..PredictiveCodingConfig::default()
        };
        let (model, batch) = linear(&config);
        let pass = model.rule.begin(&model.network, &batch, context(), &mut Tape::new(()));
        let state = |l: usize| pass.streams[l].features().without_autodiff();
        let (first, second) = (&model.network.blocks()[0], &model.network.blocks()[1]);
        let predicted = |block: &Chain, x: Tensor<2>| block.valid().forward(AnyActivation::Features(x)).features();
        let errors = [state(1) - predicted(first, state(0)), state(2) - predicted(second, state(1))];
        let output = model.rule.output_head().unwrap().valid();
        let targets = pass.signals.rows(TARGETS).unwrap().clone().without_autodiff();
        let last = targets - output.scores(&AnyActivation::Features(state(2)));
        // The layers are affine: columns of their weights are what unit vectors add to what zero gives.
        let back = |f: &dyn Fn(Tensor<2>) -> Tensor<2>, d: usize, error: Tensor<2>| {
            let device = error.device();
            let zero = f(Tensor::zeros([1, d], &device));
            let weight = f(Tensor::<2, Int>::eye(d, &device).float()) - zero;
            error.matmul(weight.transpose())
        };
        let expected = [
            back(&|x| predicted(second, x), 4, errors[1].clone()),
            back(&|x| output.scores(&AnyActivation::Features(x)), 3, last),
        ];
        for (error, expected) in errors.into_iter().zip(expected) {
            let (error, expected) = (numbers(error), numbers(expected));
            assert!(error.iter().any(|e| e.abs() > 1e-2), "{error:?}");
            for (a, b) in error.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
    }

    /// Torch2PC's FixedPred: with a state step of 1 and no momentum, the first steps move the states by the gradients of
    /// back-propagation, in a network whose errors are small. Here: after one step from the forward pass the state below the
    /// output has moved by `eta` times the gradient of the squared error.
    #[test]
    fn the_first_step_of_the_top_state_is_the_gradient_of_the_squared_error() {
        let config =
            PredictiveCodingConfig { steps: 1, state_lr: Some(1.0), state_momentum: Some(0.0), ..Default::default() };
        let (model, batch) = linear(&config);
        let pass = model.rule.begin(&model.network, &batch, context(), &mut Tape::new(()));
        let output = model.rule.output_head().unwrap();
        let forward = model.network.forward(batch.inputs.clone()).features().detach().require_grad();
        let error = one_hot(&batch.targets, 2) - output.scores(&AnyActivation::Features(forward.clone()));
        let gradients = (error.square().sum() * 0.5).backward();
        let expected = numbers(forward.clone().without_autodiff() - forward.grad(&gradients).unwrap());
        for (a, b) in numbers(pass.streams[2].features()).iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        // Nothing has reached the state below yet: the forward pass has no error but at the output.
        let below = numbers(model.network.blocks()[0].forward(batch.inputs.clone()).features());
        assert_eq!(numbers(pass.streams[1].features()), below);
    }

    #[test]
    fn incremental_coding_takes_an_optimiser_step_for_every_step_of_the_states() {
        let config = PredictiveCodingConfig { incremental: true, steps: 3, ..PredictiveCodingConfig::default() };
        let (model, batch) = linear(&config);
        let mut steps = 0;
        let (_, said) = model.learn_with(&batch, |model, gradients| {
            steps += 1;
            assert_eq!(gradients.len(), 6);
            model
        });
        assert_eq!(steps, 3);
        drop(said);
    }
}
