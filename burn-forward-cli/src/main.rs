//! The `burn-forward` program.
#![cfg_attr(test, allow(clippy::unwrap_used))]

fn main() -> std::process::ExitCode {
    // SAFETY: the first thing that happens, so that there is no other thread and nothing has been computed. The `unsafe` code of
    // the program and of its libraries takes sizes and addresses from integers alone; numbers it only adds and multiplies.
    #[allow(unsafe_code, reason = "a third of the time of a long training with momentum")]
    unsafe {
        burn_forward_cli::flush_denormals();
    }
    burn_forward_cli::run(&burn_forward_cli::registry())
}
