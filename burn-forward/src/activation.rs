//! Activations: the values that flow from block to block.
//!
//! The blocks of a model author pass plain tensors. Networks built from a config pass [`AnyActivation`], since the rank of
//! their activations is known only at run time. Rules and losses are written for the [`Activation`] trait and work with both.

mod nodes;

pub use nodes::{FeatureCache, Labelled, NodeFeatures, Nodes, RequiredRows};

use std::fmt;

use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Device, Int, Tensor};

use crate::device::autodiff_leaf;
use crate::{Error, require};

/// The values that flow from block to block: rows (samples, or the nodes of a graph) of features.
pub trait Activation: Clone + fmt::Debug + Send + 'static {
    /// The same values, detached from the autodiff graph but still on the autodiff device, so that batch normalisation and
    /// dropout in the next block keep their training behaviour.
    fn detach(self) -> Self;

    /// Number of rows `B`.
    fn rows(&self) -> usize;

    /// The features of every row, flattened: `[B, d]`.
    fn features(&self) -> Tensor<2>;

    /// The features of the labelled rows. These are all rows, except on a graph, where every node passes through the network
    /// but only some are labelled. Losses that compare with labels use these features.
    fn labelled(&self) -> Tensor<2> {
        self.features()
    }

    /// Like [`labelled`](Self::labelled), but with feature maps first averaged over a grid of at most `side` x `side` cells.
    ///
    /// # Shapes
    /// - maps `[B, C, H, W]`: returns `[B, C min(H, side) min(W, side)]`; any other activation is returned unchanged.
    fn pooled(&self, side: usize) -> Tensor<2> {
        let _ = side;
        self.labelled()
    }

    /// The features of every row by unit and position. In feature maps, a channel is one unit at every position; in all other
    /// activations, every feature is a unit at a single position.
    ///
    /// # Shapes
    /// - maps `[B, C, H, W]`: returns `[B, C, H W]`; features `[B, d]`: returns `[B, d, 1]`.
    fn by_unit(&self) -> Tensor<3> {
        self.features().unsqueeze_dim(2)
    }

    /// The device the values are on.
    fn device(&self) -> Device;

    /// The same activation (same rank, same graph) with other features.
    ///
    /// # Shapes
    /// - `features`: `[B', d]`, `d` as in [`features`](Self::features); `B'` may differ from `B`.
    fn with_features(&self, features: Tensor<2>) -> Self;

    /// The same values without autodiff, for inference.
    fn without_autodiff(self) -> Self;

    /// The same values as leaves of new autodiff graphs on a training `device`.
    fn with_autodiff(self, device: &Device) -> Self;
}

impl<const D: usize> Activation for Tensor<D> {
    fn detach(self) -> Self {
        Tensor::detach(self)
    }

    fn rows(&self) -> usize {
        self.dims()[0]
    }

    fn features(&self) -> Tensor<2> {
        let dims = self.dims();
        let width = dims[1..].iter().product();
        self.clone().reshape([dims[0], width])
    }

    fn pooled(&self, side: usize) -> Tensor<2> {
        match self.dims()[..] {
            [rows, channels, height, width] => pooled(self.clone().reshape([rows, channels, height, width]), side),
            _ => self.features(),
        }
    }

    fn by_unit(&self) -> Tensor<3> {
        match self.dims()[..] {
            [rows, channels, height, width] => self.clone().reshape([rows, channels, height * width]),
            _ => self.features().unsqueeze_dim(2),
        }
    }

    fn device(&self) -> Device {
        Tensor::device(self)
    }

    fn with_features(&self, features: Tensor<2>) -> Self {
        let mut dims = self.dims();
        let [rows, given] = features.dims();
        let width: usize = dims[1..].iter().product();
        require(given == width, || {
            Error::argument("with_features", "number of features of a row", given, format!("{width}, as before"))
        });
        dims[0] = rows;
        features.reshape(dims)
    }

    fn without_autodiff(self) -> Self {
        Tensor::without_autodiff(self)
    }

    fn with_autodiff(self, device: &Device) -> Self {
        autodiff_leaf(self, device)
    }
}

/// Means of maps over a grid of at most `side` x `side` cells, flattened.
fn pooled(maps: Tensor<4>, side: usize) -> Tensor<2> {
    let [_, _, height, width] = maps.dims();
    require(side > 0, || Error::argument("pooled", "side of the grid", side, ">= 1"));
    let grid = [height.min(side), width.min(side)];
    if grid == [height, width] { maps.features() } else { adaptive_avg_pool2d(maps, grid).features() }
}

/// An activation whose rank is known at run time.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "only a few are moved per step; a box would add an allocation")]
pub enum AnyActivation {
    /// Feature vectors `[B, d]`.
    Features(Tensor<2>),
    /// Feature maps `[B, C, H, W]`.
    Maps(Tensor<4>),
    /// Features `[N, d]` of the nodes of a graph.
    Nodes(Nodes),
}

