//! `quadrat language generate`: prompts -> texts drawn from a model.

use super::drafting::{Drafting, Drafts, draw};
use super::model::{self, Model};
use crate::args::Run;
use crate::commands::work;
use crate::output::{self, Reply, check_out, count, figure, seconds};
use crate::parameters::Declared;
use crate::reading::Reading;
use clap::Args;
use quadrat::language::decode::{Chain, Continuation, Decoder, Finish, Quotes, Request, stream};
use quadrat::{Error, Progress, Result, Seed, Within, checkpoint, write_atomic};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct Generate {
    /// The model: a folder or a .gguf file
    #[arg(long, value_name = "FOLDER|FILE")]
    pub model: PathBuf,
    /// The text to go on from
    #[arg(long, value_name = "TEXT", group = "asked")]
    pub prompt: Option<String>,
    /// What a user says, put into the model's chat template
    #[arg(long, value_name = "TEXT", group = "asked")]
    pub chat: Option<String>,
    /// A file of rows with a prompt each (column prompt, or --column)
    #[arg(long, value_name = "FILE", group = "asked")]
    pub prompts: Option<String>,
    /// With --prompts: the column of prompts [default: prompt]
    #[arg(long, value_name = "COLUMN", requires = "prompts")]
    pub column: Option<String>,
    /// Texts to draw without --prompts, or after each prompt
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub rows: usize,
    /// Most tokens of a text
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub tokens: usize,
    /// How to draw: spectr takes drafts, which are cheap, and fewer calls of the model, with the same law [default: token by token]; of
    /// a masked model first-hitting, with parameters as in first-hitting:calls=16,order=second
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,
    #[command(flatten)]
    pub drafting: Drafting,
    #[command(flatten)]
    pub chain: Declared<Chain>,
    /// Ends a text where this comes; it is left out
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Forbids to quote this file: no --quote-tokens tokens in a row that stand there
    #[arg(long, value_name = "FILE")]
    pub no_quotes: Option<PathBuf>,
    /// Tokens in a row that are a quotation
    #[arg(long, value_name = "N", default_value_t = 5, requires = "no_quotes")]
    pub quote_tokens: usize,
    /// Add the tokens and the natural logarithms of their probabilities
    #[arg(long)]
    pub logprobs: bool,
    /// Output: a JSON line a text [default: the texts on a terminal, JSON lines in a pipe]
    #[arg(long, value_name = "FILE.jsonl")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// A text to draw.
#[derive(Clone)]
struct Asked {
    prompt: String,
    tokens: Vec<u32>,
}

/// Draws the texts.
pub fn run(args: &Generate, progress: &dyn Progress) -> Result<Reply> {
    if let Some(out) = &args.out {
        check_out(out)?;
    }
    let chain = args.chain.settings()?;
    let model = model::open(&args.model)?;
    let decoder = decoder(args, chain, &model)?;
    let drafts = args.drafting.open(args.method.as_deref(), &model)?;
    let asked = asked(args, &model)?;
    let started = Instant::now();
    let drawer = Drawer { args, model: &model, decoder: &decoder, drafts: drafts.as_ref() };
    let made = match &args.out {
        None if !args.run.json && std::io::stdout().is_terminal() => drawer.show(&asked, progress)?,
        None if !args.run.json => drawer.lines(&asked, progress)?,
        _ => drawer.all(&asked, progress)?,
    };
    let took = started.elapsed().as_secs_f64();
    let tokens: usize = made.iter().map(|(_, text)| text.tokens.len()).sum();
    if let Some(out) = &args.out {
        write_atomic(out, |file| {
            made.iter().try_for_each(|(line, _)| writeln!(file, "{line}")).map_err(|e| Error::io(out, e))
        })?;
    }
    let forced: usize = made.iter().map(|(_, text)| text.forced).sum();
    let mut text = format!(
        "{} texts of {} tokens in {}: {} tokens a second\n",
        count(made.len()),
        count(tokens),
        seconds(took),
        figure(tokens as f64 / took.max(1e-9))
    );
    let calls: u64 = made.iter().filter_map(|(line, _)| line["calls"].as_u64()).sum();
    if calls > 0 {
        text.push_str(&format!("{} calls of the model: {} tokens each\n", calls, figure(tokens as f64 / calls as f64)));
    }
    if forced > 0 {
        text.push_str(&format!("{} times all that was left was forbidden, and the best of it came\n", count(forced)));
    }
    text.extend(args.out.iter().map(|out| format!("wrote {}\n", out.display())));
    let mut value = json!({
        "model": args.model,
        "texts": made.len(),
        "tokens": tokens,
        "seconds": took,
        "tokens_per_second": tokens as f64 / took.max(1e-9),
        "forced": forced,
        "calls": (calls > 0).then_some(calls),
        "out": args.out,
    });
    if args.out.is_none() {
        value["rows"] = made.into_iter().map(|(line, _)| line).collect();
    }
    Ok(Reply::new(text, value))
}

fn decoder(args: &Generate, chain: Chain, model: &Model) -> Result<Decoder> {
    let mut decoder = Decoder::from(chain);
    if let Some(path) = &args.no_quotes {
        if args.quote_tokens == 0 {
            return Err(Error::input("--quote-tokens", 0, "at least 1"));
        }
        let tokens = model.encode(&work::text(path)?)?;
        decoder.blockers.push(Arc::new(Quotes::new(&[tokens], args.quote_tokens)));
    }
    Ok(decoder)
}

/// The prompts, each as often as asked for.
fn asked(args: &Generate, model: &Model) -> Result<Vec<Asked>> {
    if args.rows == 0 || args.tokens == 0 {
        return Err(Error::input(
            "--rows and --tokens",
            format!("{} and {}", args.rows, args.tokens),
            "at least 1 of each",
        ));
    }
    let prompts = match (&args.prompt, &args.chat, &args.prompts) {
        (Some(prompt), ..) => vec![(prompt.clone(), model.prompt(prompt)?)],
        (_, Some(said), _) => vec![(said.clone(), model.chat(said)?)],
        (.., Some(file)) => {
            let table = work::read(file, &args.reading)?;
            let prompts = table.paragraphs(&[args.column.as_deref().unwrap_or("prompt")])?;
            prompts.into_iter().map(|prompt| Ok((prompt.clone(), model.prompt(&prompt)?))).collect::<Result<_>>()?
        }
        _ => vec![(String::new(), model.prompt("")?)],
    };
    let often = |(prompt, tokens)| std::iter::repeat_n(Asked { prompt, tokens }, args.rows);
    Ok(prompts.into_iter().flat_map(often).collect())
}

/// What draws a text after the other.
struct Drawer<'a> {
    args: &'a Generate,
    model: &'a Model,
    decoder: &'a Decoder,
    drafts: Option<&'a Drafts>,
}

