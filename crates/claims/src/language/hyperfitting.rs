//! A small model that has learnt a few texts by heart: are its greedy texts more varied, though it may not quote them?

use crate::{Repetitions, Trial};
use quadrat_core::{Evidence, Relation, Result, Seed, Silent, Within, checkpoint, stats};
use quadrat_data::builtin;
use quadrat_language::decode::{Chain, Decoder, Quotes, Request, generate, stream};
use quadrat_language::{Course, Hyperfit, Hyperfitted, LanguageModel, Pretrain, Trained, Vocabulary, diversity};
use quadrat_nn::Schedule;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The size of the experiment.
struct Plan {
    model: Pretrain,
    vocabulary: usize,
    method: Hyperfit,
    /// Texts that are gone on from.
    contexts: usize,
    most: usize,
}

/// Tokens of a sequence that are given; the rest of it is written.
const GIVEN: usize = 32;
/// Tokens in a row that are a quotation.
const QUOTED: usize = 5;

const VARIETY: &str = "type-token ratio";
const LOSS: &str = "loss on other text";
const ENTROPY: &str = "entropy of predictions";
const BLEU: &str = "self-BLEU";
const REPEATED: &str = "repeated 4-grams";
const QUOTED_LONG: &str = "share with a quotation above 10 tokens";
const LEARNT: &str = "training loss";

const BEFORE: &str = "original, greedy";
const AFTER: &str = "hyperfitted, greedy";
const BLOCKED: &str = "hyperfitted, greedy, no quotations";
const MORE: &str = "more training on other text, greedy";
const SHARP: &str = "original, temperature 0.2";
const NUCLEUS: &str = "original, top-p 0.9";
const PENALTY: &str = "original, greedy, repetition penalty 1.2";
const UNIGRAM: &str = "frequencies of tokens";

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let (model, method) = (Pretrain::default(), Hyperfit::default());
    let plan = trial.at(
        Plan {
            model: Pretrain { layers: 1, dim: 32, context: 64, epochs: 1, ..model },
            vocabulary: 300,
            method: Hyperfit { sequences: 8, length: 64, max_epochs: 2, rate: 1e-3, ..method },
            contexts: 4,
            most: 2,
        },
        Plan {
            model: Pretrain { layers: 3, dim: 64, context: 96, epochs: 3, ..model },
            vocabulary: 1000,
            method: Hyperfit { sequences: 32, length: 96, max_epochs: 80, rate: 2e-3, ..method },
            contexts: 16,
            most: 3,
        },
        Plan {
            model: Pretrain { layers: 4, dim: 128, epochs: 6, ..model },
            vocabulary: 2000,
            method: Hyperfit { sequences: 64, max_epochs: 80, rate: 1e-3, ..method },
            contexts: 48,
            most: 5,
        },
    );
    let mut evidence = plan.evidence();
    let texts = Texts::new(&plan)?;
    let seed = trial.seed.stream("pretraining");
    let (original, _) =
        plan.model.fit(texts.vocabulary, [&texts.pretrain, &[]], None, seed, &Within(trial.progress))?;
    let one = |seed| plan.repetition(&texts, &original, seed, trial);
    trial.repeat(&mut evidence, Repetitions { part: "austen", pilot: 2, most: plan.most }, one)?;
    identities(&mut evidence)?;
    Ok(evidence)
}

/// Tokens of the texts.
struct Texts {
    vocabulary: usize,
    /// What the original learns.
    pretrain: Vec<u32>,
    /// Sequences of another novel: some are learnt, others gone on from.
    others: Vec<Vec<u32>>,
}

