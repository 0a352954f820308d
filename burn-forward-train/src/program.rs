//! The program that this process runs.

use std::path::Path;
use std::sync::OnceLock;

/// Name to use if the system does not tell.
const DEFAULT: &str = "burn-forward";

/// Name of the program as it was called, for messages that tell the user what to type: the last part of its path,
/// without `.exe`, or `burn-forward` if the system does not tell.
pub fn program_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let called = std::env::args_os().next();
        let name = called.as_deref().map(Path::new).and_then(Path::file_name).and_then(|name| name.to_str());
        let name = name.map(|name| name.strip_suffix(std::env::consts::EXE_SUFFIX).unwrap_or(name));
        name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT).to_owned()
    })
}
