//! A rule's parameters for one block alone [belong](burn_forward::parameters::Owner) to that block.
//!
//! Learning rates per block, parameter counts per block and the laws of locality all need to know which block a parameter
//! belongs to. If a rule kept its heads outside a list, or in a list without exactly one entry per block, they would silently
//! be left out.

use std::collections::{BTreeMap, BTreeSet};

use burn_forward::parameters::Owner;

use crate::step_trace::trace_step;
use crate::values::{of_block, perturb, same_bits};
use crate::verdict::{Outcome, Verdict, concerns, ensure};
use crate::{Case, seed};

/// A parameter that learns with one block alone, and that no other block uses, belongs to that block. An output layer also
/// learns with the last block, but belongs to the rule.
pub fn what_learns_with_one_block_belongs_to_it(case: &Case) -> Verdict {
    concerns!(case.is_local()?);
    let trace = trace_step(&case.model(seed())?, &case.batch(0))?;
    let last = trace.blocks() - 1;
    let mut learned_with: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (index, taped) in trace.taped.iter().enumerate() {
        taped.keys().for_each(|path| {
            learned_with.entry(path).or_default().insert(index);
        });
    }
    for (path, blocks) in learned_with {
        let blocks: Vec<usize> = blocks.into_iter().collect();
        let owner = Owner::of(path);
        if let (&[block], Some(owner)) = (blocks.as_slice(), owner) {
            let of_rule = owner == Owner::Rule && block >= last;
            ensure!(
                owner == Owner::Block(block) || of_rule,
                "{path} learns with block {block} alone but belongs to {owner:?}; needed: entry {block} of a list in the rule"
            );
        } else {
            ensure!(owner == Some(Owner::Rule), "{path} learns with blocks {blocks:?} but belongs to {owner:?}");
        }
    }
    Ok(Outcome::Tried)
}

/// A parameter without a gradient (a fixed matrix) that affects the learning of just one block below the last must not belong
/// to the rule as a whole, but to that block.
pub fn what_teaches_one_block_belongs_to_it(case: &Case) -> Verdict {
    concerns!(case.is_local()?);
    let batch = case.batch(0);
    let base = trace_step(&case.model(seed())?, &batch)?;
    let shared = |path: &str| Owner::of(path) == Some(Owner::Rule) && !path.contains(".running_");
    let learned = base.gradients();
    let fixed: Vec<String> = crate::values::parameters(&case.model(seed())?)?
        .into_keys()
        .filter(|path| shared(path) && !learned.contains_key(path))
        .collect();
    for path in fixed {
        let moved = trace_step(&perturb(case.model(seed())?, |p| p == path), &batch)?;
        let taught: Vec<usize> = (0..base.blocks())
            .filter(|k| same_bits(&base.entering[*k], &moved.entering[*k]))
            .filter(|k| of_block(&base.taped[*k], *k) != of_block(&moved.taped[*k], *k))
            .collect();
        let alone = taught.len() == 1 && taught[0] + 1 < base.blocks();
        ensure!(
            !alone,
            "{path} teaches block {taught:?} alone but belongs to the rule; needed: an entry of a list in the rule"
        );
    }
    Ok(Outcome::Tried)
}

/// A list in a rule has no entries beyond the number of blocks. Otherwise the list is not one of blocks, and its entries
/// would be counted with unrelated blocks.
pub fn nothing_belongs_to_a_block_that_is_not_there(case: &Case) -> Verdict {
    let model = case.model(seed())?;
    let blocks = model.network.len();
    for path in crate::values::parameters(&model)?.keys() {
        let owner = Owner::of(path);
        let there = owner.is_some_and(|owner| owner.block().is_none_or(|block| block < blocks));
        ensure!(there, "{path} belongs to {owner:?} of a model of {blocks} blocks");
    }
    Ok(Outcome::Tried)
}
