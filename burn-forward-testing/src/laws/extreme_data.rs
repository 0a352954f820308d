//! Extreme cases of a classification data set.

use burn::module::Module;
use burn_forward::activation::{Activation, AnyActivation};

use crate::data::Extreme;
use crate::values::{numbers, parameters};
use crate::verdict::{Verdict, Violation, ensure, nothing};
use crate::{Case, seed};

/// With one class, two classes, a class without samples, one sample, or identical samples, a rule trains and all its numbers
/// are finite. Only for a single class may it report an error before training, which says that it needs `>= 2` classes.
pub fn every_rule_trains_on_extreme_data_or_refuses_it(case: &Case) -> Verdict {
    let mut wrong = Vec::new();
    for extreme in case.data().extremes() {
        let result = match case.model_for(extreme.classes, seed()) {
            Err(refused) if extreme.classes == 1 && refused.0.contains(">= 2") => continue,
            Err(refused) => Err(refused),
            Ok(_) => trains(case, &extreme),
        };
        wrong.extend(result.err().map(|e| format!("{}: {e}", extreme.name)));
    }
    nothing(wrong)
}

fn trains(case: &Case, extreme: &Extreme) -> Result<(), Violation> {
    let batch = |index| (extreme.batch)(case.data(), index, case.device());
    let model = case.model_for(extreme.classes, seed())?;
    // Every gradient and every parameter has to be finite at each step.
    let model = case.train(model, (0..3).map(batch), |model| parameters(model).map(|_| ()))?;
    let unseen = batch(Extreme::HELD_OUT);
    let rows = unseen.targets.dims()[0];
    let inputs: AnyActivation = unseen.inputs.without_autodiff();
    let scores = numbers(model.valid().scores(inputs).primary());
    ensure!(scores.len() == rows * extreme.classes, "{} scores of {rows} rows", scores.len());
    ensure!(scores.iter().all(|s| s.is_finite()), "scores {scores:?}");
    Ok(())
}
