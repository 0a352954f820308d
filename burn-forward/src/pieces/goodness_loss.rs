//! The loss of Forward-Forward for one block, which raises the goodness of positive rows and lowers that of their negatives.
//!
//! Hinton 2022, arXiv 2212.13345. The rule [`ForwardForward`](crate::rules::ForwardForward) trains its blocks with this loss;
//! in your own module, use it in a [`Local`]. The next block must not be able to read the goodness from the length of its
//! input, so a block starts with a [normaliser](crate::pieces::normalisation::Normalisation).

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Int, Tensor};

use crate::activation::Activation;
use crate::block::{Block, Trace};
use crate::local::{Local, LocalLoss};
use crate::pieces::goodness::Goodness;
use crate::pieces::label::{self, one_hot};
use crate::pieces::pair_loss::PairLoss;
use crate::pieces::peer_norm::{PeerConfig, PeerNormalisation};
use crate::tape::Score;
use crate::{Error, Result, require};

/// Number of positive rows in a pass: the first `positives` rows. The remaining rows are their negatives, equal in number and
/// in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polarity {
    /// Number of positive rows `B`; the pass has `2 B` rows.
    pub positives: usize,
}

/// Positive rows and their negatives as one activation: one product with twice the rows is faster than two products.
#[derive(Debug, Clone)]
pub struct Pairs<A = Tensor<2>> {
    rows: A,
    polarity: Polarity,
}

impl<A: Activation> Pairs<A> {
    /// Pairs of rows; row `b` of `negative` is the negative of row `b` of `positive`.
    ///
    /// # Panics
    /// If the numbers of negatives and positives differ, or the widths of the rows do.
    pub fn new(positive: &A, negative: &A) -> Self {
        let ([rows, width], given) = (positive.features().dims(), negative.features().dims());
        require(given == [rows, width], || {
            Error::argument("Pairs", "shape of the negatives", format!("{given:?}"), format!("{:?}", [rows, width]))
        });
        let both = Tensor::cat(vec![positive.features(), negative.features()], 0);
        Self { rows: positive.with_features(both), polarity: Polarity { positives: rows } }
    }

    /// Every row of `inputs` with its label, followed by every row with a wrong label. The first `C` features are overwritten
    /// by the one-hot label. The energies of a trained network are [compared](energy) in the same way.
    ///
    /// # Shapes
    /// - `inputs`: `B` rows of more than `C` features, roughly in `[0, 1]`.
    /// - `labels`, `wrong`: `[B]`; [`Negatives::draw`](crate::pieces::negatives::Negatives::draw) draws wrong ones.
    ///
    /// # Panics
    /// If the shapes are different, or a label is not one of `classes` classes.
    pub fn overlaid(inputs: &A, labels: &Tensor<1, Int>, wrong: &Tensor<1, Int>, classes: usize) -> Self {
        let with = |labels| inputs.with_features(label::overlay(inputs.features(), one_hot(labels, classes)));
        Self::new(&with(labels), &with(wrong))
    }

    /// The rows `[2 B, d]`, positive rows first, as input to the first block.
    pub fn rows(&self) -> A {
        self.rows.clone()
    }

    /// The teaching signal.
    pub fn polarity(&self) -> Polarity {
        self.polarity
    }
}

/// Pair loss of the goodness `g` of a block's output, `weight * loss(g+, g-)`, optionally with peer normalisation.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::{Device, Tensor, activation::relu};
/// use burn_forward::pieces::goodness::Goodness;
/// use burn_forward::pieces::goodness_loss::{GoodnessLoss, Pairs, energy};
/// use burn_forward::pieces::normalisation::Normalisation;
/// use burn_forward::pieces::pair_loss::PairLoss;
/// use burn_forward::{Block, Local, Tape};
///
/// #[derive(Module, Debug)]
/// struct Dense { linear: Linear }
///
/// impl Block for Dense {
///     type Input = Tensor<2>;
///     type Output = Tensor<2>;
///     fn forward(&self, x: Tensor<2>) -> Tensor<2> { relu(self.linear.forward(Normalisation::Rms.forward(x))) }
/// }
///
/// let device = Device::flex().autodiff();
/// let loss = GoodnessLoss::new(8, Goodness::SumSquares, PairLoss::default(), &device)?;
/// let layers = [Local::new(Dense { linear: LinearConfig::new(4, 8).init(&device) }, loss)];
///
/// // Two rows of four features, the first two of which are reserved for the label.
/// let x = Tensor::<2>::from_data([[0.0, 0.0, 1.0, 0.2], [0.0, 0.0, 0.1, 0.9]], &device);
/// let [labels, wrong] = [[0, 1], [1, 0]].map(|classes| Tensor::from_data(classes, &device));
/// let pairs = Pairs::overlaid(&x, &labels, &wrong, 2);
/// let mut tape = Tape::new(pairs.polarity());
/// layers.iter().fold(pairs.rows(), |x, layer| layer.learn(x, &mut tape));
/// assert_eq!(tape.gradients().len(), 2); // weight and bias
///
/// let energies = energy(&layers, 0, &x, 2);
/// assert_eq!(energies.dims(), [2, 2]); // two rows, two candidate labels
/// # Ok::<(), burn_forward::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct GoodnessLoss {
    peer: Option<PeerNormalisation>,
    #[module(skip)]
    pieces: Pieces,
}

