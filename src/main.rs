//! Hands the arguments to `cli`.

fn main() -> std::process::ExitCode {
    dolmen::cli::main()
}
