//! `quadrat language hyperfit`: a model and a few texts -> a model whose greedy text does not loop.

use super::texts::Texts;
use super::train::told;
use crate::args::Run;
use crate::output::{Reply, check_place, count, figure, seconds, write_json};
use crate::parameters::Declared;
use crate::report::{Block, Page};
use clap::Args;
use quadrat::language::decode::{Chain, Decoder, Request, generate, stream};
use quadrat::language::{Hyperfit, LanguageModel, Trained, Vocabulary, diversity};
use quadrat::{Error, Method, Progress, Result, Seed, Within, check_vacant, checkpoint, stats, write_atomic_folder};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct HyperfitModel {
    /// The model to train on: a folder that `language train` made, or another checkpoint of Llama's form
    #[arg(long, value_name = "FOLDER")]
    pub model: PathBuf,
    #[command(flatten)]
    pub texts: Texts,
    #[command(flatten)]
    pub settings: Declared<Hyperfit>,
    /// Share of the texts, the last ones, whose beginnings are gone on from to measure
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    pub held_back: f64,
    /// Folder to make
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// Write a self-contained HTML page about the run
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// Texts whose greedy continuations are measured, at most.
const MEASURED: usize = 32;
/// Share of a held-back sequence that is given; the rest is written.
const GIVEN: usize = 4;

/// Trains, writes the folder, and says what became of greedy continuations.
pub fn run(args: &HyperfitModel, progress: &dyn Progress) -> Result<Reply> {
    check_vacant(&args.out)?;
    args.report.iter().try_for_each(|report| check_place(report))?;
    if !(0.0..1.0).contains(&args.held_back) {
        return Err(Error::input("--held-back", args.held_back, "a share from 0 to below 1"));
    }
    let settings = args.settings.settings()?;
    let mut model = Trained::load(&args.model)?;
    let vocabulary = Vocabulary::from_folder(&args.model)?;
    let texts = args.texts.read()?;
    let texts: Vec<Vec<u32>> = texts.iter().map(|text| vocabulary.encode(text)).collect::<Result<_>>()?;
    let (texts, held_back) = split(texts, args.held_back, settings.length);
    let started = Instant::now();
    let original = model.model()?;
    let found = settings.fit(&mut model, &texts, &held_back.concat(), None, Seed(args.run.seed), progress)?;
    write_atomic_folder(&args.out, |folder| {
        model.save(folder, vocabulary.end())?;
        vocabulary.save(folder)?;
        write_json(
            &folder.join("quadrat.json"),
            &json!({ "kind": "hyperfitted", "from": args.model, "curve": found.curve }),
        )
    })?;
    let sources = diversity::Sources::new(std::slice::from_ref(&found.learnt))?;
    let measured = held_back.len().min(MEASURED);
    let contexts = &held_back[..measured];
    let before = Figures::of(&original, contexts, &sources, progress)?;
    let after = Figures::of(&model.model()?, contexts, &sources, progress)?;
    let last = found.curve.last().map_or(f64::NAN, |epoch| epoch.train_loss);
    let mut text = format!(
        "{} sequences of {} tokens in {} epochs, {}: loss {}\n",
        count(settings.sequences),
        settings.length,
        found.curve.len(),
        seconds(started.elapsed().as_secs_f64()),
        figure(last)
    );
    if !found.reached {
        let (loss, epochs) = (figure(last), found.curve.len());
        text.push_str(&format!(
            "not hyperfitted: train loss {loss} after {epochs} epochs; more epochs or a higher rate may do it\n"
        ));
    }
    text.push_str(&told(&found.curve[found.curve.len().saturating_sub(3)..]));
    let rows = Figures::rows(&before, &after);
    text.push_str(&crate::output::table(&rows, &[1, 2]));
    text.push_str(&format!("wrote {}\n", args.out.display()));
    if let Some(report) = &args.report {
        let lead = "Greedy continuations of texts held back, by the model as it was and as it is now.";
        let mut page = Page::new(format!("Hyperfitting {}", args.model.display()), lead);
        page.section("Continuations", [Block::Table { rows, right: vec![1, 2] }]);
        let shown = before.texts.iter().zip(&after.texts).take(5);
        let pairs = shown.map(|(before, after)| [before, after].map(|text| vocabulary.decode(text)).to_vec());
        let head = vec!["before".to_owned(), "after".to_owned()];
        page.section("Examples", [Block::Table { rows: std::iter::once(head).chain(pairs).collect(), right: vec![] }]);
        page.finish(report, Some(&Hyperfit::CARD))?;
        text.push_str(&format!("wrote {}\n", report.display()));
    }
    let value = json!({
        "model": args.model,
        "reached": found.reached,
        "curve": found.curve,
        "before": before.json(),
        "after": after.json(),
        "contexts": measured,
        "seconds": started.elapsed().as_secs_f64(),
        "out": args.out,
        "report": args.report,
    });
    Ok(Reply::new(text, value))
}

/// The last texts are held back, as sequences of one length; of a single text its end.
fn split(texts: Vec<Vec<u32>>, share: f64, length: usize) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
    let all: Vec<Vec<u32>> = texts.iter().flat_map(|text| text.chunks_exact(length)).map(<[u32]>::to_vec).collect();
    let kept = all.len() - (all.len() as f64 * share).floor() as usize;
    let held_back = all[kept..].to_vec();
    (all[..kept].to_vec(), held_back)
}

