//! Options that methods declare.
//!
//! Where a verb has a method of its own, its options are those that the method's struct declares ([`Declared`]). Where a
//! method is chosen by name, its parameters (`--k 5`, `--ratio 1.0`) are not known to clap: they come from the method's
//! card. So every `--name value` pair that the verb itself does not know is set aside first ([`split`]) and handed to the
//! method, which says what it takes.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};
use quadrat::{Choice, Error, Kind, Param, Result, Settings};
use std::marker::PhantomData;

/// The parameters that `S` declares, as options: their help, defaults and choices are those of the declaration.
#[derive(Debug)]
pub struct Declared<S> {
    given: Vec<(&'static str, String)>,
    of: PhantomData<S>,
}

impl<S: Settings> Declared<S> {
    /// What was typed for a parameter.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that was typed.
    pub fn any(&self) -> Option<&'static str> {
        self.given.first().map(|(name, _)| *name)
    }

    /// The same, or the default as it would be typed.
    pub fn value(&self, name: &str) -> &str {
        let usual = || S::PARAMS.iter().find(|param| param.name == name).map_or("", |param| param.default);
        self.given(name).unwrap_or_else(usual)
    }

    /// What was typed, and the defaults of the rest.
    pub fn settings(&self) -> Result<S> {
        self.settings_without("")
    }

    /// The same, whatever was typed for one of the parameters.
    pub fn settings_without(&self, name: &str) -> Result<S> {
        S::from_params(&self.given.iter().filter(|(given, _)| *given != name).cloned().collect())
    }

    /// That no parameter is given that changes nothing beside the others.
    pub fn check_effect(&self) -> Result<()> {
        for (name, _) in &self.given {
            let only = S::PARAMS.iter().find(|param| param.name == *name).and_then(|param| param.only);
            let Some((other, values)) = only else { continue };
            if !values.contains(&self.value(other)) {
                let want = format!("it belongs to --{other} {}", values.join(" or "));
                return Err(Error::input("option", format!("`--{name}`"), want));
            }
        }
        Ok(())
    }
}

