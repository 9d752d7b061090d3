//! From a filled-in form to a command line, or to what is wrong with it.
//!
//! This is where the page meets the machine, so nothing passes that is not known: options that the verb and the method
//! have, files below the folder, and programs only where the server was started for them.

use crate::folder::safe_name;
use crate::problem::{Answer, Problem};
use crate::{App, Verb, VerbOption};
use axum::http::StatusCode;
use quadrat::{Card, catalogue, find};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The verbs that a form can run: they read files, work, and write files.
pub const VERBS: [&str; 29] = [
    "select",
    "balance",
    "audit",
    "split",
    "sample",
    "order",
    "allocate",
    "compare",
    "train",
    "predict",
    "eval",
    "impute",
    "denoise",
    "solve",
    "reconstruct",
    "reconstruct train",
    "diffuse train",
    "diffuse sample",
    "diffuse search",
    "diffuse score",
    "diffuse finetune",
    "diffuse solve",
    "diffuse restore",
    "estimate expect",
    "estimate sobol",
    "estimate inductive-bias",
    "estimate pretrain-plan",
    "tickets",
    "quantise",
];

/// Options that the page sets itself, or that go on with a file that only a command line keeps.
const NOT_OFFERED: [&str; 9] =
    ["json", "report", "state", "checkpoint", "runs", "delta", "detections", "timeout", "threads"];

/// Options that name a file to be written besides the output: it goes into the run's folder.
const WRITTEN: [&str; 2] = ["suspects", "write-design"];

/// Options that name the input, the first of them that is given.
const INPUTS: [&str; 7] = ["in", "images", "series", "kspace", "problem", "labelled", "model"];

/// A filled-in form: what is typed for each option and parameter. Nothing typed is nothing said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// The verb.
    pub verb: String,
    /// What is typed, by option or parameter.
    pub values: BTreeMap<String, String>,
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The words after the program's name.
    pub words: Vec<String>,
    /// The method.
    pub method: Option<String>,
    /// The input, as it was typed.
    pub input: Option<String>,
    /// The output's name in the run's folder.
    pub out: Option<String>,
}

/// What kind of field an option is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Yes or no.
    Flag,
    /// Yes or no, said in a word.
    Truth,
    /// One of those listed.
    Choice,
    /// The name of a column.
    Column,
    /// A file or a folder.
    File,
    /// A program.
    Program,
    /// Anything else.
    Text,
}

impl VerbOption {
    /// What kind of field it is.
    pub fn role(&self) -> Role {
        let Some(value) = self.value.as_deref() else { return Role::Flag };
        match value {
            _ if value.contains("COMMAND") => Role::Program,
            _ if !self.choices.is_empty() => Role::Choice,
            "true|false" => Role::Truth,
            "COLUMN" => Role::Column,
            _ if WRITTEN.contains(&self.name.as_str()) => Role::Text,
            _ if value.contains("FILE") || value.contains("FOLDER") => Role::File,
            _ => Role::Text,
        }
    }

    /// Whether a form has a field for it.
    pub fn is_offered(&self, programs: bool) -> bool {
        !NOT_OFFERED.contains(&self.name.as_str()) && (programs || self.role() != Role::Program)
    }
}

/// How a verb takes its method's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// `--k 5`.
    AsOptions,
    /// `--method smote:k=5`.
    InMethod,
    /// Not at all: they are options of the verb, or it has no method.
    Not,
}

impl Verb {
    /// How it takes its method's parameters.
    pub fn passed(&self) -> Passed {
        match self.option("method").map(|method| method.value.as_deref().unwrap_or_default()) {
            Some(value) if value.contains("KEY=VALUE") => Passed::InMethod,
            Some(_) if !self.name.contains(' ') => Passed::AsOptions,
            _ => Passed::Not,
        }
    }

    /// The parameters of `card` that its form asks for.
    pub fn parameters(&self, card: Option<&'static Card>) -> Vec<&'static quadrat::Param> {
        let card = card.filter(|_| self.passed() != Passed::Not);
        card.map_or(&[][..], |card| card.params).iter().filter(|param| self.option(param.name).is_none()).collect()
    }
}

fn refuse(text: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text)
}

impl App {
    /// The verb of this name, if a form can run it.
    pub(crate) fn runnable(&self, name: &str) -> Answer<&Verb> {
        let known = self.verbs.iter().find(|verb| verb.name == name).filter(|verb| VERBS.contains(&verb.name.as_str()));
        known.ok_or_else(|| Problem::missing(format!("`quadrat {name}` among what the page can run")))
    }

