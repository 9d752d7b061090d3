//! `--method spectr`: how texts are drawn with drafts, and who drafts.

use super::model::{self, Model};
use clap::Args;
use quadrat::language::LanguageModel;
use quadrat::language::decode::{Continuation, Decoder, Request, generate};
use quadrat::language::speculate::{Spectr, Speculator, lookup, recent};
use quadrat::{Error, Method, Params, Progress, Result, Rng, Settings};
use std::ops::ControlFlow;
use std::path::Path;

/// The longest run of tokens that drafters without a model look at.
const ORDER: usize = 4;

#[derive(Args, Debug)]
pub struct Drafting {
    /// Who drafts with spectr: ngram (learns from the text so far), lookup (what came after the same tokens before), or a model
    #[arg(long, value_name = "ngram|lookup|FOLDER|FILE")]
    pub draft: Option<String>,
    /// With spectr: drafts of each call of the model [default: 4]
    #[arg(long, value_name = "N")]
    pub drafts: Option<String>,
    /// With spectr: tokens of a draft [default: 4]; of a masked model: tokens of a text [default: the most that it takes]
    #[arg(long, value_name = "N")]
    pub length: Option<String>,
    /// With spectr: which rule chooses among drafts [default: k-seq]
    #[arg(long, value_name = "NAME")]
    pub rule: Option<String>,
}

impl Drafting {
    /// What was set, and who drafts; none where texts are drawn token by token.
    pub fn open(&self, method: Option<&str>, model: &Model) -> Result<Option<Drafts>> {
        let given = [("draft", &self.draft), ("drafts", &self.drafts), ("length", &self.length), ("rule", &self.rule)];
        match method {
            None => match given.iter().find(|(_, value)| value.is_some()) {
                Some((name, _)) => Err(Error::input("option", format!("`--{name}`"), "it belongs to --method spectr")),
                None => Ok(None),
            },
            Some(name) if Spectr::CARD.is_called(name) => {
                let typed = given.iter().skip(1).filter_map(|(name, value)| Some((*name, value.as_deref()?)));
                let settings = Spectr::from_params(&typed.collect::<Params>())?;
                let draft = Drafter::open(self.draft.as_deref().unwrap_or("ngram"), model)?;
                Ok(Some(Drafts { settings, draft }))
            }
            Some(other) => {
                Err(Error::input("--method", format!("`{other}`"), "spectr, or leave it out to draw token by token"))
            }
        }
    }
}

/// Who drafts.
pub enum Drafter {
    Own(Box<dyn LanguageModel>),
    Other(Box<Model>),
}

impl Drafter {
    /// `name` is that of a drafter without a model, or where a model lies.
    pub fn open(name: &str, target: &Model) -> Result<Drafter> {
        let vocabulary = target.model().vocabulary();
        Ok(match name {
            "ngram" => Drafter::Own(Box::new(recent(vocabulary, ORDER))),
            "lookup" => Drafter::Own(Box::new(lookup(vocabulary, ORDER))),
            path => Drafter::Other(Box::new(model::open(Path::new(path))?)),
        })
    }

    pub fn model(&self) -> &dyn LanguageModel {
        match self {
            Drafter::Own(model) => model.as_ref(),
            Drafter::Other(model) => model.model(),
        }
    }
}

/// SpecTr as it was set.
pub struct Drafts {
    pub settings: Spectr,
    pub draft: Drafter,
}

impl Drafts {
    /// The loop around a target.
    pub fn around<'m>(&'m self, target: &'m dyn LanguageModel, decoder: &'m Decoder) -> Speculator<'m> {
        let Spectr { drafts, length, rule } = self.settings;
        Speculator { target, draft: self.draft.model(), decoder, selector: rule.selector(), drafts, length }
    }
}

/// Draws a text, with drafts or without, and says how many calls of the model it took.
pub fn draw(
    (model, decoder, drafts): (&dyn LanguageModel, &Decoder, Option<&Drafts>),
    request: &Request,
    rng: &mut Rng,
    progress: &dyn Progress,
    each: &mut dyn FnMut(&[u32]) -> ControlFlow<()>,
) -> Result<(Continuation, usize)> {
    match drafts {
        Some(drafts) => {
            let drawn = drafts.around(model, decoder).generate(request, rng, progress, each)?;
            Ok((drawn.text, drawn.calls))
        }
        None => {
            let text = generate(model, decoder, request, rng, progress, each)?;
            let calls = text.tokens.len();
            Ok((text, calls))
        }
    }
}
