//! A custom learning rule, used by its name in a config.
//!
//! Local errors (Mostafa, Ramesh and Cauwenberghs 2018, arXiv 1711.06756): every block with output `h` `[B, d]` minimises the
//! cross-entropy of `h M`, where `M` `[d, C]` is random and fixed.
use burn::prelude::*;
use burn_forward::local::learn;
use burn_forward::prelude::*;
use burn_forward::rules::{ReadoutExport, Scores, rule_entry_of};
use burn_forward_train::training::{Run, RunOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The rule `local-errors` has no settings.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LocalErrorsConfig {}

impl RuleSpec for LocalErrorsConfig {
    fn build(&self, network: &Network, classes: usize, seed: Seed) -> burn_forward::Result<AnyRule> {
        let head = |(i, block): (usize, &Chain)| {
            let mut rng = seed.stream("local-errors", &[i as u64]);
            let head = ProjectedCrossEntropy::new(block.output().len(), classes, false, &mut rng, &network.device())?;
            Ok(head.no_grad())
        };
        let heads = network.blocks().iter().enumerate().map(head).collect::<burn_forward::Result<_>>()?;
        Ok(AnyRule::new(LocalErrors { heads }))
    }
}

/// A fixed random classifier on every block.
#[derive(Module, Debug)]
struct LocalErrors {
    heads: Vec<ProjectedCrossEntropy>,
}

impl Rule for LocalErrors {
    fn clone_rule(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }

    fn begin(&self, _network: &Network, batch: &Batch, _context: StepContext, _tape: &mut Tape) -> Pass {
        Pass::of(batch)
    }

    fn learn_block(&self, index: usize, block: &Chain, pass: &mut Pass, tape: &mut Tape) {
        let labels = Labels(pass.labels.clone());
        let h = learn(block, &self.heads[index], index, pass.streams[0].clone(), &labels, tape);
        // The prediction is that of the last block's classifier.
        pass.logits = tape.records().last().and_then(|record| record.score.logits.clone());
        pass.streams = vec![h];
    }

    fn scores(&self, network: &Network, inputs: AnyActivation) -> Scores {
        let outputs = network.forward_all(inputs);
        let blocks: Vec<_> = outputs.iter().zip(&self.heads).map(|(h, head)| Some(head.scores(h))).collect();
        let last = blocks.last().cloned().flatten();
        Scores { readouts: last.map(|scores| ("last", scores)).into_iter().collect(), blocks, primary: 0 }
    }

    fn export(&self, network: &Network) -> ReadoutExport {
        let weight = self.heads[network.len() - 1].projection.weight.val().into_data();
        let description = json!({"kind": "linear", "name": "head"});
        ReadoutExport { description, linears: vec![("head".into(), weight, None)], ..ReadoutExport::default() }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = burn_forward_cli::registry();
    let (about, paper) = ("every block learns from a fixed random classifier", "Mostafa et al. 2018");
    registry.rules.push(rule_entry_of::<LocalErrorsConfig>("local-errors", about, paper));
    let config = r#"{
        "data": {"name": "digits"},
        "network": {"name": "mlp", "widths": [128, 128]},
        "rule": {"name": "local-errors"},
        "training": {"epochs": 10, "batch-size": 32},
        "optimizer": {"name": "adam", "lr": 0.002}
    }"#;
    let run = Run::from_json(config, &registry, RunOptions::on("flex"))?;
    let folder = tempfile::tempdir()?;
    let summary = run.train_in(folder.path())?;
    println!("test accuracy {:.2} %", 100.0 * summary.test_accuracy);
    assert!(summary.test_accuracy >= 0.9, "local errors learn the digits");
    Ok(())
}