    /// The command line of a form, whose files are written to `place`.
    pub(crate) fn plan(&self, form: &Form, place: &Path) -> Answer<Plan> {
        let verb = self.runnable(&form.verb)?;
        let given = |name: &str| form.values.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let card = given("method").map(|method| method.split(':').next().unwrap_or_default());
        let card = match card.filter(|_| verb.passed() != Passed::Not) {
            Some(method) => Some(find(&catalogue(), method)?),
            None => None,
        };
        let params = verb.parameters(card);
        for (name, value) in &form.values {
            let known = verb.option(name).filter(|option| option.is_offered(true));
            if known.is_none() && params.iter().all(|param| param.name != name) {
                return Err(refuse(format!("--{name}: `quadrat {}` has no such option here", verb.name)));
            }
            self.check(name, value, known)?;
        }
        if let Some(absent) = verb.options.iter().find(|option| {
            option.required && option.name != "out" && given(&option.name).is_none() && option.default.is_none()
        }) {
            return Err(refuse(format!("--{}: nothing is given; {}", absent.name, absent.help)));
        }
        let written = |name: &str| self.folder.typed(&place.join(name));
        let out = verb.option("out").map(|option| out_name(option, verb, given("out"), given("in")));
        let mut words: Vec<String> = verb.name.split(' ').map(str::to_owned).collect();
        for option in &verb.options {
            let name = option.name.as_str();
            let value = match (name, given(name)) {
                ("out", _) => out.as_deref().map(written),
                ("report", _) => Some(written("report.html")),
                ("json", _) => Some("true".to_owned()),
                ("method", Some(method)) if verb.passed() == Passed::InMethod => {
                    Some(with_parameters(method, &params, given))
                }
                (name, Some(value)) if WRITTEN.contains(&name) => Some(written(&safe_name(value))),
                (_, value) => value.filter(|value| option.default.as_deref() != Some(*value)).map(str::to_owned),
            };
            if let Some(value) = value {
                push(&mut words, option, value);
            }
        }
        if verb.passed() == Passed::AsOptions {
            for param in params {
                if let Some(value) = given(param.name).filter(|value| *value != param.default) {
                    words.push(format!("--{}", param.name));
                    words.push(value.to_owned());
                }
            }
        }
        Ok(Plan {
            words,
            method: card.map(|card| card.slug.to_owned()),
            input: INPUTS.iter().find_map(|name| given(name)).map(str::to_owned),
            out,
        })
    }

    /// Whether a value may be used. `option` is none for a method's parameter.
    fn check(&self, name: &str, value: &str, option: Option<&VerbOption>) -> Answer<()> {
        if value.starts_with("--") || value.chars().any(char::is_control) || value.len() > 10_000 {
            return Err(refuse(format!("--{name}: a value has no line breaks and does not begin with two dashes")));
        }
        let role = option.map_or(Role::Text, VerbOption::role);
        if role == Role::Program && !value.is_empty() && !self.options.allow_programs {
            let text =
                format!("--{name} starts a program: serve with --allow-programs, or run the command line yourself");
            return Err(Problem::new(StatusCode::FORBIDDEN, text));
        }
        // Of the output's name nothing but its last part is used.
        let set = value
            .strip_prefix("builtin:")
            .is_some_and(|set| set.chars().all(|c| c.is_alphanumeric() || "-_".contains(c)));
        if role == Role::Program || name == "out" || value.is_empty() || set {
            return Ok(());
        }
        if role == Role::File {
            if value == "-" || (value.contains(['*', '?']) && !self.folder.root().join(value).exists()) {
                return Err(refuse(format!("--{name}: name one file or folder below the served folder")));
            }
            // Some files may also be a word, such as `kernel:0.2`.
            let word = option.and_then(|option| option.value.as_deref()).is_some_and(|value| value.contains('|'));
            if !word || self.folder.root().join(value).exists() {
                return self.folder.input(value).map(drop);
            }
        }
        // Whatever an option takes: what could be read as a path must not lead out of the folder.
        let parts = value.split([',', ':', '=', '|', ' ']).chain([value]);
        for part in parts.filter(|part| !part.is_empty()) {
            if part.contains(['/', '\\']) || part == ".." || self.folder.root().join(part).exists() {
                self.folder.inside(part)?;
            }
        }
        Ok(())
    }
}

/// The output's name: what was typed, made safe, or the verb with the input's ending.
fn out_name(option: &VerbOption, verb: &Verb, typed: Option<&str>, input: Option<&str>) -> String {
    let value = option.value.as_deref().unwrap_or_default();
    let ending = match value {
        "FOLDER" => String::new(),
        _ if value.contains("FILE.") => value.rsplit("FILE.").next().map(|e| format!(".{e}")).unwrap_or_default(),
        _ => match verb.name.as_str() {
            "solve" => ".npz".to_owned(),
            "reconstruct" | "denoise" => ".png".to_owned(),
            "order" => ".npy".to_owned(),
            _ => input
                .and_then(|input| quadrat::data::Format::of_path(Path::new(input)).ok())
                .map_or_else(|| ".csv".to_owned(), |(format, _)| format!(".{}", format.ending())),
        },
    };
    let usual = format!("{}{ending}", verb.name.replace(' ', "-"));
    match typed.map(safe_name) {
        // The run's own files keep their names.
        Some(name) if crate::runs::OWN.contains(&name.as_str()) => usual,
        Some(name) => name,
        None => usual,
    }
}

fn with_parameters<'a>(method: &str, params: &[&quadrat::Param], given: impl Fn(&str) -> Option<&'a str>) -> String {
    let set = params.iter().filter_map(|param| {
        let value = given(param.name).filter(|value| *value != param.default)?;
        Some(format!("{}={value}", param.name))
    });
    let set: Vec<String> = set.collect();
    if set.is_empty() { method.to_owned() } else { format!("{method}:{}", set.join(",")) }
}

fn push(words: &mut Vec<String>, option: &VerbOption, value: String) {
    match option.value.as_deref() {
        None if value == "true" => words.push(format!("--{}", option.name)),
        None => {}
        Some("true|false") => words.push(format!("--{}={value}", option.name)),
        Some(_) => words.extend([format!("--{}", option.name), value]),
    }
}
