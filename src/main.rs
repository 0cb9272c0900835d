//! Privet.
use clap::Parser;
#[derive(Parser)]
enum Cli {
    Demo(privet::cli::demo::Args),
}
fn main() -> std::process::ExitCode {
    let Cli::Demo(args) = Cli::parse();
    match privet::cli::demo::run(args) {
        Ok(c) => c,
        Err(f) => {
            println!("{f:?}");
            1.into()
        }
    }
}
