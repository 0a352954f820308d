//! Builds a model from a config: its layers, blocks and rule.

use burn::tensor::Device;

use super::memory::machine_memory_bytes;
use super::plan::weight_bytes;
use crate::config::RunConfig;
use burn_forward::activation::RowShape;
use burn_forward::init::shapes_only;
use burn_forward::model::LocalModel;
use burn_forward::network::Network;
use burn_forward::random::Seed;
use burn_forward::{ConfigError, Result};

/// Builds a model from a config, with initial weights.
///
/// # Errors
/// [`Error::Config`](burn_forward::Error::Config) with the path in the config, if network, rule and data do not fit
/// together, or if the weights exceed the memory of this machine.
pub fn build_model(config: &RunConfig, input: RowShape, classes: usize, device: &Device) -> Result<LocalModel> {
    check_fit(config, input, classes, device)?;
    assemble(config, input, classes, device)
}

/// Checks that network, rule and data fit together and that the weights fit this machine, without allocating them.
pub(super) fn check_fit(config: &RunConfig, input: RowShape, classes: usize, device: &Device) -> Result<()> {
    let weights = weight_bytes(&outline(config, input, classes, device)?);
    // The system may grant more memory than it has, and then kill the program.
    match machine_memory_bytes() {
        Some(machine) if weights > machine => {
            let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
            let message = format!(
                "its weights alone take {}; needed: at most {}, the memory of this machine",
                gib(weights),
                gib(machine)
            );
            Err(config.config_error(vec![ConfigError::new("$.network", message)]))
        }
        _ => Ok(()),
    }
}

/// Builds a model with shapes alone, without storage for its weights.
pub(super) fn outline(config: &RunConfig, input: RowShape, classes: usize, device: &Device) -> Result<LocalModel> {
    // On this backend a tensor can be a view with strides of 0; elsewhere it might be copied.
    #[cfg(feature = "flex")]
    let device = {
        let _ = device;
        &Device::flex()
    };
    shapes_only(|| assemble(config, input, classes, device))
}

fn assemble(config: &RunConfig, input: RowShape, classes: usize, device: &Device) -> Result<LocalModel> {
    let at = |path: &'static str| move |error| config.error_at(path, error);
    let seed = Seed::new(config.seed);
    let request = config.rule.layer_request(classes);
    let entering = config.rule.input(input);
    let mut layers = config.network.layers_for(entering, request, seed, device).map_err(at("$.network"))?;
    let freeze = config.weights.as_ref().map_or(0, |w| w.freeze).min(layers.len());
    let learning = layers.split_off(freeze);
    let entering = layers.last().map_or(input, |layer| layer.output());
    let network = Network::new(learning, config.partition).map_err(at("$.network.partition"))?;
    let network = network.with_input(entering).with_device(device);
    let mut rule = config.rule.build(&network, classes, seed).map_err(at("$.rule"))?;
    let name = &config.rule_name;
    let too_much = match rule.rounds() {
        2.. => Some(format!("\"greedy\" takes one optimiser step per batch, but '{name}' takes {}", rule.rounds())),
        _ if rule.acts_after_steps() => {
            Some(format!("\"greedy\" does not change finished blocks, but '{name}' changes weights after every step"))
        }
        _ => None,
    };
    if config.schedule.is_greedy()
        && let Some(given) = too_much
    {
        return Err(config
            .config_error(vec![ConfigError::new("$.schedule.name", format!("{given}; needed: \"simultaneous\""))]));
    }
    let smoothing = config.training.label_smoothing;
    if smoothing > 0.0 && !rule.set_label_smoothing(smoothing) {
        return Err(config.config_error(vec![ConfigError::new(
            "$.training.label-smoothing",
            format!(
                "{smoothing} with the rule \"{}\"; needed: 0, or a rule whose blocks have classifiers",
                config.rule_name
            ),
        )]));
    }
    Ok(LocalModel::new(network, rule, seed).with_frozen(layers))
}
