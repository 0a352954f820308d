//! Heads for feature maps: classifiers of a block, each with its own loss. They are pieces: any rule may put any of them
//! on any block.

mod auxiliary;
mod class_groups;
mod class_maps;
mod reconstruction;
mod similarity;

pub use auxiliary::{AuxiliaryKind, AuxiliaryNetwork};
pub use class_groups::{ClassGroups, GroupGoodness, GroupLoss};
pub use class_maps::{ClassLoss, ClassMaps};
pub use reconstruction::Reconstruction;
pub use similarity::{LocalErrorKind, LocalErrors};

pub(crate) use auxiliary::shape_of;

use burn::tensor::Tensor;
use burn_forward::activation::{Activation, AnyActivation};

/// The maps of an activation; features are maps of one pixel.
fn maps_of(h: &AnyActivation) -> Tensor<4> {
    match h {
        AnyActivation::Maps(x) => x.clone(),
        other => {
            let x = other.labelled();
            let [rows, features] = x.dims();
            x.reshape([rows, features, 1, 1])
        }
    }
}