impl Drawer<'_> {
    /// Text `i`; `shown` gets what is new of it after each token.
    fn one(
        &self,
        i: usize,
        asked: &Asked,
        progress: &dyn Progress,
        shown: &mut dyn FnMut(&str),
    ) -> Result<(Value, Continuation)> {
        let (args, model) = (self.args, self.model);
        let request = Request::new(&asked.tokens, args.tokens);
        let mut told = 0;
        let mut each = |tokens: &[u32]| {
            let text = model.decode(tokens);
            if let Some(end) = args.stop.iter().filter_map(|stop| text.find(stop.as_str())).min() {
                shown(text.get(told.min(end)..end).unwrap_or_default());
                return ControlFlow::Break(());
            }
            // A character of several tokens shows as a replacement until it is whole.
            if !text.ends_with(char::REPLACEMENT_CHARACTER) {
                shown(text.get(told..).unwrap_or_default());
                told = text.len();
            }
            ControlFlow::Continue(())
        };
        let way = (model.model(), self.decoder, self.drafts);
        let (drawn, calls) = draw(way, &request, &mut stream(Seed(args.run.seed), i), progress, &mut each)?;
        let said = match (drawn.finish, drawn.tokens.split_last()) {
            (Finish::End, Some((_, before))) => before,
            _ => &drawn.tokens[..],
        };
        let mut text = model.decode(said);
        if let Some(end) = args.stop.iter().filter_map(|stop| text.find(stop.as_str())).min() {
            text.truncate(end);
        }
        let mut line =
            json!({ "prompt": asked.prompt, "text": text, "tokens": drawn.tokens.len(), "finish": drawn.finish });
        if self.drafts.is_some() {
            line["calls"] = json!(calls);
        }
        if args.logprobs {
            line["token_ids"] = json!(drawn.tokens);
            line["log_probabilities"] = json!(drawn.log_probabilities);
        }
        Ok((line, drawn))
    }

    /// Shows each text as it grows.
    fn show(&self, asked: &[Asked], progress: &dyn Progress) -> Result<Vec<(Value, Continuation)>> {
        let mut out = std::io::stdout().lock();
        // A reader that has gone away is no error.
        let mut say = |text: &str| drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
        let one = |(i, asked): (usize, &Asked)| {
            checkpoint(progress)?;
            say(if self.args.chat.is_some() { "" } else { &asked.prompt });
            let made = self.one(i, asked, &Within(progress), &mut say)?;
            say("\n");
            Ok(made)
        };
        asked.iter().enumerate().map(one).collect()
    }

    /// Prints a JSON line a text, and what is said of them to standard error.
    fn lines(&self, asked: &[Asked], progress: &dyn Progress) -> Result<Vec<(Value, Continuation)>> {
        let made = self.all(asked, progress)?;
        made.iter().for_each(|(line, _)| output::print(&line.to_string()));
        check_out(Path::new("-.jsonl"))?;
        Ok(made)
    }

    /// All texts, side by side.
    fn all(&self, asked: &[Asked], progress: &dyn Progress) -> Result<Vec<(Value, Continuation)>> {
        progress.begin("generating", Some(asked.len() as u64));
        let one = |(i, asked): (usize, &Asked)| {
            checkpoint(progress)?;
            let made = self.one(i, asked, &Within(progress), &mut |_| ());
            progress.advance(1);
            made
        };
        asked.par_iter().enumerate().map(one).collect()
    }
}
