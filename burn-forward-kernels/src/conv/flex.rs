//! The operations behind the functions of [`conv`](super), for flex with and without autodiff.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::nn::conv::Conv2d;
use burn::nn::pool::AvgPool2d;
use burn::nn::{BatchNorm, PaddingConfig2d};
use burn::tensor::{DType, Tensor};

use super::activation::FusedActivation;
#[cfg(target_arch = "x86_64")]
use super::direct;
use super::geometry::{Geometry, Sizes};
use super::norm::{Channels, MapSizes};
use super::{columns, depthwise, norm, pool};
use crate::device::is_flex;
use crate::flex::{dims, tensor, unary};

/// The geometry of a convolution that this module can compute for these inputs. `None` leaves it to Burn, for another backend,
/// another number type, or a padding, dilation or stride that depends on the direction.
pub(super) fn geometry(conv: &Conv2d, x: &Tensor<4>) -> Option<Geometry> {
    let padding = match conv.padding {
        PaddingConfig2d::Valid => 0,
        PaddingConfig2d::Explicit(top, left, bottom, right) if [left, bottom, right] == [top; 3] => top,
        _ => return None,
    };
    let plain = conv.dilation == [1; 2] && conv.stride[0] == conv.stride[1];
    (plain && is_ours(x) && conv.weight.val().dtype() == DType::F32).then_some(Geometry {
        stride: conv.stride[0],
        padding,
        groups: conv.groups,
    })
}

/// The algorithm for a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Every channel separately.
    Depthwise,
    /// Directly from the maps.
    #[cfg(target_arch = "x86_64")]
    Direct,
    /// As a product with a matrix of patches.
    Columns,
}

impl Sizes {
    fn way(&self) -> Way {
        if self.is_depthwise() {
            return Way::Depthwise;
        }
        #[cfg(target_arch = "x86_64")]
        if direct::fits(self) {
            return Way::Direct;
        }
        Way::Columns
    }
}

/// Whether the maps have single precision and are on flex.
pub(super) fn is_ours(x: &Tensor<4>) -> bool {
    x.dtype() == DType::F32 && is_flex(&x.device())
}

/// Whether the windows of a pool are squares that cover these maps without overlap.
pub(super) fn covers(pool: &AvgPool2d, x: &Tensor<4>) -> bool {
    let window = pool.kernel_size[0];
    let square = pool.kernel_size == [window; 2] && pool.stride == [window; 2];
    let bare = matches!(pool.padding, PaddingConfig2d::Valid | PaddingConfig2d::Explicit(0, 0, 0, 0));
    is_ours(x) && square && bare && x.dims()[2..].iter().all(|side| side.is_multiple_of(window))
}

/// Whether this module computes a batch normalisation of these inputs: in training, with all tensors in single precision.
pub(super) fn trains(norm: &BatchNorm, x: &Tensor<4>) -> bool {
    is_ours(x)
        && x.device().is_autodiff()
        && norm.training.is_enabled()
        && norm.gamma.val().dtype() == DType::F32
        && norm.beta.val().dtype() == DType::F32
}

/// `x` `[B, C, H, W]` after normalisation and activation, with the mean and biased variance of every channel `[C]`.
pub(super) fn normalise(norm: &BatchNorm, x: Tensor<4>, then: FusedActivation) -> (Tensor<4>, Tensor<1>, Tensor<1>) {
    let (gamma, beta) = (norm.gamma.val().into_dispatch(), norm.beta.val().into_dispatch());
    let (y, mean, variance) =
        <Dispatch as Normalisation>::normalise(x.into_dispatch(), gamma, beta, norm.epsilon, then);
    (Tensor::from_dispatch(y), Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
}

/// `x` `[B, C_in, H, W]` convolved with `weight` `[C_out, C_in/groups, k_h, k_w]`.
pub(super) fn convolve(x: Tensor<4>, weight: Tensor<4>, geometry: Geometry) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as Convolution>::convolve(x.into_dispatch(), weight.into_dispatch(), geometry))
}

/// Backends with the convolution of this crate.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Convolution: Backend {
    /// The convolution of `x` `[B, C_in, H, W]` with `weight` `[C_out, C_in/groups, k_h, k_w]`.
    fn convolve(x: FloatTensor<Self>, weight: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self>;
}

