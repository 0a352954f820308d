//! Public operations of the learning pieces on invalid inputs. Each one reports what was given, what is needed and where, and
//! none computes a number.

mod operation;
mod pieces;
mod ranks;
mod steps;

use burn_forward::activation::AnyActivation;
use burn_forward::local::learn;
use burn_forward::tape::{Labels, Tape};

use self::operation::{Operation, block, ints, matrix, projection, refusal};
use super::toy::devices;

fn operations() -> impl Iterator<Item = Operation> {
    let pieces = [
        pieces::labels_and_negatives(),
        pieces::losses(),
        pieces::projections_and_feedback(),
        pieces::scores_and_layers(),
    ];
    let steps = [steps::layers(), steps::tapes(), steps::rules()];
    pieces.into_iter().chain(steps).flatten()
}

#[test]
fn what_does_not_fit_is_refused_with_what_is_needed() {
    let mut failures = Vec::new();
    for (on, device) in devices() {
        for (name, operation, said) in operations() {
            match refusal(|| operation(&device)) {
                None => failures.push(format!("{name} on {on}: accepted")),
                Some(text) if said.iter().any(|part| !text.contains(part)) => {
                    failures.push(format!("{name} on {on}: {text:?}, without {said:?}"));
                }
                Some(_) => {}
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_refusal_does_not_name_the_block_before() {
    let device = devices().remove(0).1;
    let inputs = AnyActivation::Features(matrix([2, 16], &device));
    let labels = Labels(ints([0, 2], &device));
    let within = refusal(|| learn(&block(&device), &projection(&device), 1, inputs, &labels, &mut Tape::new(())));
    assert!(within.unwrap().starts_with("block 1: "));
    let outside = refusal(|| projection(&device).scores(&matrix([2, 4], &device))).unwrap();
    assert!(outside.starts_with("ProjectedCrossEntropy: "), "{outside}");
}