impl<S: Settings> FromArgMatches for Declared<S> {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let typed = |param: &&Param| matches.value_source(param.name) == Some(ValueSource::CommandLine);
        let value = |param: &'static Param| {
            let values: Vec<&str> = matches.get_many::<String>(param.name)?.map(String::as_str).collect();
            Some((param.name, values.join(",")))
        };
        Ok(Declared { given: S::PARAMS.iter().filter(typed).filter_map(value).collect(), of: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<S: Settings> Args for Declared<S> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(S::PARAMS.iter().map(option))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// A parameter as an option.
fn option(param: &'static Param) -> Arg {
    let help = param.help();
    let help = help.chars().take(1).flat_map(char::to_uppercase).chain(help.chars().skip(1)).collect::<String>();
    let arg = Arg::new(param.name).long(param.name).help(help).default_value(param.default);
    match param.kind {
        Kind::Number { .. } => arg.value_name("NUMBER").allow_negative_numbers(true),
        Kind::Whole { .. } => arg.value_name("N").allow_negative_numbers(true),
        Kind::Choice(_) => arg.value_name("NAME"),
        // A flag, which may be told to be false.
        Kind::Truth => arg.value_name("true|false").num_args(0..=1).require_equals(true).default_missing_value("true"),
        // Lists may be given in parts.
        Kind::Text => arg.value_name("TEXT").action(ArgAction::Append).allow_negative_numbers(true),
    }
}

/// Reads the name of one of some choices.
pub fn choice<T: Choice + Send + Sync>() -> impl TypedValueParser<Value = T> {
    let names = T::CHOICES.iter().map(|choice| PossibleValue::new(choice.name).help(choice.help));
    let value = |name: String| {
        let named = T::CHOICES.iter().find(|choice| choice.name == name);
        named.map(|choice| choice.value).ok_or_else(|| Error::input("name", name, "one of those listed"))
    };
    PossibleValuesParser::new(names).try_map(value)
}

/// NAME:KEY=VALUE,KEY=VALUE as a name and its parameters.
pub fn with_parameters<'a>(option: &str, text: &'a str) -> Result<(&'a str, Vec<(String, String)>)> {
    let (name, typed) = text.split_once(':').unwrap_or((text, ""));
    let pair = |pair: &str| {
        let want = "write NAME:KEY=VALUE,KEY=VALUE, such as random-pruning:density=0.1";
        let (key, value) = pair.split_once('=').ok_or_else(|| Error::input(option, format!("`{text}`"), want))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    Ok((name, typed.split(',').filter(|pair| !pair.is_empty()).map(pair).collect::<Result<_>>()?))
}

/// The options of the verb, and those left for its method.
#[derive(Debug, PartialEq, Eq)]
pub struct Split {
    /// What clap is to parse, from the program's name on.
    pub own: Vec<String>,
    /// `--name value` pairs for the method; a name without a value gets "true".
    pub parameters: Vec<(String, String)>,
    /// The method, where one is named.
    pub method: Option<String>,
}

/// Sets the method's options aside: those of verbs with a `--method` that `command` does not list.
pub fn split(command: &clap::Command, arguments: impl IntoIterator<Item = String>) -> Split {
    let mut left = arguments.into_iter().peekable();
    let mut split = Split { own: left.by_ref().take(2).collect(), parameters: Vec::new(), method: None };
    let verb = split.own.get(1).and_then(|verb| command.find_subcommand(verb));
    // A verb of two words (`reconstruct train`) has options of its own.
    let verb = verb.filter(|verb| left.peek().is_none_or(|word| verb.find_subcommand(word).is_none()));
    let Some(verb) = verb.filter(|verb| verb.get_arguments().any(|a| a.get_long() == Some("method"))) else {
        split.own.extend(left);
        return split;
    };
    while let Some(argument) = left.next() {
        let Some(option) = argument.strip_prefix("--").filter(|option| !option.is_empty()) else {
            split.own.push(argument);
            continue;
        };
        let (name, inline) = match option.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (option.to_owned(), None),
        };
        let known = verb.get_arguments().find(|a| a.get_long() == Some(name.as_str()));
        let takes_value = known.is_none_or(|a| a.get_action().takes_values()) && name != "help";
        let value = inline.or_else(|| left.next_if(|next| takes_value && !next.starts_with("--")));
        if known.is_none() && name != "help" {
            split.parameters.push((name, value.unwrap_or_else(|| "true".to_owned())));
            continue;
        }
        if name == "method" {
            split.method.clone_from(&value);
        }
        split.own.push(format!("--{name}"));
        split.own.extend(value);
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Cli;
    use clap::CommandFactory;
    use quadrat::select::{Sizes, SplitProtocol};

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_declaration_makes_options() {
        let read = |line: &str| {
            let command = Declared::<SplitProtocol>::augment_args(clap::Command::new("t"));
            Declared::<SplitProtocol>::from_arg_matches(&command.get_matches_from(words(line))).unwrap()
        };
        assert_eq!(read("t").settings().unwrap(), SplitProtocol::default());
        let given = read("t --protocol resample --sizes 3,4 --sizes 5 --exclude-nearest 7");
        let SplitProtocol::Resample { sets } = given.settings().unwrap() else { panic!() };
        assert_eq!((&sets.sizes, sets.exclude), (&Sizes::Rows(vec![3, 4, 5]), Some(7)));
        let SplitProtocol::Resample { sets } = given.settings_without("sizes").unwrap() else { panic!() };
        assert_eq!(sets.sizes, Sizes::default());
        assert_eq!((given.given("sizes"), given.given("far"), given.value("far")), (Some("3,4,5"), None, "random"));
        assert!(given.check_effect().is_ok());
        for (line, balanced, purge) in [
            ("t --balanced --purge -0.5", true, Some(-0.5)),
            ("t --balanced=false --purge none", false, None),
            ("t --protocol=extrapolation", false, None),
        ] {
            let SplitProtocol::Extrapolation { folds } = read(line).settings().unwrap() else { panic!() };
            assert_eq!((folds.buckets.balanced, folds.purge), (balanced, purge), "{line}");
        }
        let error = read("t --sizes 5").check_effect().unwrap_err().to_string();
        assert_eq!(error, "option: got `--sizes`; it belongs to --protocol resample");
        let error = read("t --folds 1").settings().unwrap_err().to_string();
        assert_eq!(error, "folds: got `1`; use a whole number, at least 2");
        let help = Declared::<SplitProtocol>::augment_args(clap::Command::new("t")).render_help().to_string();
        assert!(help.contains("--folds <N>") && help.contains("at least 2; with protocol=extrapolation"), "{help}");
    }

    #[test]
    fn options_of_the_method_are_set_aside() {
        for (line, own, parameters) in [
            ("quadrat list a b", "quadrat list a b", ""),
            (
                "quadrat balance --in a.csv --k 5 --target y --method smote --ratio=1.0 --out b.csv",
                "quadrat balance --in a.csv --target y --method smote --out b.csv",
                "k=5 ratio=1.0",
            ),
            ("quadrat select --norm --method mig --budget=2%", "quadrat select --method mig --budget 2%", "norm=true"),
            ("quadrat select --method mig --help", "quadrat select --method mig --help", ""),
            ("quadrat select --shift -3 --json x", "quadrat select --json x", "shift=-3"),
            ("quadrat check --all --k 3", "quadrat check --all --k 3", ""),
            ("quadrat", "quadrat", ""),
        ] {
            let split = split(&Cli::command(), words(line));
            assert_eq!(split.own, words(own), "{line}");
            let got: Vec<String> = split.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(got, words(parameters), "{line}");
        }
    }
}
