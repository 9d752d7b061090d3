//! Fields of a form: an option of a verb, a file, a method's parameter.

use crate::VerbOption;
use crate::command::Role;
use maud::{Markup, html};
use quadrat::{Kind, Param};

/// An option of a verb, with what stands in it.
pub fn option(option: &VerbOption, value: String) -> Markup {
    let (id, name) = (format!("o-{}", option.name), option.name.as_str());
    let hint = format!("{id}-hint");
    if option.role() == Role::File {
        return file(option, value, false);
    }
    let choices: Vec<&str> = match option.role() {
        Role::Truth => vec!["true", "false"],
        _ => option.choices.iter().map(|(choice, _)| choice.as_str()).collect(),
    };
    html! {
        div.field {
            @if option.role() == Role::Flag {
                label.check {
                    input id=(id) name=(name) type="checkbox" value="true" checked[value == "true"] aria-describedby=(hint);
                    " " (name)
                }
            } @else {
                label for=(id) { (name) }
                @match option.role() {
                    Role::Choice | Role::Truth => {
                        select id=(id) name=(name) aria-describedby=(hint) {
                            @if option.default.is_none() { option value="" { "(as usual)" } }
                            @for choice in &choices { option value=(choice) selected[*choice == value] { (choice) } }
                        }
                    }
                    Role::Column => {
                        select id=(id) name=(name) data-columns=(value) data-target[name == "target"]
                            required[option.required] aria-describedby=(hint) {
                            option value="" { @if option.required { "choose a file first" } @else { "(none)" } }
                            @if !value.is_empty() { option value=(value) selected { (value) } }
                        }
                    }
                    _ => {
                        input id=(id) name=(name) type="text" value=(value) placeholder=[option.value.as_deref()]
                            required[option.required] spellcheck="false" aria-describedby=(hint);
                    }
                }
            }
            p.hint id=(hint) {
                (option.help)
                @for (choice, help) in &option.choices { @if !help.is_empty() { "; " (choice) ": " (help) } }
            }
        }
    }
}

/// A file: by its path below the folder, a built-in set by its name, or brought from elsewhere.
pub fn file(option: &VerbOption, value: String, drop: bool) -> Markup {
    let (id, name) = (format!("o-{}", option.name), option.name.as_str());
    let (chooser, hint) = (format!("{id}-bring"), format!("{id}-hint"));
    let choose = if drop { "Drop a file here, or choose one".to_owned() } else { format!("{name}: choose a file") };
    let path = if drop { "or a file below the served folder, or a built-in set" } else { "or its path" };
    html! {
        div.field.file data-drop[drop] {
            label for=(chooser) { (choose) }
            input id=(chooser) type="file" data-for=(id);
            label for=(id) { (path) }
            input id=(id) name=(name) type="text" list="files" value=(value) data-described[drop]
                required[option.required] spellcheck="false" aria-describedby=(hint);
            p.hint id=(hint) { (option.help) }
        }
    }
}

/// A method's parameter as a field; what stands in it at first is the default. `scope` tells the fields of several methods
/// apart.
pub fn parameter(scope: &str, param: &Param, given: Option<&str>) -> Markup {
    let id = format!("{scope}-{}", param.name);
    let (hint, value) = (format!("{id}-hint"), given.filter(|given| !given.is_empty()).unwrap_or(param.default));
    let keys = match param.kind {
        Kind::Number { or: None, .. } => Some("decimal"),
        Kind::Whole { or: None, .. } => Some("numeric"),
        _ => None,
    };
    let names: Option<Vec<&str>> = match param.kind {
        Kind::Choice(names) => Some(names.iter().map(|(name, _)| *name).collect()),
        Kind::Truth => Some(vec!["true", "false"]),
        _ => None,
    };
    html! {
        div.field {
            label for=(id) { (param.name) @if let Some(unit) = param.unit { " (" (unit) ")" } }
            @if let Some(names) = names {
                select id=(id) name=(param.name) data-default=(param.default) aria-describedby=(hint) {
                    @for name in names { option value=(name) selected[name == value] { (name) } }
                }
            } @else {
                input id=(id) name=(param.name) data-default=(param.default) type="text" inputmode=[keys] value=(value)
                    spellcheck="false" aria-describedby=(hint);
            }
            p.hint id=(hint) { (param.help()) }
        }
    }
}
