//! The `burn-forward` program with a custom rule, network and data set, which work with every command.
//!
//! `cargo run --release -p burn-forward-examples --bin own-program -- compare examples/own.json --seeds 3`

fn main() -> std::process::ExitCode {
    // SAFETY: this is the first statement of the program, so there are no other threads, and nothing has been computed. The
    // `unsafe` code of the libraries gets its sizes and addresses from integers only, and there is none here.
    #[allow(unsafe_code, reason = "a third of the time of a long training with momentum")]
    unsafe {
        burn_forward_cli::flush_denormals();
    }
    burn_forward_cli::run(&burn_forward_examples::registry())
}