impl Convolution for Flex {
    fn convolve(x: FlexTensor, weight: FlexTensor, geometry: Geometry) -> FlexTensor {
        let sizes = Sizes::new(dims(&x), dims(&weight), geometry);
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let (x, w) = (x.storage::<f32>(), weight.storage::<f32>());
        let y = match sizes.way() {
            Way::Depthwise => depthwise::forward(&sizes, x, w),
            #[cfg(target_arch = "x86_64")]
            Way::Direct => direct::forward(&sizes, x, w),
            Way::Columns => columns::forward(&sizes, x, w),
        };
        tensor(y, sizes.output_shape())
    }
}

/// Gradient of the weights.
fn weight_gradient(x: FlexTensor, weight: &FlexTensor, dy: &FlexTensor, geometry: Geometry) -> FlexTensor {
    let sizes = Sizes::new(dims(&x), dims(weight), geometry);
    let x = x.to_contiguous();
    let (x, dy) = (x.storage::<f32>(), dy.storage::<f32>());
    let dw = match sizes.way() {
        Way::Depthwise => depthwise::weight_gradient(&sizes, x, dy),
        #[cfg(target_arch = "x86_64")]
        Way::Direct if direct::fits_weight_gradient(&sizes) => direct::weight_gradient(&sizes, x, dy),
        _ => columns::weight_gradient(&sizes, x, dy),
    };
    tensor(dw, dims::<4>(weight))
}

/// Gradient of an input of shape `x`.
fn input_gradient(x: [usize; 4], weight: FlexTensor, dy: &FlexTensor, geometry: Geometry) -> FlexTensor {
    let sizes = Sizes::new(x, dims(&weight), geometry);
    let weight = weight.to_contiguous();
    let (w, dy) = (weight.storage::<f32>(), dy.storage::<f32>());
    let dx = match sizes.way() {
        Way::Depthwise => depthwise::input_gradient(&sizes, w, dy),
        #[cfg(target_arch = "x86_64")]
        Way::Direct if direct::fits_input_gradient(&sizes) => direct::input_gradient(&sizes, w, dy),
        _ => columns::input_gradient(&sizes, w, dy),
    };
    tensor(dx, x)
}

/// Backends with the batch normalisation of this crate.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Normalisation: Backend {
    /// `x` `[B, C, H, W]` normalised with the statistics of the batch and activated, and these statistics: mean and biased
    /// variance `[C]`.
    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        then: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

fn map_sizes(x: &FlexTensor) -> MapSizes {
    let [batch, channels, height, width] = dims(x);
    MapSizes { batch, channels, positions: height * width }
}

impl Normalisation for Flex {
    fn normalise(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
        then: FusedActivation,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, gamma, beta) = (x.to_contiguous(), gamma.to_contiguous(), beta.to_contiguous());
        let (sizes, values) = (map_sizes(&x), x.storage::<f32>());
        let (mean, variance) = norm::statistics(sizes, values);
        let (gamma, beta) = (gamma.storage::<f32>(), beta.storage::<f32>());
        let channels = Channels { gamma, beta, mean: &mean, variance: &variance, epsilon };
        let y = norm::forward(sizes, values, channels, then);
        let shape = [sizes.channels];
        (tensor(y, dims::<4>(&x)), tensor(mean, shape), tensor(variance, shape))
    }
}

impl<C: CheckpointStrategy> Normalisation for Autodiff<Flex, C> {
    fn normalise(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        then: FusedActivation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [x.node(), gamma.node(), beta.node()];
        let (y, mean, variance) = match Normalise.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let kept = [prep.checkpoint(&x), prep.checkpoint(&gamma), prep.checkpoint(&beta)];
                let [x, gamma, beta] = [x, gamma, beta].map(|t| t.into_primitive());
                let (y, mean, variance) = Flex::normalise(x, gamma, beta, epsilon, then);
                let statistics = [mean.clone(), variance.clone()];
                (prep.finish((kept, statistics, epsilon, then), y), mean, variance)
            }
            OpsKind::UnTracked(prep) => {
                let [x, gamma, beta] = [x, gamma, beta].map(|t| t.into_primitive());
                let (y, mean, variance) = Flex::normalise(x, gamma, beta, epsilon, then);
                (prep.finish(y), mean, variance)
            }
        };
        (y, FloatTensor::<Self>::new(mean), FloatTensor::<Self>::new(variance))
    }
}

