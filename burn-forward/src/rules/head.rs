//! Heads: a block's own classifier, of any kind.

use std::fmt;
use std::ops::Deref;

use burn::tensor::Tensor;

use crate::activation::AnyActivation;
use crate::block::Trace;
use crate::erased::ErasedModule;
use crate::erased_module;
use crate::local::LocalLoss;
use crate::projection::ProjectedCrossEntropy;
use crate::tape::{Labels, Score};

/// What a head is told about a batch.
#[derive(Debug, Clone)]
pub struct Teaching {
    /// Class indices `[B]`.
    pub labels: Labels,
    /// The images themselves, for a head that has to draw them from its block's output.
    pub image: Option<AnyActivation>,
}

/// A classifier on a block, trained with the block by its own loss.
pub trait Head: ErasedModule {
    /// A copy of the pointer kind.
    fn clone_head(&self) -> Box<dyn Head>;

    /// Loss of a pass, with the head's class scores.
    fn score(&self, trace: &Trace<AnyActivation>, teaching: &Teaching) -> Score;

    /// Class scores `[B, C]` of a block's output.
    fn scores(&self, h: &AnyActivation) -> Tensor<2>;

    /// The head itself, if it is a linear classifier: what an exported file can hold.
    fn linear(&self) -> Option<ProjectedCrossEntropy> {
        None
    }
}

impl Head for ProjectedCrossEntropy {
    fn clone_head(&self) -> Box<dyn Head> {
        Box::new(self.clone())
    }

    fn score(&self, trace: &Trace<AnyActivation>, teaching: &Teaching) -> Score {
        LocalLoss::score(self, trace, &teaching.labels)
    }

    fn scores(&self, h: &AnyActivation) -> Tensor<2> {
        ProjectedCrossEntropy::scores(self, h)
    }

    fn linear(&self) -> Option<ProjectedCrossEntropy> {
        Some(self.clone())
    }
}

/// A head of any kind.
#[derive(Debug)]
pub struct AnyHead(Box<dyn Head>);

impl AnyHead {
    /// Puts a head behind a pointer.
    pub fn new(head: impl Head + 'static) -> Self {
        Self(Box::new(head))
    }
}

impl Clone for AnyHead {
    fn clone(&self) -> Self {
        Self(self.0.clone_head())
    }
}

impl Deref for AnyHead {
    type Target = dyn Head;
    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}

impl fmt::Display for AnyHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl LocalLoss<Teaching, AnyActivation> for AnyHead {
    fn score(&self, trace: &Trace<AnyActivation>, teaching: &Teaching) -> Score {
        self.0.score(trace, teaching)
    }
}

erased_module!(AnyHead);
