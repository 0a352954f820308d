//! The `burn-forward` program with a rule, a network and a data set of one's own: every command knows them.
//!
//! `cargo run --release -p burn-forward-examples --bin own-program -- compare examples/own.json --seeds 3`

fn main() -> std::process::ExitCode {
    // SAFETY: the first thing that happens, so that there is no other thread and nothing has been computed. The `unsafe` code of
    // the libraries takes sizes and addresses from integers alone, and there is none here.
    #[allow(unsafe_code, reason = "a third of the time of a long training with momentum")]
    unsafe {
        burn_forward_cli::flush_denormals();
    }
    burn_forward_cli::run(&burn_forward_examples::registry())
}