/// How varied greedy continuations are.
struct Figures {
    texts: Vec<Vec<u32>>,
    named: Vec<(&'static str, f64)>,
}

impl Figures {
    /// Texts go on behind the token that ends one: of texts of different lengths the shorter ones look more varied.
    fn of(
        model: &dyn LanguageModel,
        sequences: &[Vec<u32>],
        sources: &diversity::Sources,
        progress: &dyn Progress,
    ) -> Result<Self> {
        progress.begin("measuring", Some(sequences.len() as u64));
        let decoder = Decoder::from(Chain { temperature: 0.0, ..Chain::default() });
        let one = |(i, sequence): (usize, &Vec<u32>)| {
            checkpoint(progress)?;
            let given = sequence.len() / GIVEN;
            let request = Request::new(&sequence[..given.max(1)], sequence.len() - given.max(1));
            let mut go_on = |_: &[u32]| ControlFlow::Continue(());
            let text = generate(model, &decoder, &request, &mut stream(Seed(0), i), &Within(progress), &mut go_on)?;
            progress.advance(1);
            Ok(text.tokens)
        };
        let texts: Vec<Vec<u32>> = sequences.par_iter().enumerate().map(one).collect::<Result<_>>()?;
        let mean = |of: &dyn Fn(&Vec<u32>) -> f64| stats::mean(&texts.iter().map(of).collect::<Vec<_>>());
        let mut named = vec![
            ("type-token ratio", mean(&|text| diversity::type_token_ratio(text, text.len()))),
            ("repeated 4-grams", mean(&|text| diversity::repetition(text, 4))),
            ("longest quotation, tokens", mean(&|text| sources.longest_quote(text).tokens as f64)),
        ];
        if texts.len() > 1 {
            named.push(("self-BLEU", diversity::self_bleu(&texts)?));
        }
        if !sequences.is_empty() {
            let sharpness = diversity::sharpness(model, sequences)?;
            named.push(("entropy of predictions, nats", sharpness.entropy));
        }
        Ok(Figures { texts, named })
    }

    fn rows(before: &Figures, after: &Figures) -> Vec<Vec<String>> {
        let head = ["greedy continuations", "before", "after"].map(str::to_owned).to_vec();
        let pairs = before.named.iter().zip(&after.named);
        let row = |((name, before), (_, after)): (&(&str, f64), &(&str, f64))| {
            vec![(*name).to_owned(), figure(*before), figure(*after)]
        };
        std::iter::once(head).chain(pairs.map(row)).collect()
    }

    fn json(&self) -> Value {
        self.named.iter().map(|(name, value)| (name.replace([' ', '-'], "_").replace(',', ""), json!(value))).collect()
    }
}
