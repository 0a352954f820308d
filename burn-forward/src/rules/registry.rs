//! The rules of this crate, one row each.

use super::{
    BackpropConfig, DeepSupervisionConfig, DfaConfig, DrtpConfig, FeedbackAlignmentConfig, ForwardForwardConfig,
    MonoForwardConfig, PepitaConfig, PredictiveCodingConfig, RuleEntry, ZerothOrderConfig, rule_entry_of,
};
use crate::settings::schema_of;

/// The rules of this crate, in alphabetical order.
pub fn rule_entries() -> Vec<RuleEntry> {
    vec![
        rule_entry_of::<BackpropConfig>(
            "backprop",
            "the whole network is one block: the baseline",
            "Rumelhart et al. 1986",
        ),
        RuleEntry {
            name: "deep-supervision",
            about: "the losses of local heads, of any rule, without detaching: the upper baseline",
            paper: "Lee et al. 2015, arXiv 1409.5185",
            schema: schema_of::<DeepSupervisionConfig>,
            parse: DeepSupervisionConfig::parse,
        },
        rule_entry_of::<DfaConfig>(
            "dfa",
            "fixed random feedback of the output error to every hidden block",
            "Nokland 2016, arXiv 1609.01596",
        ),
        rule_entry_of::<DrtpConfig>(
            "drtp",
            "fixed random projection of the targets to every hidden block; tanh only",
            "Frenkel et al. 2021, arXiv 1909.01311",
        ),
        rule_entry_of::<FeedbackAlignmentConfig>(
            "feedback-alignment",
            "the error travels down layer by layer through separate feedback weights",
            "Lillicrap et al. 2016, arXiv 1411.0247",
        ),
        rule_entry_of::<ForwardForwardConfig>(
            "forward-forward",
            "raises goodness for correct labels and lowers it for wrong ones; presets hinton, pezeshki, ff-plus",
            "Hinton 2022, arXiv 2212.13345",
        ),
        rule_entry_of::<MonoForwardConfig>(
            "mono-forward",
            "every block learns from the error of its own projection to the classes",
            "Gong et al. 2025, arXiv 2501.09238",
        ),
        rule_entry_of::<PepitaConfig>(
            "pepita",
            "the output error changes the input, and blocks learn from how their activities change in a second pass",
            "Dellaferrera and Kreiman 2022, arXiv 2201.11665",
        ),
        rule_entry_of::<PredictiveCodingConfig>(
            "predictive-coding",
            "the states of all blocks relax until they agree, and every block learns to predict its own state; also incremental",
            "Salvatori et al. 2024, arXiv 2212.00720",
        ),
        rule_entry_of::<ZerothOrderConfig>(
            "zeroth-order",
            "estimates the gradient from losses with weights moved along random directions; no backward pass",
            "Spall 1992; Feng et al. 2025, arXiv 2501.01045",
        ),
    ]
}

/// The row called `name`.
pub fn rule_entry(name: &str) -> Option<RuleEntry> {
    rule_entries().into_iter().find(|e| e.name == name)
}
