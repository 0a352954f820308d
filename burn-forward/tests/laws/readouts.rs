//! A readout's name means the same under every rule.

use super::toy::{batch, cases, seed};
use super::values::wrong_readouts;

#[test]
fn readouts_of_one_name_are_made_of_blocks_in_one_way() {
    let mut wrong = Vec::new();
    for case in cases() {
        let scores = case.model(seed()).scores(batch(24, 0, &case.device).inputs);
        wrong.extend(wrong_readouts(&scores, &case.to_string()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
