//! Standard output that a closed pipe does not turn into a panic, as `println!` does.

use std::fmt::Display;
use std::io::Write;

use anyhow::Result;

/// Writes `text` as it is.
pub(crate) fn print(text: impl Display) -> Result<()> {
    let mut out = std::io::stdout().lock();
    write!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Writes `text` and a line end.
pub(crate) fn print_line(text: impl Display) -> Result<()> {
    print(format_args!("{text}\n"))
}

/// Writes a line to standard error. There is nobody to tell if nobody reads it.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether `error` says that whoever read our output has stopped reading, as `head` does.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
