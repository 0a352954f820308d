//! A whole config, followed by a line of `===` and the assignments of `--set`, one per line. A config that is accepted must
//! also be accepted in its resolved form.
#![no_main]

use burn_forward_fuzz::{parts, registry};
use burn_forward_train::config::RunConfig;
use burn_forward_train::config::document::parse_document;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let parts = parts(text.as_bytes());
    let text_of = |i: usize| parts.get(i).map_or(String::new(), |part| String::from_utf8_lossy(part).into_owned());
    let Ok(value) = parse_document("input.json", &text_of(0)) else { return };
    let assignments: Vec<String> = text_of(1).lines().map(str::to_owned).collect();
    let Ok(config) = RunConfig::from_value("input.json", value, &assignments, registry()) else { return };
    let resolved = config.resolved().clone();
    let again = RunConfig::from_value("resolved.json", resolved.clone(), &[], registry());
    let again = again.unwrap_or_else(|error| panic!("the resolved config is rejected: {error}\n{resolved}"));
    assert_eq!(*again.resolved(), resolved);
});
