//! Learning rules for feature maps. All of them except Trifecta consist of one head from [`heads`](crate::heads) on every
//! block.

mod aug_local;
mod block_heads;
mod channel_wise;
mod copies;
mod decoupled_greedy;
mod info_pro;
mod predsim;
mod scalable_forward_forward;
mod trifecta;

pub use aug_local::AugLocalConfig;
pub use channel_wise::{ChannelWiseConfig, GroupBetween};
pub use decoupled_greedy::DecoupledGreedyConfig;
pub use info_pro::InfoProConfig;
pub use predsim::PredsimConfig;
pub use scalable_forward_forward::{MapHead, ScalableForwardForwardConfig};
pub use trifecta::TrifectaConfig;

use burn_forward::rules::{RuleEntry, rule_entry_of};

/// The rules of this crate, in alphabetical order.
pub fn rule_entries() -> Vec<RuleEntry> {
    vec![
        rule_entry_of::<AugLocalConfig>(
            "aug-local",
            "auxiliary networks made of new copies of later layers",
            "Ma et al. 2024, arXiv 2402.17318",
        ),
        rule_entry_of::<ChannelWiseConfig>(
            "channel-wise",
            "groups of channels act as the classifier; squared or mean goodness",
            "Papachristodoulou et al. 2024, arXiv 2312.12668; DeeperForward, ICLR 2025",
        ),
        rule_entry_of::<DecoupledGreedyConfig>(
            "decoupled-greedy",
            "a small auxiliary network on every block: mlp, mlp-sr, cnn",
            "Belilovsky et al. 2020, arXiv 1901.08164",
        ),
        rule_entry_of::<InfoProConfig>(
            "info-pro",
            "reconstruction of the image in addition to classification",
            "Wang et al. 2021, arXiv 2101.10832",
        ),
        rule_entry_of::<PredsimConfig>(
            "predsim",
            "local prediction and similarity-matching errors",
            "Nokland and Eidnes 2019, arXiv 1901.06656",
        ),
        rule_entry_of::<ScalableForwardForwardConfig>(
            "scalable-forward-forward",
            "class goodness from an auxiliary convolution on every block",
            "Krutsylo 2025, arXiv 2501.03176",
        ),
        rule_entry_of::<TrifectaConfig>(
            "trifecta",
            "Forward-Forward on maps: label as a channel, SymBa loss, overlapping local updates",
            "Dooms et al. 2023, arXiv 2311.18130",
        ),
    ]
}
