//! `quadrat language train`: texts -> a model of them.

use super::texts::Texts;
use crate::args::Run;
use crate::output::{Reply, count, figure, seconds, table, write_json};
use crate::parameters::Declared;
use clap::{Args, ValueEnum};
use quadrat::language::masked::MaskedTransformer;
use quadrat::language::{Pretrain, Trained, Vocabulary};
use quadrat::nn::Epoch;
use quadrat::{Error, Progress, Result, Seed, check_vacant, write_atomic_folder};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct TrainModel {
    #[command(flatten)]
    pub texts: Texts,
    /// What is trained
    #[arg(long, value_enum)]
    pub model: Kind,
    /// Its tokens: how many byte pairs are learnt from the text, or the folder of a model whose vocabulary is taken
    #[arg(long, value_name = "N|FOLDER", default_value = "2000")]
    pub vocabulary: String,
    #[command(flatten)]
    pub sizes: Declared<Pretrain>,
    /// Share of the tokens, the last ones, that is held back to measure
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    pub held_back: f64,
    /// Keep the state after each epoch in this file, and go on from it if it is there; removed at the end
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Folder to make
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
}

/// The models that are made of texts.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A transformer of Llama's form; its folder is a checkpoint that other programs read
    Transformer,
    /// One of the same form that fills gaps, from which whole texts are drawn in any order
    Masked,
}

/// What was trained.
enum Made {
    Transformer(Trained),
    Masked(MaskedTransformer),
}

impl Made {
    fn size(&self) -> usize {
        match self {
            Made::Transformer(model) => model.parameters.iter().map(|p| p.values().len()).sum(),
            Made::Masked(model) => model.size(),
        }
    }

    fn save(&self, folder: &Path, vocabulary: &Vocabulary) -> Result<()> {
        match self {
            Made::Transformer(model) => model.save(folder, vocabulary.end()),
            Made::Masked(model) => model.save(folder),
        }
    }
}

/// Learns a vocabulary where none is given, trains, writes the folder, says how good it is.
pub fn run(args: &TrainModel, progress: &dyn Progress) -> Result<Reply> {
    check_vacant(&args.out)?;
    if !(0.0..1.0).contains(&args.held_back) {
        return Err(Error::input("--held-back", args.held_back, "a share from 0 to below 1"));
    }
    let settings = args.sizes.settings()?;
    let texts = args.texts.read()?;
    let started = Instant::now();
    let vocabulary = vocabulary(&args.vocabulary, &texts, progress)?;
    let tokens = stream(&vocabulary, &texts)?;
    let kept = tokens.len() - (tokens.len() as f64 * args.held_back).floor() as usize;
    let (train, held_back) = tokens.split_at(kept);
    let (seed, checkpoint) = (Seed(args.run.seed), args.checkpoint.as_deref());
    let (model, curve) = match args.model {
        Kind::Transformer => {
            let (model, curve) = settings.fit(vocabulary.len(), [train, held_back], checkpoint, seed, progress)?;
            (Made::Transformer(model), curve)
        }
        Kind::Masked if checkpoint.is_some() => {
            return Err(Error::input("option", "`--checkpoint`", "it belongs to --model transformer"));
        }
        Kind::Masked => {
            let (model, curve) =
                MaskedTransformer::fit(&settings, vocabulary.len(), [train, held_back], seed, progress)?;
            (Made::Masked(model), curve)
        }
    };
    let (kind, parameters) = (args.model.to_possible_value().map(|kind| kind.get_name().to_owned()), model.size());
    let about = json!({
        "kind": kind,
        "text": args.texts.file,
        "texts": texts.len(),
        "tokens": tokens.len(),
        "tokens_held_back": held_back.len(),
        "vocabulary": vocabulary.len(),
        "parameters": parameters,
        "seed": args.run.seed,
        "curve": curve,
        "seconds": started.elapsed().as_secs_f64(),
        "out": args.out,
    });
    write_atomic_folder(&args.out, |folder| {
        model.save(folder, &vocabulary)?;
        vocabulary.save(folder)?;
        write_json(&folder.join("quadrat.json"), &about)
    })?;
    if let Some(path) = checkpoint.filter(|path| path.exists()) {
        std::fs::remove_file(path).map_err(|e| Error::io(path, e))?;
    }
    let mut text = format!(
        "a {}transformer of {} parameters from {} tokens of {}, {} texts; {} tokens held back; in {}\n",
        if args.model == Kind::Masked { "masked " } else { "" },
        count(parameters),
        count(train.len()),
        args.texts.file,
        count(texts.len()),
        count(held_back.len()),
        seconds(started.elapsed().as_secs_f64())
    );
    text.push_str(&told(&curve));
    text.push_str(&format!("wrote {}\n", args.out.display()));
    Ok(Reply::new(text, about))
}

/// The epochs as a table: perplexity of a token.
pub fn told(curve: &[Epoch]) -> String {
    let head = ["epoch", "loss a token", "held back", "perplexity held back"].map(str::to_owned).to_vec();
    let row = |epoch: &Epoch| {
        let held_back = epoch.validation_loss;
        let shown = |value: Option<f64>| value.map_or("-".to_owned(), figure);
        vec![epoch.epoch.to_string(), figure(epoch.train_loss), shown(held_back), shown(held_back.map(f64::exp))]
    };
    table(&std::iter::once(head).chain(curve.iter().map(row)).collect::<Vec<_>>(), &[0, 1, 2, 3])
}

/// A vocabulary of so many tokens learnt from texts, or another model's.
fn vocabulary(said: &str, texts: &[String], progress: &dyn Progress) -> Result<Vocabulary> {
    match said.parse::<usize>() {
        Ok(size) => {
            progress.begin("learning a vocabulary", None);
            Vocabulary::train(texts.iter().map(String::as_str), size)
        }
        Err(_) => Vocabulary::from_folder(Path::new(said)),
    }
}

/// Texts as one stream, each after the token that ends texts, and that token at the end.
pub fn stream(vocabulary: &Vocabulary, texts: &[String]) -> Result<Vec<u32>> {
    let end = vocabulary.end();
    let mut tokens = Vec::new();
    for text in texts {
        tokens.extend(end);
        tokens.extend(vocabulary.encode(text)?);
    }
    tokens.extend(end);
    Ok(tokens)
}
