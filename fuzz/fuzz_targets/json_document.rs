//! JSON text: a syntax error has a position, and the result must equal that of serde_json.
#![no_main]

use burn_forward_train::config::document::parse_document;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    match parse_document("input.json", text) {
        Ok(value) => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(text);
            assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), value);
        }
        Err(errors) => assert!(!errors.errors.is_empty()),
    }
});
