//! Deep supervision with a rule's heads is the rule with nothing detached.

use burn_forward::model::LocalModel;
use burn_forward::network::Partition;
use burn_forward::tape::Tape;
use serde_json::{Value, json};

use super::toy::{Case, batch, cases, on_all_devices, seed};
use super::values::{Values, assert_same, edit, gradients, of_block, perturb};

/// Every rule with heads, with every setting, beside deep supervision with its heads.
fn pairs() -> Vec<(Case, Case)> {
    let with_heads = |case: &Case| case.spec().classifiers().is_some();
    let beside = |local: Case| {
        let mut heads = json!({"name": local.rule});
        heads.as_object_mut().unwrap().extend(local.settings.as_object().unwrap().clone());
        let mut deep = local.clone();
        (deep.rule, deep.settings) = ("deep-supervision".into(), json!({"heads": heads}));
        (local, deep)
    };
    cases().into_iter().filter(with_heads).map(beside).collect()
}

fn step(model: &LocalModel, case: &Case) -> (Values, Vec<f64>) {
    let mut tape = Tape::new(());
    let batch = batch(24, 0, &case.device);
    model.rule.step(&model.network, &batch, model.context(&batch), &mut tape);
    let losses = tape.records().iter().map(|r| r.score.loss.clone().into_scalar::<f64>()).collect();
    (gradients(model, tape.gradients()), losses)
}

#[test]
fn with_one_block_it_is_the_rule() {
    let pairs = pairs();
    assert!(!pairs.is_empty());
    for (local, deep) in pairs {
        let [a, b] = [&local, &deep].map(|case| step(&case.model_with(Partition::WHOLE, seed()), case));
        assert_eq!(a.1, b.1, "{local}");
        assert_same(&a.0, &b.0, &local.to_string());
    }
}

/// The forward pass is the same, so are all losses; the last head and its block see no other loss.
#[test]
fn losses_and_the_last_block_are_those_of_the_rule() {
    for (local, deep) in pairs() {
        let [a, b] = [&local, &deep].map(|case| step(&case.model(seed()), case));
        assert_eq!(a.1, b.1, "{local}");
        let last = a.1.len() - 1;
        assert_same(&of_block(&a.0, last), &of_block(&b.0, last), &local.to_string());
        // Every head learns from its own loss alone.
        let heads = |all: Values| all.into_iter().filter(|(path, _)| path.starts_with("rule.")).collect::<Values>();
        assert_same(&heads(a.0), &heads(b.0), &local.to_string());
    }
}

#[test]
fn every_loss_reaches_every_block_below() {
    for (local, deep) in pairs() {
        let fresh = || {
            // Some heads start from zeros, and no gradient goes through them.
            edit(deep.model(seed()), |path, values| {
                if path.starts_with("rule.") && !path.contains(".running_") {
                    values.iter_mut().enumerate().for_each(|(i, v)| *v += 0.3 * (1.7 * (i * i) as f32).sin());
                }
            })
        };
        let blocks = fresh().network.len();
        let (base, _) = step(&fresh(), &deep);
        let above = format!("network.blocks.{}.", blocks - 1);
        let moved = perturb(fresh(), |path| path.starts_with(&above));
        let (moved, _) = step(&moved, &deep);
        for block in 0..blocks - 1 {
            let of_network = |all: &Values| {
                let own = of_block(all, block).into_iter();
                own.filter(|(path, _)| path.starts_with("network.")).collect::<Values>()
            };
            assert_ne!(of_network(&base), of_network(&moved), "{local}: block {block}");
        }
    }
}

#[test]
fn a_rule_without_classifiers_has_no_heads_to_give() {
    let refused = |heads: Value| {
        let cases = on_all_devices("deep-supervision", &json!({"heads": heads}));
        cases[0].try_spec().err().unwrap().to_string()
    };
    let said = refused(json!({"name": "dfa"}));
    let expected = "$.rule.heads.name: \"dfa\" has no local classifiers; needed: one of";
    assert!(said.contains(expected) && said.contains("\"mono-forward\""), "{said}");
    assert!(!said.contains("\"deep-supervision\"") && !said.contains("\"backprop\""), "{said}");
    let said = refused(json!({"name": "mono-forward", "bais": true}));
    assert!(said.contains("$.rule.heads.bais") || said.contains("$.rule.heads"), "{said}");
    let cases = on_all_devices("deep-supervision", &json!({"heads": {"name": "mono-forward"}, "bias": true}));
    let said = cases[0].try_spec().err().unwrap().to_string();
    assert!(said.contains("$.rule.heads: has settings of its own"), "{said}");
}
