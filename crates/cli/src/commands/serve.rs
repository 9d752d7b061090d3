//! `quadrat serve`: the catalogue as a page in the browser.
//!
//! The page's forms are not typed again: what each verb takes is read from the command line's own definition.

use super::Cli;
use crate::output::{self, Reply};
use clap::{Arg, Args, Command, CommandFactory};
use quadrat::{Error, Result};
use quadrat_serve::{Options, Verb, VerbOption};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Stdio;

#[derive(Args, Debug)]
pub struct Serve {
    /// Port to listen on [default: a free one]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub port: u16,
    /// Folder whose files can be inputs
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
    /// Folder that keeps the runs [default: quadrat-runs in the served folder]
    #[arg(long, value_name = "FOLDER")]
    pub runs: Option<PathBuf>,
    /// Only print the address; open no browser
    #[arg(long)]
    pub no_open: bool,
    /// Address to listen on; any but the loopback address is reachable by others
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,
    /// Runs at a time; the others wait
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// Size of an uploaded file, at most: bytes, or with kB, MB or GB
    #[arg(long, value_name = "SIZE", default_value = "2GB")]
    pub upload: String,
    /// Allow options whose value is a program, such as --command and --reward
    #[arg(long)]
    pub allow_programs: bool,
}

/// Serves until Ctrl-C.
pub fn run(args: &Serve) -> Result<Reply> {
    if args.jobs == 0 {
        return Err(Error::input("--jobs", 0, "use at least 1"));
    }
    let options = Options {
        folder: args.folder.clone(),
        runs: args.runs.clone().unwrap_or_else(|| args.folder.join("quadrat-runs")),
        host: args.host,
        port: args.port,
        jobs: args.jobs,
        upload: size(&args.upload)?,
        allow_programs: args.allow_programs,
        program: std::env::current_exe().map_err(|e| Error::io("quadrat", e))?,
    };
    if !args.host.is_loopback() {
        eprintln!("quadrat: note: whoever reaches {} and knows the key can read this folder and start runs", args.host);
    }
    quadrat_serve::serve(options, verbs(), |address| {
        output::print(address);
        if !args.no_open {
            open(address);
        }
    })?;
    Ok(Reply::new(String::new(), serde_json::Value::Null))
}

/// "2GB" as bytes.
fn size(text: &str) -> Result<u64> {
    let wrong = || Error::input("--upload", format!("`{text}`"), "use a number of bytes, or one with kB, MB or GB");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim().to_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)
}

/// Opens the address in the user's browser and does not wait for it. Where there is none, the printed address is enough.
fn open(address: &str) {
    let mut command = if cfg!(target_os = "macos") {
        std::process::Command::new("open")
    } else if cfg!(windows) {
        let mut command = std::process::Command::new("cmd");
        command.args(["/C", "start", ""]);
        command
    } else {
        std::process::Command::new("xdg-open")
    };
    let _ = command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}

/// The verbs of the command line, as the page takes them.
fn verbs() -> Vec<Verb> {
    let mut command = crate::reading::under_heading(crate::examples::under(Cli::command()));
    command.build();
    let mut verbs = Vec::new();
    for verb in command.get_subcommands() {
        push(&mut verbs, "", verb);
    }
    verbs
}

/// A verb, and those below it.
fn push(verbs: &mut Vec<Verb>, above: &str, command: &Command) {
    let name = format!("{above}{}", command.get_name());
    for below in command.get_subcommands() {
        push(verbs, &format!("{name} "), below);
    }
    let text = |text: Option<&clap::builder::StyledStr>| text.map(ToString::to_string).unwrap_or_default();
    let after = text(command.get_after_help());
    let examples = after.lines().map(str::trim).filter(|line| line.starts_with("quadrat "));
    verbs.push(Verb {
        about: text(command.get_about()),
        examples: examples.map(str::to_owned).collect(),
        options: command.get_arguments().filter_map(option).collect(),
        name,
    });
}

/// An option; what has no long name is none.
fn option(arg: &Arg) -> Option<VerbOption> {
    let name = arg.get_long().filter(|name| !matches!(*name, "help" | "version"))?;
    let takes = arg.get_action().takes_values();
    let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let default = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(",");
    let choices = arg.get_possible_values().into_iter().map(|value| {
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        (value.get_name().to_owned(), help)
    });
    Some(VerbOption {
        name: name.to_owned(),
        help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        value: takes.then(|| value.unwrap_or_else(|| name.to_uppercase())),
        default: Some(default).filter(|default| takes && !default.is_empty()),
        choices: if takes { choices.collect() } else { Vec::new() },
        heading: arg.get_help_heading().map(str::to_owned),
        required: arg.is_required_set(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [("10", 10), ("2GB", 2_000_000_000), ("3 kb", 3000), ("1MB", 1_000_000)] {
            assert_eq!(size(text).unwrap(), bytes);
        }
        for text in ["", "GB", "-1", "1TB", "99999999999GB", "1.5GB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn verbs_come_with_their_options() {
        let verbs = verbs();
        let find = |name: &str| verbs.iter().find(|verb| verb.name == name).unwrap();
        let balance = find("balance");
        assert!(balance.examples[0].starts_with("quadrat balance --in builtin:pima"));
        let target = balance.option("target").unwrap();
        assert_eq!((target.value.as_deref(), target.required), (Some("COLUMN"), true));
        let scale = balance.option("scale").unwrap();
        assert_eq!((scale.default.as_deref(), scale.choices.len()), (Some("none"), 3));
        assert!(balance.option("classes").unwrap().value.is_none());
        assert!(find("diffuse sample").option("reward").is_some());
    }
}