impl Activation for AnyActivation {
    fn detach(self) -> Self {
        match self {
            Self::Features(x) => Self::Features(x.detach()),
            Self::Maps(x) => Self::Maps(x.detach()),
            Self::Nodes(n) => Self::Nodes(Nodes { features: n.features.detach(), ..n }),
        }
    }

    fn rows(&self) -> usize {
        match self {
            Self::Features(x) => x.rows(),
            Self::Maps(x) => x.rows(),
            Self::Nodes(n) => n.features.rows(),
        }
    }

    fn features(&self) -> Tensor<2> {
        match self {
            Self::Features(x) => x.clone(),
            Self::Maps(x) => x.features(),
            Self::Nodes(n) => n.features.dense(),
        }
    }

    fn labelled(&self) -> Tensor<2> {
        match self {
            Self::Nodes(Nodes { features, labelled, .. }) => labelled.of(features.dense()),
            other => other.features(),
        }
    }

    fn pooled(&self, side: usize) -> Tensor<2> {
        match self {
            Self::Maps(x) => pooled(x.clone(), side),
            other => other.labelled(),
        }
    }

    fn by_unit(&self) -> Tensor<3> {
        match self {
            Self::Maps(x) => x.by_unit(),
            other => other.features().unsqueeze_dim(2),
        }
    }

    fn device(&self) -> Device {
        match self {
            Self::Features(x) => x.device(),
            Self::Maps(x) => x.device(),
            Self::Nodes(n) => n.features.device(),
        }
    }

    fn with_features(&self, features: Tensor<2>) -> Self {
        match self {
            Self::Features(_) => Self::Features(features),
            Self::Maps(x) => Self::Maps(x.with_features(features)),
            Self::Nodes(n) => Self::Nodes(Nodes { features: features.into(), feature_cache: None, ..n.clone() }),
        }
    }

    fn without_autodiff(self) -> Self {
        match self {
            Self::Features(x) => Self::Features(x.without_autodiff()),
            Self::Maps(x) => Self::Maps(x.without_autodiff()),
            Self::Nodes(n) => Self::Nodes(Nodes {
                features: n.features.without_autodiff(),
                labelled: n.labelled.map(Tensor::without_autodiff),
                graph: n.graph,
                feature_cache: None,
            }),
        }
    }

    fn with_autodiff(self, device: &Device) -> Self {
        match self {
            Self::Features(x) => Self::Features(autodiff_leaf(x, device)),
            Self::Maps(x) => Self::Maps(autodiff_leaf(x, device)),
            Self::Nodes(n) => Self::Nodes(Nodes {
                features: n.features.with_autodiff(device),
                labelled: n.labelled.map(|rows| autodiff_leaf(rows, device)),
                ..n
            }),
        }
    }
}

impl From<Tensor<2>> for AnyActivation {
    fn from(features: Tensor<2>) -> Self {
        Self::Features(features)
    }
}

impl From<Tensor<4>> for AnyActivation {
    fn from(maps: Tensor<4>) -> Self {
        Self::Maps(maps)
    }
}

impl AnyActivation {
    /// The nodes, if this is a graph.
    pub fn nodes(&self) -> Option<&Nodes> {
        match self {
            Self::Nodes(nodes) => Some(nodes),
            Self::Features(_) | Self::Maps(_) => None,
        }
    }

    /// The labelled nodes `[B]`, if this is a graph with labelled nodes.
    pub fn labelled_rows(&self) -> Option<&Tensor<1, Int>> {
        match &self.nodes()?.labelled {
            Labelled::Rows(rows) => Some(rows),
            Labelled::All | Labelled::Pairs(..) => None,
        }
    }

    /// The same values on another device; no gradient flows through the move.
    pub fn to_device(self, device: &Device) -> Self {
        match self {
            Self::Features(x) => Self::Features(x.to_device(device)),
            Self::Maps(x) => Self::Maps(x.to_device(device)),
            Self::Nodes(n) => Self::Nodes(Nodes {
                features: n.features.to_device(device),
                labelled: n.labelled.map(|rows| rows.to_device(device)),
                graph: n.graph,
                feature_cache: None,
            }),
        }
    }
}

/// Shape of one row of an activation, without the batch dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowShape {
    /// A vector of `d` features.
    Features(usize),
    /// `C x H x W` maps.
    Maps {
        /// Channels `C`.
        channels: usize,
        /// Height `H`.
        height: usize,
        /// Width `W`.
        width: usize,
    },
    /// `d` features per node of a graph.
    Nodes(usize),
}

impl RowShape {
    /// Number of features of a row, flattened.
    pub fn len(self) -> usize {
        match self {
            Self::Features(d) | Self::Nodes(d) => d,
            Self::Maps { channels, height, width } => channels * height * width,
        }
    }

    /// Number of units in a row: channels for maps, otherwise features.
    pub fn units(self) -> usize {
        match self {
            Self::Maps { channels, .. } => channels,
            other => other.len(),
        }
    }

    /// Whether a row has no features at all.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for RowShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Features(d) => write!(f, "{d}"),
            Self::Maps { channels, height, width } => write!(f, "{channels}x{height}x{width}"),
            Self::Nodes(d) => write!(f, "{d}/node"),
        }
    }
}