/// The components of the loss.
#[derive(Debug, Clone, Copy)]
struct Pieces {
    goodness: Goodness,
    loss: PairLoss,
    weight: f64,
    /// Number of features in a row of the output.
    width: usize,
    /// Goodness of activities whose mean square is 1.
    unit: f64,
}

impl GoodnessLoss {
    /// The loss of a block whose output has `width` features per row.
    ///
    /// # Errors
    /// [`Error::Argument`] if `width` is 0.
    pub fn new(width: usize, goodness: Goodness, loss: PairLoss, device: &Device) -> Result<Self> {
        let unit = goodness.at_unit_scale(width, device)?;
        Ok(Self { peer: None, pieces: Pieces { goodness, loss, weight: 1.0, width, unit } })
    }

    /// Sets the weight of the pair loss relative to the peer term; 1 by default.
    #[must_use]
    pub fn with_weight(mut self, weight: f64) -> Self {
        self.pieces.weight = weight;
        self
    }

    /// Adds peer normalisation for a block with this number of [units](crate::block::Units): features, or channels of maps.
    /// The strength is relative to `sum-squares`; for a flatter goodness it is reduced in proportion
    /// ([`Goodness::steepness`]). A strength of 0 disables it.
    #[must_use]
    pub fn with_peer(self, units: usize, config: PeerConfig, device: &Device) -> Self {
        let Pieces { goodness, width, unit, .. } = self.pieces;
        let config = PeerConfig { strength: config.strength * goodness.steepness(width, unit), ..config };
        let peer = (config.strength > 0.0).then(|| PeerNormalisation::new(units, config, device));
        Self { peer, ..self }
    }

    /// Goodness of every row `[B]`.
    ///
    /// # Shapes
    /// - `h`: `B` rows of a block's output.
    pub fn goodness(&self, h: &impl Activation) -> Tensor<1> {
        self.pieces.goodness.of(h.features())
    }
}

/// # Panics
/// If the positive rows are not half of all rows, or, with peer normalisation, if the [`trace`](Block::trace) of the block
/// does not return its units.
impl<A: Activation> LocalLoss<Polarity, A> for GoodnessLoss {
    fn score(&self, trace: &Trace<A>, signal: &Polarity) -> Score {
        let g = self.goodness(&trace.output);
        let ([rows], b) = (g.dims(), signal.positives);
        require(b > 0 && rows == 2 * b, || {
            let given = format!("{b} of {rows}");
            Error::argument("GoodnessLoss", "number of positive rows", given, "half of all rows, >= 1")
        });
        let (positive, negative) = (g.clone().narrow(0, 0, b), g.narrow(0, b, b));
        let Pieces { loss, weight, unit, .. } = self.pieces;
        let mut loss = loss.forward(positive.clone(), negative.clone(), unit) * weight;
        require(self.peer.is_none() || trace.units.is_some(), || {
            let needed = "those of a block whose `trace` returns them, or a loss without peer normalisation";
            Error::argument("GoodnessLoss", "units of the block", "none", needed)
        });
        if let (Some(peer), Some(units)) = (&self.peer, &trace.units) {
            let positives = |of: &A| of.by_unit().narrow(0, 0, b);
            loss = loss + peer.penalty(positives(&units.pre_activation), positives(&units.activity));
        }
        Score { goodness_positive: Some(positive), goodness_negative: Some(negative), ..Score::from(loss) }
    }

    fn needs_units(&self) -> bool {
        self.peer.is_some()
    }
}

/// Goodness of every candidate label, summed over the layers from `first` (from 0) on; the prediction is the label with the
/// largest sum. Labels are added as in [`Pairs::overlaid`]. All `B C` rows pass through the layers at once.
///
/// # Shapes
/// - `inputs`: `B` rows of more than `C` features; returns `[B, C]`.
///
/// # Panics
/// If rows have no more than `classes` features, or there is no layer `first`.
pub fn energy<A, B>(layers: &[Local<B, GoodnessLoss>], first: usize, inputs: &A, classes: usize) -> Tensor<2>
where
    A: Activation,
    B: Block<Input = A, Output = A> + ModuleDisplay,
{
    require(first < layers.len(), || {
        Error::argument("energy", "first layer", first, format!("less than {}, the number of layers", layers.len()))
    });
    let rows = inputs.rows();
    let mut x = inputs.with_features(label::with_every_label(inputs.features(), classes));
    let mut sum = Tensor::zeros([rows * classes], &inputs.device());
    for (index, layer) in layers.iter().enumerate() {
        x = layer.forward(x);
        if index >= first {
            sum = sum + layer.loss.goodness(&x);
        }
    }
    sum.reshape([rows, classes])
}
