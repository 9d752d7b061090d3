//! What a field or a variant says of itself: its comment and its attribute.

use proc_macro2::Span;
use syn::{Attribute, Error, Expr, ExprLit, Ident, Lit, LitStr, Meta, Path, Result, Type};

/// What stands in `#[param(...)]`.
#[derive(Default)]
pub struct Said {
    /// Whether there is such an attribute.
    pub given: bool,
    pub name: Option<LitStr>,
    pub default: Option<Expr>,
    pub from: Option<Expr>,
    pub above: Option<Expr>,
    pub to: Option<Expr>,
    pub below: Option<Expr>,
    /// The word that stands for no value.
    pub none: Option<LitStr>,
    pub parse: Option<Path>,
    pub kind: Option<Expr>,
    pub text: Option<LitStr>,
    pub unit: Option<LitStr>,
    pub fixed: Option<Expr>,
    /// Another parameter and some of its values.
    pub only: Option<Expr>,
    pub flatten: bool,
    /// What is read where a part is flattened, if not the field's own type.
    pub flattened: Option<Type>,
}

impl Said {
    pub fn of(attributes: &[Attribute]) -> Result<Said> {
        let mut said = Said::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("param")) {
            said.given = true;
            attribute.parse_nested_meta(|meta| {
                let key = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
                match key.as_str() {
                    "name" => said.name = Some(meta.value()?.parse()?),
                    "default" => said.default = Some(meta.value()?.parse()?),
                    "from" => said.from = Some(meta.value()?.parse()?),
                    "above" => said.above = Some(meta.value()?.parse()?),
                    "to" => said.to = Some(meta.value()?.parse()?),
                    "below" => said.below = Some(meta.value()?.parse()?),
                    "none" => said.none = Some(meta.value()?.parse()?),
                    "parse" => said.parse = Some(meta.value()?.parse()?),
                    "kind" => said.kind = Some(meta.value()?.parse()?),
                    "text" => said.text = Some(meta.value()?.parse()?),
                    "unit" => said.unit = Some(meta.value()?.parse()?),
                    "fixed" => said.fixed = Some(meta.value()?.parse()?),
                    "only" => said.only = Some(meta.value()?.parse()?),
                    "flatten" => {
                        said.flatten = true;
                        said.flattened = meta.value().ok().map(|value| value.parse()).transpose()?;
                    }
                    _ => return Err(meta.error("no such key of #[param]")),
                }
                Ok(())
            })?;
        }
        Ok(said)
    }
}

/// The first sentence of a comment as help stands in a table: no capital, no full stop, links as plain code.
pub fn help(attributes: &[Attribute], span: Span) -> Result<String> {
    let mut lines = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &pair.value else { continue };
        lines.push(line.value().trim().to_owned());
    }
    let paragraph: Vec<String> = lines.into_iter().take_while(|line| !line.is_empty()).collect();
    let text = paragraph.join(" ").replace("[`", "`").replace("`]", "`");
    let text = text.split(". ").next().unwrap_or_default();
    let text = text.strip_suffix('.').unwrap_or(text);
    let mut characters = text.chars();
    let (first, second) = (characters.next(), characters.clone().next());
    match first {
        None => Err(Error::new(span, "a comment, which becomes the help")),
        // A word, not an abbreviation or a symbol.
        Some(first) if second.is_some_and(|c| c.is_lowercase() || c == ' ') && text.len() > 1 => {
            Ok(first.to_lowercase().chain(characters).collect())
        }
        Some(_) => Ok(text.to_owned()),
    }
}

/// `PerAttribute` and `max_tries` as they are typed: `per-attribute`, `max-tries`.
pub fn typed(name: &Ident) -> String {
    let name = name.to_string();
    let mut out = String::new();
    for (i, c) in name.trim_start_matches("r#").chars().enumerate() {
        match c {
            '_' => out.push('-'),
            c if c.is_uppercase() => {
                if i > 0 {
                    out.push('-');
                }
                out.extend(c.to_lowercase());
            }
            c => out.push(c),
        }
    }
    out
}
