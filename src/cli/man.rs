//! `privet man`: the manual page, with a section for each command.

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;

use super::{Cli, Failure};

/// Print a manual page.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  privet man | man -l -\n  privet man vault init | man -l -")]
pub struct Args {
    /// The command to describe, such as `serve` or `vault init`; the whole of
    /// privet without it
    command: Vec<String>,
}

/// Prints the page.
#[expect(clippy::needless_pass_by_value, reason = "all commands are run alike")]
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    std::io::stdout().write_all(&page(&args.command)?)?;
    Ok(ExitCode::SUCCESS)
}

fn page(command: &[String]) -> Result<Vec<u8>, Failure> {
    let mut whole = Cli::command();
    whole.build();
    let unknown = || Failure::Usage(format!("there is no command `{}`; see privet --help", command.join(" ")));
    let found = command.iter().try_fold(&whole, |above, name| above.find_subcommand(name)).ok_or_else(unknown)?;
    let mut text = Vec::new();
    clap_mangen::Man::new(found.clone()).source(concat!("privet ", env!("CARGO_PKG_VERSION"))).render(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_below_another_has_a_page() {
        let page = page(&["vault".to_owned(), "init".to_owned()]).unwrap();
        let text = String::from_utf8(page).unwrap();
        assert!(text.contains(".TH privet-vault-init 1"), "{text}");
        let Err(Failure::Usage(said)) = super::page(&["vault".to_owned(), "inti".to_owned()]) else { panic!("a page") };
        assert!(said.contains("`vault inti`"), "{said}");
    }
}
