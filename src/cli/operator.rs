//! `privet operator`: who may use the admin API.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};

use super::beside::{Api, Which};
use super::table::{Align, Table};
use super::{Failure, serve};
use crate::admin::operators::{Name, NoName};
use crate::admin::role::Role;
use crate::clock::Time;

/// Add, list and remove operators of the admin API.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    // The texts are those of the arguments.
    Add(AddArgs),
    List(ListArgs),
    Remove(RemoveArgs),
}

/// Add an operator and print its key, which is shown this once.
///
/// Roles: `viewer` sees counts and settings, `tuner` works on rules, `officer`
/// answers people and authorities, `admin` keeps the deployment. Each may do all
/// that those before it may.
#[derive(Debug, clap::Args)]
struct AddArgs {
    /// 1 to 64 letters, digits, and . _ @ -
    #[arg(value_parser = name)]
    name: String,
    /// What it may do: viewer, tuner, officer or admin
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// From when on its key opens nothing: 2027-05-31, or 2027-05-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<Time>,
    #[command(flatten)]
    which: Which,
}

/// List the operators.
#[derive(Debug, clap::Args)]
struct ListArgs {
    /// How the list is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    which: Which,
}

/// Take the key away from an operator.
#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table
    Text,
    /// One JSON document
    Json,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let which = match &args.what {
        What::Add(args) => &args.which,
        What::List(args) => &args.which,
        What::Remove(args) => &args.which,
    };
    let config = which.clone().load()?;
    serve::runtime()?.block_on(async {
        let api = Api::open(config).await?;
        let done = work(&api, args.what).await;
        api.close().await;
        done.map(|()| ExitCode::SUCCESS)
    })
}

fn name(text: &str) -> Result<String, NoName> {
    Name::try_from(text.to_owned()).map(|_| text.to_owned())
}

async fn work(api: &Api, what: What) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match what {
        What::Add(AddArgs { name, role, expires, .. }) => {
            let new = json!({ "name": name, "role": role, "expires": expires });
            let added = api.json(Method::POST, "/operators", Some(&new)).await?;
            writeln!(out, "{}", text(&added["key"]))?;
        }
        What::Remove(RemoveArgs { name, .. }) => {
            let name = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
            api.json(Method::DELETE, &format!("/operators/{name}"), None).await?;
        }
        What::List(ListArgs { format, .. }) => {
            let all = api.all("/operators").await?;
            if format == Format::Json {
                writeln!(out, "{:#}", Value::Array(all))?;
                return Ok(());
            }
            let columns = ["name", "role", "created", "expires", "last_used"];
            let mut table = Table::new(&columns.map(|column| (column, Align::Left)));
            for operator in all {
                table.row(columns.iter().map(|column| text(&operator[*column])));
            }
            table.write(&mut out)?;
        }
    }
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}