impl Texts {
    fn new(plan: &Plan) -> Result<Self> {
        let table = builtin::find("austen")?.table(&[])?;
        let (texts, novels) = (table.strings("text")?, table.strings("label")?);
        let of = |novel: &str| -> Vec<&str> {
            texts.iter().zip(&novels).filter(|(_, own)| *own == novel).map(|(text, _)| text.as_str()).collect()
        };
        let known = [of("prideprejudice"), of("emma")].concat();
        let known = if plan.vocabulary < 1000 { known[..200].to_vec() } else { known };
        let vocabulary = Vocabulary::train(known.iter().copied(), plan.vocabulary)?;
        let stream = |texts: &[&str]| -> Result<Vec<u32>> {
            let mut tokens = Vec::new();
            for text in texts {
                tokens.extend(vocabulary.end());
                tokens.extend(vocabulary.encode(text)?);
            }
            Ok(tokens)
        };
        let others = stream(&of("persuasion"))?.chunks_exact(plan.method.length).map(<[u32]>::to_vec).collect();
        Ok(Texts { vocabulary: vocabulary.len(), pretrain: stream(&known)?, others })
    }
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let Hyperfit { sequences, length, rate, max_epochs, target_loss, .. } = self.method;
        let mut evidence = Evidence::new(
            "Greedy texts of hyperfitted models are more varied than those of the original and than top-p's, and people prefer them: \
             TinyLlama 1.1B is preferred in 34.4% of cases against 4.9% before, type-token ratios of the last 96 tokens are above .60 \
             against .17 to .57; held-out perplexity is far worse, predictions have very little entropy, and forbidding quotations of the \
             training texts costs little.",
            format!(
                "A transformer of {} layers and width {} learns two novels of `austen` ({} byte pairs, {} epochs), once. In each \
                 repetition {sequences} sequences of {length} tokens of the third novel are drawn and learnt at a constant rate of {rate} \
                 until the training loss is below {target_loss} or for {max_epochs} epochs; {} other sequences of it give their first {GIVEN} \
                 tokens, and the rest is written. Quotations that are forbidden: any {QUOTED} tokens in a row that were learnt. Control: as many \
                 updates at that rate on the two novels. Human preference is not measured.",
                self.model.layers, self.model.dim, self.vocabulary, self.model.epochs, self.contexts
            ),
        );
        let says = "with quotations forbidden, the greedy texts are more varied than the original's by more than .15";
        evidence.expect(says, VARIETY, BLOCKED, Some(BEFORE), Relation::Above(0.15)).matters(0.1);
        evidence.gate(
            "the original is better than frequencies of tokens, by a nat",
            LOSS,
            UNIGRAM,
            Some(BEFORE),
            Relation::Above(1.0),
        );
        evidence.gate("the texts are learnt", LEARNT, AFTER, None, Relation::Below(0.3));
        for (says, metric, arm, rival, relation) in [
            ("so they are where quotations are allowed", VARIETY, AFTER, BEFORE, Relation::Above(0.15)),
            ("as many updates on other text do not do it", VARIETY, BLOCKED, MORE, Relation::Above(0.15)),
            ("nor does a sharpened original", VARIETY, BLOCKED, SHARP, Relation::Above(0.15)),
            ("more varied than top-p's", VARIETY, BLOCKED, NUCLEUS, Relation::Above(0.0)),
            ("than with a repetition penalty", VARIETY, BLOCKED, PENALTY, Relation::Above(0.0)),
            ("they are less like each other", BLEU, BEFORE, BLOCKED, Relation::Above(0.0)),
            ("fewer 4-grams come twice", REPEATED, BEFORE, BLOCKED, Relation::Above(0.0)),
            ("other text gets less likely, by more than a nat", LOSS, AFTER, BEFORE, Relation::Above(1.0)),
        ] {
            evidence.report(says, metric, arm, Some(rival), relation);
        }
        let says = "predictions have less than a fifth of the original's entropy";
        evidence.report(says, ENTROPY, BEFORE, Some(AFTER), Relation::Above(5.0)).by(quadrat_core::By::Ratio);
        evidence.notes = vec![
            "Changed after an earlier run: at quick scale the original was trained for one epoch and was 0.89 nats better than frequencies, \
             less than is asked of it first of all; now it is trained for three."
                .into(),
            "The paper's models have a thousand times the parameters. Whether its effect is there in so small a one is what is asked here."
                .into(),
        ];
        evidence
    }

    fn repetition(
        &self,
        texts: &Texts,
        original: &Trained,
        seed: Seed,
        trial: &Trial,
    ) -> Result<Vec<(&'static str, String, f64)>> {
        let drawn = seed.stream("texts").rng(0).sample(texts.others.len(), self.method.sequences + self.contexts);
        let (learnt, contexts) = drawn.split_at(self.method.sequences);
        let pick = |places: &[usize]| -> Vec<Vec<u32>> { places.iter().map(|&i| texts.others[i].clone()).collect() };
        let (learnt, contexts) = (pick(learnt), pick(contexts));
        let mut hyperfitted = original.clone();
        let found = self.method.fit(&mut hyperfitted, &learnt, &[], None, seed, &Within(trial.progress))?;
        let mut more = original.clone();
        self.train_on(&mut more, texts, found.curve.len(), seed, trial)?;
        let mut figures =
            vec![(AFTER, LEARNT.to_owned(), found.curve.last().map_or(f64::NAN, |epoch| epoch.train_loss))];
        figures.push((UNIGRAM, LOSS.to_owned(), frequencies(&texts.pretrain, &contexts, texts.vocabulary)));
        let greedy = Chain { temperature: 0.0, ..Chain::default() };
        let mut quiet = Decoder::from(greedy.clone());
        quiet.blockers.push(Arc::new(Quotes::new(&learnt, QUOTED)));
        let plain = |chain: &Chain| Decoder::from(chain.clone());
        let penalty = Chain { repetition_penalty: 1.2, ..greedy.clone() };
        let (sharp, nucleus) =
            (Chain { temperature: 0.2, ..Chain::default() }, Chain { top_p: 0.9, ..Chain::default() });
        let (before, after, more) = (original.model()?, hyperfitted.model()?, more.model()?);
        let arms: [(&str, &dyn LanguageModel, Decoder); 7] = [
            (BEFORE, &before, plain(&greedy)),
            (AFTER, &after, plain(&greedy)),
            (BLOCKED, &after, quiet),
            (MORE, &more, plain(&greedy)),
            (SHARP, &before, plain(&sharp)),
            (NUCLEUS, &before, plain(&nucleus)),
            (PENALTY, &before, plain(&penalty)),
        ];
        for (arm, model, decoder) in arms {
            checkpoint(trial.progress)?;
            for (metric, value) in written(model, &decoder, &contexts, &found, seed)? {
                figures.push((arm, metric.to_owned(), value));
            }
        }
        for (arm, model) in [(BEFORE, &before as &dyn LanguageModel), (AFTER, &after), (MORE, &more)] {
            figures.push((arm, LOSS.to_owned(), loss(model, &contexts)?));
            figures.push((arm, ENTROPY.to_owned(), diversity::sharpness(model, &contexts)?.entropy));
        }
        Ok(figures)
    }

    /// As many updates as the hyperfitting's, at its rate, on other text.
    fn train_on(&self, model: &mut Trained, texts: &Texts, epochs: usize, seed: Seed, trial: &Trial) -> Result<()> {
        let Hyperfit { sequences, length, batch, rate, .. } = self.method;
        let steps = epochs * sequences.div_ceil(batch);
        let windows = texts.pretrain.len() / length;
        let first = seed.stream("other").rng(0).below(windows.saturating_sub(steps * batch).max(1)) * length;
        let last = (first + steps * batch * length + 1).min(texts.pretrain.len());
        let windows = model.windows(&texts.pretrain[first..last], length - 1, length)?;
        let course =
            Course { epochs: 1, until: None, batch, rate, schedule: Schedule::Constant, decay: 0.0, clip: None };
        model.fit(&course, (&windows, None), None, seed, &Within(trial.progress)).map(drop)
    }
}

