//! Updates of single numbers, with the same order of operations as in Burn.

use burn::optim::LearningRate;
use burn::optim::momentum::MomentumConfig;

use super::pass::Update;

/// An update with two moments.
#[derive(Clone, Copy)]
pub(super) enum AdaptiveUpdate {
    Adam(AdamUpdate),
    AdamW(AdamWUpdate),
}

/// The gradient including weight decay.
#[inline(always)]
fn decayed(decay: Option<f32>, weight: f32, gradient: f32) -> f32 {
    match decay {
        Some(decay) => weight * decay + gradient,
        None => gradient,
    }
}

/// A step of SGD.
#[derive(Debug, Clone, Copy)]
pub(super) struct SgdUpdate {
    lr: f32,
    weight_decay: Option<f32>,
    momentum: f32,
    /// `1 - dampening`.
    share: f32,
    nesterov: bool,
}

impl SgdUpdate {
    pub(super) fn new(lr: LearningRate, weight_decay: Option<f32>, momentum: Option<&MomentumConfig>) -> Self {
        Self {
            lr: lr as f32,
            weight_decay,
            momentum: momentum.map_or(0.0, |config| config.momentum as f32),
            share: momentum.map_or(0.0, |config| (1.0 - config.dampening) as f32),
            nesterov: momentum.is_some_and(|config| config.nesterov),
        }
    }

    #[inline(always)]
    fn moved(self, weight: f32, gradient: f32, velocity: f32) -> f32 {
        let direction = if self.nesterov { velocity * self.momentum + gradient } else { velocity };
        weight - direction * self.lr
    }
}

impl Update<0> for SgdUpdate {
    #[inline(always)]
    fn first(self, weight: f32, gradient: f32) -> (f32, [f32; 0]) {
        self.next(weight, gradient, [])
    }

    #[inline(always)]
    fn next(self, weight: f32, gradient: f32, _: [f32; 0]) -> (f32, [f32; 0]) {
        (weight - decayed(self.weight_decay, weight, gradient) * self.lr, [])
    }
}

impl Update<1> for SgdUpdate {
    #[inline(always)]
    fn first(self, weight: f32, gradient: f32) -> (f32, [f32; 1]) {
        let gradient = decayed(self.weight_decay, weight, gradient);
        (self.moved(weight, gradient, gradient), [gradient])
    }

    #[inline(always)]
    fn next(self, weight: f32, gradient: f32, [velocity]: [f32; 1]) -> (f32, [f32; 1]) {
        let gradient = decayed(self.weight_decay, weight, gradient);
        let velocity = gradient * self.share + velocity * self.momentum;
        (self.moved(weight, gradient, velocity), [velocity])
    }
}

/// Running means of gradients and of their squares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means {
    beta: [f32; 2],
    /// `1 - beta`.
    share: [f32; 2],
}

impl Means {
    pub(super) fn new(beta: [f32; 2]) -> Self {
        Self { beta, share: beta.map(|beta| 1.0 - beta) }
    }

    /// `1 - beta^t`, the factor by which a mean of `t` steps is too small.
    fn correction(self, time: usize) -> [f32; 2] {
        self.beta.map(|beta| 1.0 - beta.powi(time as i32))
    }

    #[inline(always)]
    fn first(self, gradient: f32) -> [f32; 2] {
        [gradient * self.share[0], gradient * gradient * self.share[1]]
    }

    #[inline(always)]
    fn next(self, gradient: f32, [mean, of_squares]: [f32; 2]) -> [f32; 2] {
        let [first, second] = self.first(gradient);
        [mean * self.beta[0] + first, of_squares * self.beta[1] + second]
    }
}

/// A step of Adam. As in Burn, the corrections of both moments are combined in one factor:
/// `(m / c_1) / (sqrt(v / c_2) + epsilon) = m (sqrt(c_2) / c_1) / (sqrt(v) + epsilon sqrt(c_2))`.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdamUpdate {
    lr: f32,
    weight_decay: Option<f32>,
    means: Means,
    factor: f32,
    epsilon: f32,
}

impl AdamUpdate {
    /// Step number `time`, from 1.
    pub(super) fn new(lr: LearningRate, time: usize, means: Means, epsilon: f32, weight_decay: Option<f32>) -> Self {
        let [of_mean, of_squares] = means.correction(time);
        let root = of_squares.sqrt();
        Self { lr: lr as f32, weight_decay, means, factor: root / of_mean, epsilon: epsilon * root }
    }

    #[inline(always)]
    fn moved(self, weight: f32, [mean, of_squares]: [f32; 2]) -> f32 {
        weight - mean * self.factor / (of_squares.sqrt() + self.epsilon) * self.lr
    }
}

impl Update<2> for AdamUpdate {
    #[inline(always)]
    fn first(self, weight: f32, gradient: f32) -> (f32, [f32; 2]) {
        let moments = self.means.first(decayed(self.weight_decay, weight, gradient));
        (self.moved(weight, moments), moments)
    }

    #[inline(always)]
    fn next(self, weight: f32, gradient: f32, moments: [f32; 2]) -> (f32, [f32; 2]) {
        let moments = self.means.next(decayed(self.weight_decay, weight, gradient), moments);
        (self.moved(weight, moments), moments)
    }
}

/// A step of AdamW.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdamWUpdate {
    lr: f32,
    /// The remaining fraction of a weight; `None` for all of it.
    left: Option<f32>,
    means: Means,
    correction: [f32; 2],
    epsilon: f32,
}

impl AdamWUpdate {
    /// Step number `time`, from 1.
    pub(super) fn new(lr: LearningRate, time: usize, means: Means, epsilon: f32, weight_decay: f32) -> Self {
        let rate = lr * f64::from(weight_decay);
        let left = (rate != 0.0).then_some((1.0 - rate) as f32);
        Self { lr: lr as f32, left, means, correction: means.correction(time), epsilon }
    }

    #[inline(always)]
    fn moved(self, weight: f32, [mean, of_squares]: [f32; 2]) -> f32 {
        let weight = match self.left {
            Some(left) => weight * left,
            None => weight,
        };
        let root = (of_squares / self.correction[1]).sqrt();
        weight - mean / self.correction[0] / (root + self.epsilon) * self.lr
    }
}

impl Update<2> for AdamWUpdate {
    #[inline(always)]
    fn first(self, weight: f32, gradient: f32) -> (f32, [f32; 2]) {
        let moments = self.means.first(gradient);
        (self.moved(weight, moments), moments)
    }

    #[inline(always)]
    fn next(self, weight: f32, gradient: f32, moments: [f32; 2]) -> (f32, [f32; 2]) {
        let moments = self.means.next(gradient, moments);
        (self.moved(weight, moments), moments)
    }
}
