//! The `burn-forward` program.
#![cfg_attr(test, allow(clippy::unwrap_used))]

fn main() -> std::process::ExitCode {
    // SAFETY: this is the first statement of the program, so there are no other threads, and nothing has been computed. The
    // `unsafe` code of the program and of its libraries gets sizes and addresses from integers only; with floating-point
    // numbers it does nothing but add and multiply.
    #[allow(unsafe_code, reason = "a third of the time of a long training with momentum")]
    unsafe {
        burn_forward_cli::flush_denormals();
    }
    burn_forward_cli::run(&burn_forward_cli::registry())
}
