//! The `burn-forward` program with a rule, a network and a data set of one's own: every command knows them.
//!
//! `cargo run --release -p burn-forward-examples --bin own-program -- compare examples/own.json --seeds 3`

fn main() -> std::process::ExitCode {
    burn_forward_cli::run(&burn_forward_examples::registry())
}
