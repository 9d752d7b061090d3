//! `quadrat retrieve train`: what was asked and what answers it -> what ranks.
//!
//! One verb for four kinds of training. The method's name tells the kind, and the kind which files are read.

mod composed;
mod encoders;
mod feedback;
mod recommender;
mod sparse;

use super::documents::Fields;
use super::opened::Vectors;
use crate::args::Run;
use crate::output::Reply;
use crate::reading::Reading;
use clap::Args;
use quadrat::numeric::splits;
use quadrat::retrieval::rewrite::LolPrf;
use quadrat::retrieval::{composed as of_composed, recommend};
use quadrat::{Error, Method, Progress, Result, Seed, check_vacant};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct TrainRetriever {
    /// What is asked: lines of an id, a tab and a text, or JSON Lines with `_id` and `text`; for queries with words, an .npy file
    #[arg(long, value_name = "FILE")]
    pub queries: Option<PathBuf>,
    /// Which documents are relevant: TREC's lines, BEIR's table or its folder, or JSON Lines; levels above 0 count
    #[arg(long, value_name = "FILE|FOLDER")]
    pub qrels: Option<PathBuf>,
    /// The documents, one a row; a file as for `select`, or builtin:NAME
    #[arg(long = "in", value_name = "FILE")]
    pub input: Option<String>,
    #[command(flatten)]
    pub fields: Fields,
    /// For lol-prf: the index of vectors whose queries are rewritten
    #[arg(long, value_name = "FOLDER")]
    pub index: Option<PathBuf>,
    #[command(flatten)]
    pub vectors: Vectors,
    #[command(flatten)]
    pub composed: composed::Files,
    #[command(flatten)]
    pub liked: recommender::Liked,
    /// star or adore, with parameters as in star:negatives=in-batch,steps=600 (several are run in the order given, and the last may
    /// be inference-free-sparse, which those before it teach); lol-prf for an index; multi-grained-uncertainty or language-guided-music for queries with words; ssl-item-recommendation, item-knn, ease or
    /// popularity for --interactions
    #[arg(long, value_name = "METHOD", required = true)]
    pub method: Vec<String>,
    /// Values of a vector [default: 64]
    #[arg(long, value_name = "N")]
    pub dims: Option<usize>,
    /// Standard deviation of the scores before training, which decides how hard the losses pull [default: 2]
    #[arg(long, value_name = "NUMBER")]
    pub spread: Option<f64>,
    /// Share of the queries, or of each user's rows, that is held back to measure; 0 trains on all
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    pub validation: f64,
    /// Folder to make
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// Values of a vector where nobody says how many.
const DIMS: usize = 64;

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Encoders of texts.
    Encoders,
    /// A rewriter of queries.
    Feedback,
    /// An encoder of something and words about it.
    Composed,
    /// A recommender.
    Recommender,
}

/// Trains, and writes a folder.
pub fn run(args: &TrainRetriever, progress: &dyn Progress) -> Result<Reply> {
    check_vacant(&args.out)?;
    if !(0.0..1.0).contains(&args.validation) {
        return Err(Error::input("--validation", args.validation, "0 to below 1"));
    }
    if args.dims == Some(0) {
        return Err(Error::input("--dims", 0, "use a whole number, at least 1"));
    }
    let kind = Kind::of(&args.method);
    kind.check(args)?;
    match (kind, &args.method[..]) {
        (Kind::Encoders, _) => encoders::run(args, progress),
        (Kind::Feedback, [method]) => feedback::run(args, method, progress),
        (Kind::Composed, [method]) => composed::run(args, method, progress),
        (Kind::Recommender, [method]) => recommender::run(args, method, progress),
        (_, several) => Err(Error::input("--method", several.join(" and "), "only encoders of texts take several")),
    }
}

impl Kind {
    /// Encoders of texts where no method is of another kind: then its name is looked up there.
    fn of(methods: &[String]) -> Kind {
        let any = |cards: &[&quadrat::Card]| {
            let mut names = methods.iter().map(|text| text.split(':').next().unwrap_or(text));
            names.any(|name| cards.iter().any(|card| card.is_called(name)))
        };
        if any(&[&LolPrf::CARD]) {
            Kind::Feedback
        } else if any(&of_composed::cards()) {
            Kind::Composed
        } else if any(&recommend::cards()) {
            Kind::Recommender
        } else {
            Kind::Encoders
        }
    }

    /// What it is for, as an error says it.
    fn is_for(self) -> &'static str {
        match self {
            Kind::Encoders => "encoders of texts, such as star",
            Kind::Feedback => "lol-prf",
            Kind::Composed => "queries with words, such as multi-grained-uncertainty",
            Kind::Recommender => "recommenders, such as ssl-item-recommendation",
        }
    }

    /// That no option is given that another kind reads.
    fn check(self, args: &TrainRetriever) -> Result<()> {
        use Kind::{Composed, Encoders, Feedback, Recommender};
        let options: [(&str, bool, &[Kind]); 15] = [
            ("--queries", args.queries.is_some(), &[Encoders, Feedback, Composed]),
            ("--qrels", args.qrels.is_some(), &[Encoders, Feedback]),
            ("--in", args.input.is_some(), &[Encoders]),
            ("--id", args.fields.id.is_some(), &[Encoders]),
            ("--text", !args.fields.text.is_empty(), &[Encoders]),
            ("--spread", args.spread.is_some(), &[Encoders]),
            ("--dims", args.dims.is_some(), &[Encoders, Composed]),
            ("--index", args.index.is_some(), &[Feedback]),
            ("--encoder", args.vectors.encoder.is_some(), &[Feedback]),
            ("--vectors", args.vectors.vectors.is_some(), &[Feedback]),
            ("--words", args.composed.words.is_some(), &[Composed]),
            ("--targets", args.composed.targets.is_some(), &[Composed]),
            ("--tags", args.composed.tagged.tags.is_some(), &[Composed]),
            ("--examples", args.composed.tagged.examples.is_some(), &[Composed]),
            ("--interactions", args.liked.interactions.is_some(), &[Recommender]),
        ];
        match options.iter().find(|(_, given, kinds)| *given && !kinds.contains(&self)) {
            Some((option, _, kinds)) => {
                let kinds: Vec<&str> = kinds.iter().map(|kind| kind.is_for()).collect();
                let want = format!("it is for {}; {} has none", kinds.join("; "), args.method.join(" and "));
                Err(Error::input("option", format!("`{option}`"), want))
            }
            None => Ok(()),
        }
    }
}

/// What an option must name.
fn required<'a, T: ?Sized>(option: &str, given: Option<&'a T>, what: &str) -> Result<&'a T> {
    given.ok_or_else(|| Error::input(option, "nothing", format!("name {what}")))
}

/// Rows to learn from, and those that are held back.
fn held_back(share: f64, rows: usize, seed: Seed) -> Result<(Vec<usize>, Vec<usize>)> {
    if share == 0.0 {
        return Ok(((0..rows).collect(), Vec::new()));
    }
    let split = splits::drawn(rows, share, seed.stream("validation"))?;
    Ok((split.train, split.test))
}
