//! Architectures; each computes a list of layers from its config.

mod assemble;
mod cifar_resnet;
mod conv_stack;
mod mobilenet_v2;
mod mobilenet_v3;
mod resnet;
mod vgg;

pub use cifar_resnet::{CifarDepth, CifarResNetConfig};
pub use conv_stack::ConvStackConfig;
pub use mobilenet_v2::MobileNetV2Config;
pub use mobilenet_v3::{MobileNetV3Config, MobileNetV3Size};
pub use resnet::{ImageScale, ResNetConfig, ResNetDepth};
pub use vgg::{VggConfig, VggVariant};

use burn_forward::network::{NetworkEntry, network_entry};

/// The networks of this crate.
pub fn network_entries() -> Vec<NetworkEntry> {
    vec![
        network_entry::<ConvStackConfig>("conv-stack", "a plain stack of convolutions with pools"),
        network_entry::<VggConfig>("vgg", "VGG8B and VGG11B from the paper on local errors"),
        network_entry::<ResNetConfig>("resnet", "ResNet-18, -34 and -50 with an ImageNet or CIFAR stem"),
        network_entry::<CifarResNetConfig>(
            "cifar-resnet",
            "ResNets of depth 6n+2 for small images, with option-A shortcuts",
        ),
        network_entry::<MobileNetV2Config>("mobilenet-v2", "inverted residuals with linear bottlenecks"),
        network_entry::<MobileNetV3Config>("mobilenet-v3", "small and large, with squeeze-and-excite and hard-swish"),
    ]
}