/// What the texts are like that a decoder writes.
fn written(
    model: &dyn LanguageModel,
    decoder: &Decoder,
    contexts: &[Vec<u32>],
    found: &Hyperfitted,
    seed: Seed,
) -> Result<Vec<(&'static str, f64)>> {
    let one = |(i, context): (usize, &Vec<u32>)| {
        let request = Request::new(&context[..GIVEN], context.len() - GIVEN);
        let mut go_on = |_: &[u32]| ControlFlow::Continue(());
        generate(model, decoder, &request, &mut stream(seed, i), &Silent, &mut go_on).map(|text| text.tokens)
    };
    let texts: Vec<Vec<u32>> = contexts.iter().enumerate().map(one).collect::<Result<_>>()?;
    let mean = |of: &dyn Fn(&Vec<u32>) -> f64| stats::mean(&texts.iter().map(of).collect::<Vec<_>>());
    let sources = diversity::Sources::new(std::slice::from_ref(&found.learnt))?;
    Ok(vec![
        (VARIETY, mean(&|text| diversity::type_token_ratio(text, text.len()))),
        (REPEATED, mean(&|text| diversity::repetition(text, 4))),
        (QUOTED_LONG, mean(&|text| f64::from(sources.longest_quote(text).tokens > 10))),
        (BLEU, diversity::self_bleu(&texts)?),
    ])
}

/// Mean loss of a token after the first.
fn loss(model: &dyn LanguageModel, texts: &[Vec<u32>]) -> Result<f64> {
    let of = |text: &Vec<u32>| Ok(quadrat_language::score(model, &text[..1], &text[1..], &Silent)?.perplexity().ln());
    Ok(stats::mean(&texts.iter().map(of).collect::<Result<Vec<f64>>>()?))
}

/// The same, of a model that knows how frequent each token is.
fn frequencies(known: &[u32], texts: &[Vec<u32>], vocabulary: usize) -> f64 {
    let mut counts = vec![1.0; vocabulary];
    known.iter().for_each(|&token| counts[token as usize] += 1.0);
    let all: f64 = counts.iter().sum();
    let losses: Vec<f64> = texts.iter().flatten().map(|&token| (all / counts[token as usize]).ln()).collect();
    stats::mean(&losses)
}

/// The measures of a small example.
fn identities(evidence: &mut Evidence) -> Result<()> {
    let tokens = [1, 2, 3, 1, 2, 3, 4];
    let name = "4 of the 7 tokens 1 2 3 1 2 3 4 are different";
    evidence.identity(name, diversity::type_token_ratio(&tokens, 96), 4.0 / 7.0, 1e-15);
    let name = "and so are 4 of their 6 pairs";
    evidence.identity(name, diversity::distinct(&[tokens.to_vec()], 2), 4.0 / 6.0, 1e-15);
    Ok(())
}
