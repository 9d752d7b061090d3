//! `quadrat show METHOD`: a method's card and the last recorded result of its claim.

use crate::output::{Reply, json, seconds, table, wrap};
use clap::Args;
use quadrat::{Card, Result, catalogue, find};
use quadrat_claims::{Summary, recorded};
use std::fmt::Write as _;

#[derive(Args, Debug)]
pub struct Show {
    /// The method's name or short form
    pub method: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Shows a card.
pub fn run(args: &Show) -> Result<Reply> {
    let card = find(&catalogue(), &args.method)?;
    let claims = recorded(card.slug)?;
    let mut value = json(card)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("recorded".to_owned(), json(&claims)?);
    }
    Ok(Reply::new(describe(card, &claims), value))
}

fn describe(card: &Card, claims: &[Summary]) -> String {
    let mut text = format!("{}  {}\n", card.slug, card.title);
    if !card.aliases.is_empty() {
        let _ = writeln!(text, "also called {}", card.aliases.join(", "));
    }
    for (heading, body) in
        [("", card.summary), ("useful when", card.useful_when), ("cost", card.cost), ("paper", card.paper)]
    {
        let _ = write!(text, "\n{heading}{}{}", if heading.is_empty() { "" } else { "\n" }, wrap(body, 2, 100));
    }
    let place = match card.verbs {
        [] => "called from the library".to_owned(),
        verbs => verbs.iter().map(|verb| format!("`quadrat {verb}`")).collect::<Vec<_>>().join(", "),
    };
    let _ = write!(text, "\nruns with\n{}", wrap(&place, 2, 100));
    if !card.params.is_empty() {
        let _ = write!(text, "\nparameters\n{}", parameters(card));
    }
    for claim in claims {
        let verdict = claim.verdict.map_or_else(|| "ran; this scale gives no verdict".to_owned(), |v| v.to_string());
        let others = match claim.replications {
            (0, _) => String::new(),
            (runs, same) => format!("; {same} of {runs} runs from other seeds say the same"),
        };
        let _ = writeln!(text, "\nclaim at {} scale: {verdict} ({}{others})", claim.scale, seconds(claim.seconds));
        for finding in &claim.findings {
            text.push_str(&wrap(finding, 2, 100));
        }
        text.push_str(&wrap(&format!("measured on {}", claim.environment), 2, 100));
    }
    text
}

/// A method's parameters: name and default on the left, what they do on the right.
pub fn parameters(card: &Card) -> String {
    let names = card.params.iter().map(|p| vec![format!("--{}", p.name), format!("[default: {}]", p.default)]);
    let left = table(&names.collect::<Vec<_>>(), &[]);
    let indent = left.lines().map(|line| line.chars().count()).max().unwrap_or(0) + 2;
    let mut text = String::new();
    for (left, parameter) in left.lines().zip(card.params) {
        let help = wrap(&parameter.help(), indent, 110.max(indent + 40));
        let _ = write!(text, "{left:<indent$}{}", help.trim_start());
    }
    text
}