/// The backward pass of batch normalisation.
#[derive(Debug)]
struct Normalise;

impl Backward<Flex, 3> for Normalise {
    type State = ([NodeId; 3], [FlexTensor; 2], f64, FusedActivation);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let (kept, [mean, variance], epsilon, then) = ops.state;
        let dy: FlexTensor = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [x, gamma, beta] = kept.map(|node| checkpointer.retrieve_node_output::<FlexTensor>(node).to_contiguous());
        let channels = Channels {
            gamma: gamma.storage::<f32>(),
            beta: beta.storage::<f32>(),
            mean: mean.storage::<f32>(),
            variance: variance.storage::<f32>(),
            epsilon,
        };
        let (values, dy) = (x.storage::<f32>(), dy.storage::<f32>());
        let [dx, dgamma, dbeta] = norm::backward(map_sizes(&x), values, channels, then, dy);
        let width = [dgamma.len()];
        let gradients = [tensor(dx, dims::<4>(&x)), tensor(dgamma, width), tensor(dbeta, width)];
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

/// `x` `[B, C, H, W]` averaged over squares of side `window`, which divides `H` and `W`.
pub(super) fn average(x: Tensor<4>, window: usize) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as Averaging>::average(x.into_dispatch(), window))
}

/// Backends with the average pool of this crate.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Averaging: Backend {
    /// `x` `[B, C, H, W]` averaged over squares of side `window`.
    fn average(x: FloatTensor<Self>, window: usize) -> FloatTensor<Self>;
}

impl Averaging for Flex {
    fn average(x: FlexTensor, window: usize) -> FlexTensor {
        let x = x.to_contiguous();
        let [batch, channels, height, width] = dims(&x);
        let y = pool::forward(map_sizes(&x), width, window, x.storage::<f32>());
        tensor(y, [batch, channels, height / window, width / window])
    }
}

impl<C: CheckpointStrategy> Averaging for Autodiff<Flex, C> {
    fn average(x: FloatTensor<Self>, window: usize) -> FloatTensor<Self> {
        unary::<C, _>(x, Average, |x| {
            let shape = dims(&x);
            (Flex::average(x, window), (shape, window))
        })
    }
}

/// The backward pass of an average pool.
#[derive(Debug)]
struct Average;

impl Backward<Flex, 1> for Average {
    type State = ([usize; 4], usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (shape, window) = ops.state;
        let [batch, channels, height, width] = shape;
        let dy: FlexTensor = grads.consume::<Flex>(&ops.node).to_contiguous();
        if let [Some(node)] = ops.parents {
            let sizes = MapSizes { batch, channels, positions: height * width };
            let dx = pool::backward(sizes, width, window, dy.storage::<f32>());
            grads.register::<Flex>(node.id, tensor(dx, shape));
        }
    }
}

impl<C: CheckpointStrategy> Convolution for Autodiff<Flex, C> {
    fn convolve(x: FloatTensor<Self>, weight: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        match Convolve.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut prep) => {
                let state = (prep.checkpoint(&x), prep.checkpoint(&weight), geometry);
                prep.finish(state, Flex::convolve(x.into_primitive(), weight.into_primitive(), geometry))
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(Flex::convolve(x.into_primitive(), weight.into_primitive(), geometry))
            }
        }
    }
}

/// The backward pass of a convolution.
#[derive(Debug)]
struct Convolve;

impl Backward<Flex, 2> for Convolve {
    type State = (NodeId, NodeId, Geometry);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [node_x, node_weight] = ops.parents;
        let (x, weight, geometry) = ops.state;
        let dy: FlexTensor = grads.consume::<Flex>(&ops.node).to_contiguous();
        let x: FlexTensor = checkpointer.retrieve_node_output(x);
        let weight: FlexTensor = checkpointer.retrieve_node_output(weight);
        let shape = dims(&x);
        if let Some(node) = node_weight {
            grads.register::<Flex>(node.id, weight_gradient(x, &weight, &dy, geometry));
        }
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, input_gradient(shape, weight, &dy, geometry));
        }
    }
}
