//! Deep supervision with a rule's heads equals the rule without detaching. Every rule with local classifiers promises this by
//! [lending its heads](burn_forward::rules::RuleSpec::classifiers).

use burn_forward::model::LocalModel;
use burn_forward::network::Partition;
use burn_forward::tape::Tape;
use serde_json::json;

use crate::values::{Values, gradients, of_block, perturb, same, with_perturbed_rule};
use crate::verdict::{Outcome, Verdict, Violation, concerns, ensure};
use crate::{Case, seed};

/// The case with deep supervision, using the heads of the case's rule.
fn deep(case: &Case) -> Case {
    let mut heads = json!({"name": case.rule()});
    if let (Some(heads), Some(settings)) = (heads.as_object_mut(), case.settings().as_object()) {
        heads.extend(settings.clone());
    }
    case.with_rule("deep-supervision", json!({"heads": heads}))
}

fn step(model: &LocalModel, case: &Case) -> Result<(Values, Vec<f64>), Violation> {
    let (mut tape, batch) = (Tape::new(()), case.batch(0));
    model.rule.step(&model.network, &batch, model.context(&batch), &mut tape);
    let losses = tape.records().iter().map(|r| r.score.loss.clone().into_scalar::<f64>()).collect();
    Ok((gradients(model, tape.gradients())?, losses))
}

/// With one block, where there is nothing to detach, deep supervision equals the rule.
pub fn with_one_block_it_is_the_rule(case: &Case) -> Verdict {
    concerns!(case.spec()?.classifiers().is_some());
    let a = step(&case.model_with(Partition::WHOLE, seed())?, case)?;
    let b = step(&deep(case).model_with(Partition::WHOLE, seed())?, case)?;
    ensure!(a.1 == b.1, "losses {:?}, with deep supervision {:?}", a.1, b.1);
    same(&a.0, &b.0)?;
    Ok(Outcome::Tried)
}

/// The forward pass is the same, and therefore all losses are. The last head and its block have the same loss, and every head
/// learns from its own loss alone.
pub fn losses_and_the_last_block_are_those_of_the_rule(case: &Case) -> Verdict {
    concerns!(case.spec()?.classifiers().is_some());
    let a = step(&case.model(seed())?, case)?;
    let b = step(&deep(case).model(seed())?, case)?;
    ensure!(a.1 == b.1, "losses {:?}, with deep supervision {:?}", a.1, b.1);
    let last = a.1.len() - 1;
    same(&of_block(&a.0, last), &of_block(&b.0, last))?;
    let heads = |all: Values| all.into_iter().filter(|(path, _)| path.starts_with("rule.")).collect::<Values>();
    same(&heads(a.0), &heads(b.0))?;
    Ok(Outcome::Tried)
}

/// Under deep supervision the losses of the blocks above reach every block.
pub fn every_loss_reaches_every_block_below(case: &Case) -> Verdict {
    concerns!(case.spec()?.classifiers().is_some());
    let fresh = || Ok::<_, Violation>(with_perturbed_rule(deep(case).model(seed())?));
    let model = fresh()?;
    let blocks = model.network.len();
    let (base, _) = step(&model, case)?;
    let above = format!("network.blocks.{}.", blocks - 1);
    let (moved, _) = step(&perturb(fresh()?, |path| path.starts_with(&above)), case)?;
    for block in 0..blocks - 1 {
        let of_network = |all: &Values| {
            let own = of_block(all, block).into_iter();
            own.filter(|(path, _)| path.starts_with("network.")).collect::<Values>()
        };
        ensure!(of_network(&base) != of_network(&moved), "the loss of the last block does not reach block {block}");
    }
    Ok(Outcome::Tried)
}

/// A rule without local classifiers cannot lend heads, and deep supervision reports this if its settings name the rule.
pub fn a_rule_without_classifiers_has_no_heads_to_give(case: &Case) -> Verdict {
    concerns!(case.spec()?.classifiers().is_none());
    let said = match deep(case).spec() {
        Ok(_) => String::new(),
        Err(wrong) => wrong.to_string(),
    };
    let expected = format!("$.rule.heads.name: \"{}\" has no local classifiers; needed: one of", case.rule());
    ensure!(said.contains(&expected), "deep supervision with its heads says {said:?}, not {expected:?}");
    Ok(Outcome::Tried)
}
