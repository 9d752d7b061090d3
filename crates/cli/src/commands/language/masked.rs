//! `quadrat language generate` with a masked model: whole texts, filled in any order.

use super::generate::Generate;
use crate::commands::work;
use crate::output::{self, Reply, check_out, count, figure, seconds};
use crate::parameters::with_parameters;
use quadrat::language::Vocabulary;
use quadrat::language::decode::Chain;
use quadrat::language::masked::{MaskedDecoding, MaskedModel, MaskedTransformer, Sample, draw_rows, sentence_entropy};
use quadrat::{Error, Method, Progress, Result, Seed, Settings, stats, write_atomic};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Instant;

/// Options of the chain that a masked model's rows know too.
const SHARED: [&str; 2] = ["temperature", "top-p"];

/// Draws the texts. A prompt stands at a text's beginning.
pub fn run(args: &Generate, progress: &dyn Progress) -> Result<Reply> {
    if let Some(out) = &args.out {
        check_out(out)?;
    }
    let decoding = settings(args)?;
    let model = MaskedTransformer::open(&args.model)?;
    let vocabulary = Vocabulary::from_folder(&args.model)?;
    let length = length(args)?.or(model.context()).unwrap_or(args.tokens);
    let started = Instant::now();
    let mut made = Vec::new();
    for (i, prompt) in prompts(args)?.into_iter().enumerate() {
        let mut start = vocabulary.encode(&prompt)?;
        if start.len() > length {
            let want = format!("at most {length}, the tokens of a text; give a larger --length");
            return Err(Error::input("tokens of the prompt", start.len(), want));
        }
        start.resize(length, model.mask());
        let seed = Seed(args.run.seed).stream(&i.to_string());
        for sample in draw_rows(&model, &decoding, &start, args.rows, seed, progress)? {
            let text = written(&vocabulary, &sample);
            let entropy = sentence_entropy(&sample.tokens);
            made.push(json!({ "prompt": prompt, "text": text, "calls": sample.calls, "entropy": entropy }));
        }
    }
    reply(args, length, made, started.elapsed().as_secs_f64())
}

/// The method and its parameters; options that it does not know are refused.
fn settings(args: &Generate) -> Result<MaskedDecoding> {
    let (name, mut parameters) = with_parameters("--method", args.method.as_deref().unwrap_or("first-hitting"))?;
    let card = MaskedDecoding::CARD;
    if !card.is_called(name) {
        let want = format!("{}: the model is a masked one", card.aliases[0]);
        return Err(Error::input("--method", format!("`{name}`"), want));
    }
    for param in Chain::PARAMS {
        match args.chain.given(param.name) {
            Some(value) if SHARED.contains(&param.name) => parameters.push((param.name.to_owned(), value.to_owned())),
            Some(_) => return Err(foreign(param.name)),
            None => {}
        }
    }
    let others = [
        ("chat", args.chat.is_some()),
        ("stop", !args.stop.is_empty()),
        ("no-quotes", args.no_quotes.is_some()),
        ("logprobs", args.logprobs),
        ("draft", args.drafting.draft.is_some()),
        ("drafts", args.drafting.drafts.is_some()),
        ("rule", args.drafting.rule.is_some()),
    ];
    if let Some((name, _)) = others.iter().find(|(_, given)| *given) {
        return Err(foreign(name));
    }
    let params = work::params(&parameters);
    params.check_names(&card)?;
    MaskedDecoding::from_params(&params)
}

/// The tokens of a text, where they are said.
fn length(args: &Generate) -> Result<Option<usize>> {
    let read = |text: &String| match text.parse() {
        Ok(0) | Err(_) => Err(Error::input("--length", format!("`{text}`"), "a whole number, at least 1")),
        Ok(length) => Ok(length),
    };
    args.drafting.length.as_ref().map(read).transpose()
}

fn foreign(option: &str) -> Error {
    let want = "it belongs to models that write from left to right; the model is a masked one";
    Error::input("option", format!("`--{option}`"), want)
}

fn prompts(args: &Generate) -> Result<Vec<String>> {
    if args.rows == 0 {
        return Err(Error::input("--rows", 0, "at least 1"));
    }
    match (&args.prompt, &args.prompts) {
        (Some(prompt), _) => Ok(vec![prompt.clone()]),
        (_, Some(file)) => {
            let table = work::read(file, &args.reading)?;
            table.paragraphs(&[args.column.as_deref().unwrap_or("prompt")])
        }
        _ => Ok(vec![String::new()]),
    }
}

/// A text, a line for each part between tokens that end texts.
fn written(vocabulary: &Vocabulary, sample: &Sample) -> String {
    let parts = sample.tokens.split(|token| Some(*token) == vocabulary.end());
    let parts: Vec<String> = parts.map(|part| vocabulary.decode(part)).filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn reply(args: &Generate, length: usize, made: Vec<Value>, took: f64) -> Result<Reply> {
    let mean = |name: &str| {
        let values: Vec<f64> = made.iter().filter_map(|line| line[name].as_f64()).collect();
        stats::mean(&values)
    };
    let (calls, entropy) = (mean("calls"), mean("entropy"));
    match &args.out {
        Some(out) => write_atomic(out, |file| {
            made.iter().try_for_each(|line| writeln!(file, "{line}")).map_err(|e| Error::io(out, e))
        })?,
        None if args.run.json => {}
        None if std::io::stdout().is_terminal() => {
            made.iter().for_each(|line| output::print(line["text"].as_str().unwrap_or_default()));
        }
        None => {
            made.iter().for_each(|line| output::print(&line.to_string()));
            check_out(Path::new("-.jsonl"))?;
        }
    }
    let mut text = format!(
        "{} texts of {} tokens in {}: {} calls of the model a text, entropy of a text {} nats\n",
        count(made.len()),
        count(length),
        seconds(took),
        figure(calls),
        figure(entropy)
    );
    text.extend(args.out.iter().map(|out| format!("wrote {}\n", out.display())));
    let mut value = json!({
        "model": args.model,
        "texts": made.len(),
        "tokens": length,
        "calls": calls,
        "entropy": entropy,
        "seconds": took,
        "out": args.out,
    });
    if args.out.is_none() {
        value["rows"] = made.into();
    }
    Ok(Reply::new(text, value))
}
