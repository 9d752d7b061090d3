//! Chat templates: how a model wants a conversation written as one text.
//!
//! A template is a program in Jinja that comes with the model. It is rendered as transformers does (blocks trimmed, Python's methods of texts
//! and lists, `raise_exception`, `strftime_now`, JSON without HTML's escapes, `{% generation %}`), by minijinja; where the reference would
//! take the local time, this takes UTC. A template can loop for ever: it gets a bounded number of steps.

use chrono::{DateTime, Utc};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, ErrorKind, context};
use quadrat_core::{Error, Result};
use serde::Serialize;
use std::time::SystemTime;

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Who: `system`, `user` or `assistant`.
    pub role: String,
    /// What.
    pub content: String,
}

impl Message {
    /// A message of `role`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Message {
        Message { role: role.into(), content: content.into() }
    }
}

/// A model's template.
///
/// ```
/// use quadrat_language::{ChatTemplate, Message};
/// let source = "{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}{{ eos_token }}{% endfor %}";
/// let template = ChatTemplate::new(source, "", "</s>")?;
/// assert_eq!(template.render(&[Message::new("user", " Hi ")], true)?, "[user] Hi</s>");
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    begin: String,
    end: String,
}

/// The name of the only template.
const NAME: &str = "chat template";
/// Steps after which a template is taken to go on for ever.
const STEPS: u64 = 5_000_000;

impl ChatTemplate {
    /// A template that may name a text's beginning (`bos_token`) and end (`eos_token`).
    ///
    /// # Errors
    /// No template in Jinja: where, and why.
    pub fn new(source: &str, begin: &str, end: &str) -> Result<ChatTemplate> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(told)?);
        environment.set_fuel(Some(STEPS));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise);
        environment.add_function("strftime_now", now);
        environment.add_filter("tojson", json);
        environment.add_template_owned(NAME, without_generation(source)).map_err(told)?;
        Ok(ChatTemplate { environment, begin: begin.to_owned(), end: end.to_owned() })
    }

    /// The conversation as a text; with `answer`, the beginning of the assistant's next message behind it.
    ///
    /// # Errors
    /// What the template raises (of roles that do not alternate, say), or does that cannot be done.
    pub fn render(&self, messages: &[Message], answer: bool) -> Result<String> {
        let template = self.environment.get_template(NAME).map_err(told)?;
        let known = context! {
            messages => Value::from(Serde(messages)),
            add_generation_prompt => answer,
            bos_token => &self.begin,
            eos_token => &self.end,
        };
        template.render(known).map_err(told)
    }
}

fn told(error: minijinja::Error) -> Error {
    Error::data(
        NAME,
        error.line().map(|line| line as u64),
        match error.detail() {
            Some(detail) if error.kind() == ErrorKind::InvalidOperation => detail.to_owned(),
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        },
    )
}

fn raise(message: String) -> std::result::Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
}

fn now(format: &str) -> std::result::Result<String, minijinja::Error> {
    use std::fmt::Write;
    let mut text = String::new();
    let written = write!(text, "{}", DateTime::<Utc>::from(SystemTime::now()).format(format));
    let wrong = |_| minijinja::Error::new(ErrorKind::InvalidOperation, format!("no format of a time: {format}"));
    written.map(|()| text).map_err(wrong)
}

/// JSON as Python writes it; minijinja's own writes <, >, & and ' as escapes, which are taken back.
fn json(value: &Value, options: Kwargs) -> std::result::Result<Value, minijinja::Error> {
    let indent: Option<Value> = options.get("indent")?;
    // Texts are written as they are in any case.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let written = minijinja::filters::tojson(value, indent, Kwargs::from_iter(std::iter::empty::<(String, Value)>()))?
        .to_string();
    let mut text = String::with_capacity(written.len());
    let mut rest = written.as_str();
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (escape, behind) = rest[at..].split_at(rest.len().min(at + 2) - at);
        let plain = [("003c", '<'), ("003e", '>'), ("0026", '&'), ("0027", '\'')];
        match plain.iter().find(|(code, _)| escape == "\\u" && behind.starts_with(code)) {
            Some((code, plain)) => {
                text.push(*plain);
                rest = &behind[code.len()..];
            }
            None => {
                text.push_str(escape);
                rest = behind;
            }
        }
    }
    text.push_str(rest);
    Ok(Value::from_safe_string(text))
}

/// The source with blocks `generation`, which tell trainers what the model itself says, as blocks that are always shown.
fn without_generation(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        text.push_str(before);
        let Some(end) = tag.find("%}") else {
            rest = tag;
            break;
        };
        let (tag, behind) = tag.split_at(end);
        text.push_str(&match tag.trim_matches(['-', '+']).trim() {
            "generation" => tag.replace("generation", "if true"),
            "endgeneration" => tag.replace("endgeneration", "endif"),
            _ => tag.to_owned(),
        });
        rest = behind;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str) -> Result<String> {
        ChatTemplate::new(source, "<s>", "</s>")?.render(&[Message::new("user", "a <b> & 'c' \\u003c")], true)
    }

    /// What Jinja2 makes of the same source with the settings of transformers.
    #[test]
    fn templates_are_rendered_as_by_the_reference() {
        for (source, text) in [
            ("{{ bos_token }}{% if add_generation_prompt %}\nx{% endif %}\n", "<s>x"),
            ("  {% if true %}\na\n  {% endif %}\nb", "a\nb"),
            ("{{ messages[0] | tojson }}", r#"{"role": "user", "content": "a <b> & 'c' \\u003c"}"#),
            ("{{ [1] | tojson(indent=2) }}", "[\n  1\n]"),
            ("{%- generation -%} a {%- endgeneration %}b", "ab"),
            ("{% generation %}\na\n{% endgeneration %}\nb", "a\nb"),
            ("{{ ' a,b '.strip().split(',')[1] }}{{ 'ab'.startswith('a') }}", "bTrue"),
            ("{{ messages[::-1][0]['content'].replace('a', 'b').title()[:1] }}", "B"),
            ("{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "3"),
            ("{{ missing }}{% if missing is defined %}a{% endif %}", ""),
            ("{{ strftime_now('%Y') | length }}", "4"),
            ("{# {% #}{{ 1 }}", "1"),
        ] {
            assert_eq!(render(source).unwrap(), text, "{source}");
        }
    }

    #[test]
    fn what_a_template_raises_is_told() {
        for (source, words) in [
            ("\n{{ raise_exception('roles must alternate') }}", "chat template:2: roles must alternate"),
            ("{% if %}", "syntax error"),
            ("{{ missing.part }}", "undefined"),
            ("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "fuel"),
            ("{{ strftime_now('%') }}", "no format of a time"),
            ("{% generation", "syntax error"),
        ] {
            let message = render(source).unwrap_err().to_string();
            assert!(message.contains(words), "{source}: {message}");
        }
    }
}
