//! The program that this process runs.

use std::path::Path;
use std::sync::OnceLock;

/// What a library's users call the program if nobody says.
const DEFAULT: &str = "burn-forward";

/// Name of the program as it was called, for messages that say what to type: the last part of its path, without `.exe`;
/// `burn-forward` if the system does not say.
pub fn program_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let called = std::env::args_os().next();
        let name = called.as_deref().map(Path::new).and_then(Path::file_name).and_then(|name| name.to_str());
        let name = name.map(|name| name.strip_suffix(std::env::consts::EXE_SUFFIX).unwrap_or(name));
        name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT).to_owned()
    })
}
