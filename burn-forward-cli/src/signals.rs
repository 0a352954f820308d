//! Signals that end a run after the current step.

use std::io;

/// Calls `handler` in a separate thread whenever the process receives a signal that asks it to end (`SIGINT`, which is Ctrl-C,
/// `SIGTERM`, `SIGHUP`), with the name of the signal. Call this function before other threads are started, because they have to
/// block these signals as well.
///
/// A signal that was ignored when the process started remains ignored: `nohup` and shells use this for background jobs.
///
/// # Errors
/// If the system refuses to start the thread or to block the signals.
#[cfg(unix)]
pub(crate) fn on_request_to_end(mut handler: impl FnMut(&str) + Send + 'static) -> io::Result<()> {
    use nix::sys::signal::{SigSet, Signal};

    let requests = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
    let waited_for: SigSet = requests.into_iter().filter(|signal| !is_ignored(*signal)).collect();
    // A blocked signal stays pending until it is waited for.
    waited_for.thread_block()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while let Ok(signal) = waited_for.wait() {
            handler(signal.as_str());
        }
    })?;
    Ok(())
}

/// Asks the process with this number to end, as Ctrl-C does.
pub(crate) fn ask_to_end(process: u32) {
    #[cfg(unix)]
    if let Ok(process) = i32::try_from(process) {
        // It may have ended by itself in the meantime.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), nix::sys::signal::Signal::SIGINT);
    }
    #[cfg(not(unix))]
    let _ = process;
}

/// Whether the process ignores the signal.
#[cfg(unix)]
fn is_ignored(signal: nix::sys::signal::Signal) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action, the call changes nothing; it fills in the old action, for which zeros are a valid value.
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
/// If the system refuses the handler.
#[cfg(not(unix))]
pub(crate) fn on_request_to_end(mut handler: impl FnMut(&str) + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(move || handler("Ctrl-C")).map_err(io::Error::other)
}
