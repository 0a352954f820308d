//! The signals that end a run after the step in progress.

use std::io;

/// Has signals that ask the process to end (`SIGINT`, which is Ctrl-C, `SIGTERM`, `SIGHUP`) call `handler` with their names,
/// from a thread of its own. To be called before other threads are started: they have to leave these signals alone, too.
///
/// A signal that was ignored when the process began stays ignored: that is how `nohup` and a shell's background jobs ask
/// to be left alone.
///
/// # Errors
/// If the system refuses the thread or the choice of signals.
#[cfg(unix)]
pub(crate) fn on_request_to_end(mut handler: impl FnMut(&str) + Send + 'static) -> io::Result<()> {
    use nix::sys::signal::{SigSet, Signal};

    let requests = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
    let waited_for: SigSet = requests.into_iter().filter(|signal| !is_ignored(*signal)).collect();
    // Blocked, a signal waits until somebody asks for it.
    waited_for.thread_block()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while let Ok(signal) = waited_for.wait() {
            handler(signal.as_str());
        }
    })?;
    Ok(())
}

/// Whether the process ignores a signal.
#[cfg(unix)]
fn is_ignored(signal: nix::sys::signal::Signal) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with no new action the call changes nothing; it fills in the old one, for which zeros are a valid value.
    #[allow(unsafe_code, reason = "sigaction is a C function")]
    let (done, action) = unsafe {
        let done = libc::sigaction(signal as libc::c_int, std::ptr::null(), action.as_mut_ptr());
        (done, action.assume_init())
    };
    done == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Calls `handler` on Ctrl-C.
///
/// # Errors
/// If the system refuses a handler.
#[cfg(not(unix))]
pub(crate) fn on_request_to_end(mut handler: impl FnMut(&str) + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(move || handler("Ctrl-C")).map_err(io::Error::other)
}
