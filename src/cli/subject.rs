//! `privet subject`: the rights of a person, for scripts and by hand.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use http::Method;
use http_body_util::BodyExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::beside::{Api, Which};
use super::{Failure, serve};

/// Give, correct and erase what is kept of a person.
///
/// SUBJECT is the pseudonymous id that the site gives; with --find it is an
/// address of e-mail or a phone number. Works beside a running gateway too.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    // The texts are those of the arguments.
    Export(ExportArgs),
    Rectify(RectifyArgs),
    Erase(EraseArgs),
    Restrict(RestrictArgs),
    Consent(ConsentArgs),
}

/// Who it is about, and where.
#[derive(Debug, Clone, clap::Args)]
struct Person {
    /// The subject
    subject: String,
    /// SUBJECT is an address of e-mail or a phone number; it must be one subject's alone
    #[arg(long)]
    find: bool,
    /// The tenant [default: the configuration's]
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// A case that is verified already; without it one is opened and closed
    #[arg(long, value_name = "ID")]
    case: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// Write everything that is kept of a person to standard output.
#[derive(Debug, clap::Args)]
struct ExportArgs {
    /// The form of the file
    #[arg(long, value_enum, default_value_t = FileFormat::Json)]
    format: FileFormat,
    #[command(flatten)]
    person: Person,
}

/// Print what a person has agreed to, refused and withdrawn, as a receipt.
#[derive(Debug, clap::Args)]
struct ConsentArgs {
    #[command(flatten)]
    person: Person,
}

/// Correct the value behind a token: what it restores to from now on.
#[derive(Debug, clap::Args)]
struct RectifyArgs {
    /// The token, as `[EMAIL_7K3FQ2MZ]`
    #[arg(long)]
    token: String,
    /// The right value; without it, or as `-`, it is read from standard input, so that it stands in no history
    #[arg(long)]
    value: Option<String>,
    #[command(flatten)]
    person: Person,
}

/// Erase a person: nothing of theirs can be restored any more, by anybody.
#[derive(Debug, clap::Args)]
struct EraseArgs {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    person: Person,
}

/// Restrict a person's data: it is kept, and neither used nor given to others.
#[derive(Debug, clap::Args)]
struct RestrictArgs {
    /// End the restriction
    #[arg(long)]
    lift: bool,
    #[command(flatten)]
    person: Person,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    /// One JSON document
    Json,
    /// A table (RFC 4180)
    Csv,
}

/// Runs the command.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let person = match &args.what {
        What::Export(args) => &args.person,
        What::Rectify(args) => &args.person,
        What::Erase(args) => &args.person,
        What::Restrict(args) => &args.person,
        What::Consent(args) => &args.person,
    };
    if let What::Erase(args) = &args.what {
        ask(args)?;
    }
    let config = person.which.clone().load()?;
    serve::runtime()?.block_on(async {
        let api = Api::open(config).await?;
        let done = work(&api, args.what).await;
        api.close().await;
        done.map(|()| ExitCode::SUCCESS)
    })
}

async fn work(api: &Api, what: What) -> Result<(), Failure> {
    match what {
        What::Export(ExportArgs { format, person }) => {
            let format = if format == FileFormat::Csv { "csv" } else { "json" };
            let path = person.path(api, "/export", Some(format)).await?;
            let mut body = api.call(Method::GET, &path, None).await?.into_body();
            let mut out = io::stdout().lock();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| Failure::Failed("the export broke off".to_owned()))?;
                if let Ok(data) = frame.into_data() {
                    out.write_all(&data)?;
                }
            }
            out.flush()?;
        }
        What::Consent(ConsentArgs { person }) => {
            let path = person.path_below(api, "/consents", "", None).await?;
            tell(&api.json(Method::GET, &path, None).await?)?;
        }
        What::Rectify(RectifyArgs { token, value, person }) => {
            let value = match value {
                Some(value) if value != "-" => Zeroizing::new(value),
                _ => read_value()?,
            };
            let path = person.path(api, "/rectify", None).await?;
            let case = api.json(Method::POST, &path, Some(&json!({"token": token, "value": *value}))).await?;
            tell(&case)?;
        }
        What::Erase(EraseArgs { person, .. }) => {
            let path = person.path(api, "/erase", None).await?;
            let case = api.json(Method::POST, &path, Some(&json!({}))).await?;
            tell(&case)?;
            let counts = &case["proof"]["counts"];
            if counts["values"] == 0 && counts["statements"] == 0 {
                let hint =
                    "nothing was held of this subject, and so nothing was erased: is the id right, and its tenant?";
                writeln!(io::stderr().lock(), "{hint}")?;
            }
        }
        What::Restrict(RestrictArgs { lift, person }) => {
            let path = person.path(api, "/restriction", None).await?;
            tell(&api.json(Method::POST, &path, Some(&json!({"restricted": !lift}))).await?)?;
        }
    }
    Ok(())
}

impl Person {
    /// The path of an operation on this person.
    async fn path(&self, api: &Api, operation: &str, format: Option<&str>) -> Result<String, Failure> {
        self.path_below(api, "/subjects", operation, format).await
    }

    /// The same of another noun.
    async fn path_below(
        &self,
        api: &Api,
        noun: &str,
        operation: &str,
        format: Option<&str>,
    ) -> Result<String, Failure> {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let tenant = self.tenant.as_deref().map(|tenant| format!("tenant={}", encode(tenant)));
        let subject = if self.find {
            let path = format!("/subjects/find?{}", tenant.as_deref().unwrap_or_default());
            let found = api.json(Method::POST, &path, Some(&json!({"contact": self.subject}))).await?;
            let found: Vec<&str> =
                found["subjects"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            match found[..] {
                [one] => one.to_owned(),
                [] => return Err(Failure::Failed("no subject is found by this".to_owned())),
                _ => {
                    let list = found.join("\n  ");
                    return Err(Failure::Failed(format!(
                        "this is found with several subjects; name one of\n\n  {list}"
                    )));
                }
            }
        } else {
            self.subject.clone()
        };
        let case = self.case.as_deref().map(|case| format!("case={}", encode(case)));
        let format = format.map(|format| format!("format={format}"));
        let query: Vec<String> = [tenant, case, format].into_iter().flatten().collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        Ok(format!("{noun}/{}{operation}{query}", encode(&subject)))
    }
}

/// Whether somebody means it: an erasure cannot be undone.
fn ask(args: &EraseArgs) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("an erasure cannot be undone: say --yes where nobody can be asked".to_owned()));
    }
    let mut err = io::stderr().lock();
    write!(err, "Everything that is kept of this subject is destroyed, and cannot be brought back. Go on? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::Failed("nothing was erased".to_owned())),
    }
}

/// The value from standard input, without the line end that terminals add.
fn read_value() -> Result<Zeroizing<String>, Failure> {
    const LONGEST: u64 = 64 * 1024;
    let mut value = Zeroizing::new(String::new());
    io::stdin().take(LONGEST).read_to_string(&mut value)?;
    let end = value.strip_suffix('\n').map_or(value.len(), |line| line.strip_suffix('\r').unwrap_or(line).len());
    value.truncate(end);
    if value.is_empty() {
        return Err(Failure::Usage("no value is given: write --value, or the value on standard input".to_owned()));
    }
    Ok(value)
}

/// The case, which is the receipt.
fn tell(case: &Value) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{case:#}")?;
    Ok(())
}
