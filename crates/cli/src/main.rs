//! The `quadrat` command: parse, call the library, show. No algorithm lives here.
//!
//! Exit codes: 0 for success and for a claim that holds, 1 for a claim that does not hold or stays open, 2 for an error,
//! 130 after Ctrl-C.

mod args;
mod commands;
mod examples;
mod output;
mod parameters;
mod process;
mod reading;
mod report;
mod terminal;

use clap::{CommandFactory, FromArgMatches};
use commands::{Cli, Command};
use output::Reply;
use quadrat::{Error, Result, catalogue, find};
use std::process::ExitCode;

/// Training allocates and frees the same large arrays step after step; the system's allocator gives them back to the
/// kernel each time, and page faults become most of a small network's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hide_caught_panics();
    let arguments: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    let split = parameters::split(&Cli::command(), arguments);
    let mut command = reading::under_heading(examples::under(Cli::command()));
    if let Some(card) = split.method.as_deref().and_then(|method| find(&catalogue(), method).ok()) {
        let help = format!("Parameters of {}:\n{}", card.slug, commands::parameters(card));
        // `estimate sobol` and its like parse their own options: a method's help goes to the verbs of one word.
        for verb in card.verbs.iter().filter(|verb| !verb.contains(' ')) {
            command = command.mut_subcommand(verb, |verb| {
                let examples = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
                verb.after_help(format!("{help}\n{examples}"))
            });
        }
    }
    let cli = match command.try_get_matches_from(split.own).and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(e) => e.exit(),
    };
    let wants_json = cli.command.wants_json();
    let code = match run(&cli.command, &split.parameters) {
        Ok(reply) => {
            if wants_json {
                output::print(&reply.json.to_string());
            } else if !reply.text.is_empty() {
                output::print(&reply.text);
            }
            reply.code
        }
        Err(error) => {
            eprintln!("quadrat: {error}");
            if wants_json {
                output::print(&serde_json::json!({ "error": error.to_string() }).to_string());
            }
            if matches!(error, Error::Cancelled) { terminal::CANCELLED } else { 2 }
        }
    };
    ExitCode::from(code)
}

/// A damaged file can make its reader panic. That is caught and reported as any other error, once.
fn hide_caught_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !quadrat::data::panic_becomes_error() {
            usual(panic);
        }
    }));
}

fn run(command: &Command, parameters: &[(String, String)]) -> Result<Reply> {
    if let Some(threads) = command.threads() {
        if threads == 0 {
            return Err(Error::input("--threads", 0, "use at least 1"));
        }
        let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        built.map_err(|e| Error::input("--threads", threads, e.to_string()))?;
    }
    command.run(parameters)
}
