//! Drafts that are many: how many tokens does a call of the target give with K-SEQ, beside one draft, other rules and the best possible?

mod identities;
mod words;

use crate::figures::point;
use crate::{Figure, Repetitions, Trial};
use identities::identities;
use quadrat_core::{By, Evidence, Plot, Relation, Result, Seed, Series, Silent, checkpoint, stats};
use quadrat_language::LanguageModel;
use quadrat_language::decode::{Chain, Decoder, Request, stream};
use quadrat_language::speculate::{Plan as Grid, Rule, Speculator, plan, recent};
use std::ops::ControlFlow;
use words::Words;

/// The size of the experiment.
struct Plan {
    /// Paragraphs of each novel that teach.
    paragraphs: usize,
    /// Held-out prompts of a repetition, and tokens after each.
    prompts: usize,
    tokens: usize,
    most: usize,
}

/// Words of a prompt.
const PROMPT: usize = 16;
/// Tokens of a draft, as in the paper.
const LENGTH: usize = 8;
/// Drafts: of the decisive arm, and all.
const MANY: usize = 8;
const DRAFTS: [usize; 5] = [1, 2, 4, MANY, 16];
const ONE: &str = "one draft";
const RECURSIVE: &str = "recursive rejection, 8 drafts";
const DIFFERENT: &str = "without replacement, 8 drafts";
const PLAIN: &str = "no draft";
const PLANNED: &str = "planned, 8 drafts";

const CALL: &str = "tokens a call";
const COOL: &str = "tokens a call/temperature 0.7";
const CACHE: &str = "tokens a call/drafts from the words so far";
const ACCEPTED: &str = "acceptance at a position/8 drafts";
const BITS: &str = "bits a held-out word";
const TARGET: &str = "target";
const DRAFT: &str = "draft";
const BEST: &str = "best possible";

/// Prompts, and what was drawn after them.
type Texts = Vec<(Vec<u32>, Vec<u32>)>;

fn k_seq(drafts: usize) -> String {
    if drafts == 1 { ONE.to_owned() } else { format!("k-seq, {drafts} drafts") }
}

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = trial.at(
        Plan { paragraphs: 100, prompts: 1, tokens: 16, most: 2 },
        Plan { paragraphs: usize::MAX, prompts: 4, tokens: 64, most: 20 },
        Plan { paragraphs: usize::MAX, prompts: 10, tokens: 128, most: 40 },
    );
    let mut evidence = plan.evidence();
    let words = Words::new(plan.paragraphs, trial.progress)?;
    let one = |seed| plan.repetition(&words, seed, trial);
    trial.repeat(&mut evidence, Repetitions { part: "prompts", pilot: 4, most: plan.most }, one)?;
    evidence.plots = vec![plot(&evidence)];
    identities(&mut evidence, trial)?;
    Ok(evidence)
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let mut evidence = Evidence::new(
            "With PaLM-2 Bison drafted for by Gecko on LM1B, K = L = 8, SpecTr decodes 2.13 times as fast as plain sampling and 1.37 times \
             as fast as one draft, and gives 4.0 tokens a call; the law of what is drawn stays as it was.",
            format!(
                "Target: a Kneser-Ney 5-gram over the words of two novels of `austen`; drafts: its bigram, or the words of the text so far. \
                 A repetition goes on from {} prompts of {PROMPT} words of the third novel for {} words each, drafts of {LENGTH} words, \
                 temperature 1. Counted are tokens to a call of the target (block efficiency); one draft is the maximal coupling, which \
                 K-SEQ is for K = 1.",
                self.prompts, self.tokens
            ),
        );
        let many = k_seq(MANY);
        let says = "K-SEQ with 8 drafts gives more tokens a call than one draft";
        evidence.expect(says, CALL, &many, Some(ONE), Relation::Above(1.0)).by(By::Ratio).matters(1.05);
        let says = "the target knows held-out words better than the draft does";
        evidence.gate(says, BITS, TARGET, Some(DRAFT), Relation::Below(0.0));
        evidence.gate("one draft gives more than a token a call", CALL, ONE, Some(PLAIN), Relation::Above(0.0));
        for (says, metric, arm, rival, relation) in [
            ("and so it is at temperature 0.7", COOL, &many[..], ONE, Relation::Above(1.0)),
            ("and where the text so far drafts", CACHE, &many, ONE, Relation::Above(1.0)),
            ("8 drafts gain 20% or more on one", CALL, &many, ONE, Relation::Above(1.2)),
            ("16 drafts give more than 8", CALL, &k_seq(16), &many, Relation::Above(1.0)),
            ("K-SEQ accepts within 15% of what the best rule would", ACCEPTED, &many, BEST, Relation::Above(0.85)),
            ("K-SEQ gives more than recursive rejection", CALL, &many, RECURSIVE, Relation::Above(1.0)),
            ("what the calculator plans is what is given, within 5%", CALL, PLANNED, &many, Relation::Within(1.05)),
        ] {
            evidence.report(says, metric, arm, Some(rival), relation).by(By::Ratio);
        }
        evidence.notes = vec![
            "No wall time: an n-gram model's call costs about as much a node as a draft's, so that nothing is won by fewer calls of it. What \
             a call is worth depends on the target; tokens a call do not."
                .into(),
            "The paper's models are transformers on a cluster. Only the two laws matter to the rules; how near they are is what differs, and \
             the gains with it."
                .into(),
        ];
        evidence
    }

    fn repetition(&self, words: &Words, seed: Seed, trial: &Trial) -> Result<Vec<Figure>> {
        let prompts = words.prompts(self.prompts, PROMPT, seed.stream("prompts"));
        let mut found = Vec::new();
        let mut tell = |arm: &str, metric: &str, value: f64| found.push((arm.to_owned(), metric.to_owned(), value));
        for (arm, model) in [(TARGET, &words.target), (DRAFT, &words.bigram)] {
            tell(arm, BITS, words.bits(model, seed.stream("held out"))?);
        }
        let (warm, cool) = (Decoder::default(), Decoder::from(Chain { temperature: 0.7, ..Chain::default() }));
        let bigram = &words.bigram as &dyn LanguageModel;
        let texts = |draft, decoder, rule, drafts| {
            checkpoint(trial.progress)?;
            self.texts(words, draft, decoder, (rule, drafts), &prompts, seed)
        };
        tell(PLAIN, CALL, 1.0);
        for drafts in DRAFTS {
            tell(&k_seq(drafts), CALL, texts(bigram, &warm, Rule::KSeq, drafts)?.0);
        }
        tell(RECURSIVE, CALL, texts(bigram, &warm, Rule::Recursive, MANY)?.0);
        tell(DIFFERENT, CALL, texts(bigram, &warm, Rule::WithoutReplacement, MANY)?.0);
        let cache = recent(words.target.vocabulary(), 2);
        for drafts in [1, MANY] {
            tell(&k_seq(drafts), COOL, texts(bigram, &cool, Rule::KSeq, drafts)?.0);
            tell(&k_seq(drafts), CACHE, texts(&cache, &warm, Rule::KSeq, drafts)?.0);
        }
        let (_, drawn) = texts(bigram, &warm, Rule::KSeq, 2)?;
        let grid = Grid { rules: vec![Rule::KSeq], drafts: vec![MANY], lengths: vec![LENGTH] };
        for row in plan(&words.target, bigram, &warm, &drawn, &grid, &Silent)? {
            tell(PLANNED, CALL, row.tokens_a_call);
            tell(&k_seq(MANY), ACCEPTED, row.acceptance);
            tell(BEST, ACCEPTED, row.best);
        }
        Ok(found)
    }

    /// Tokens a call over all prompts, and the texts.
    fn texts(
        &self,
        words: &Words,
        draft: &dyn LanguageModel,
        decoder: &Decoder,
        (rule, drafts): (Rule, usize),
        prompts: &[Vec<u32>],
        seed: Seed,
    ) -> Result<(f64, Texts)> {
        let selector = rule.selector();
        let speculator = Speculator { target: &words.target, draft, decoder, selector, drafts, length: LENGTH };
        let (mut calls, mut texts) = (0, Vec::new());
        // Every arm draws its own texts: all have one law, and equal seeds would not give equal texts.
        let seed = seed.stream(&format!("{rule:?} {drafts} {}", decoder.chain.temperature));
        for (i, prompt) in prompts.iter().enumerate() {
            let request = Request::new(prompt, self.tokens);
            let drawn =
                speculator.generate(&request, &mut stream(seed, i), &Silent, &mut |_| ControlFlow::Continue(()))?;
            calls += drawn.calls;
            texts.push((request.prompt, drawn.text.tokens));
        }
        Ok(((self.tokens * prompts.len()) as f64 / calls as f64, texts))
    }
}

fn plot(evidence: &Evidence) -> Plot {
    let points = DRAFTS.map(|drafts| point(evidence, &k_seq(drafts), CALL, drafts as f64, 0.0));
    let mean =
        |arm: &str| stats::mean(&evidence.values(arm, CALL).into_iter().map(|(_, value)| value).collect::<Vec<f64>>());
    let recursive = [MANY as f64, mean(RECURSIVE), mean(RECURSIVE), mean(RECURSIVE)];
    Plot {
        title: "Tokens a call by the number of drafts".into(),
        x: "drafts (K)".into(),
        y: "tokens a call of the target".into(),
        log_x: true,
        log_y: false,
        series: vec![
            Series { name: "k-seq".into(), points: points.to_vec() },
            Series { name: "recursive rejection".into(), points: vec![recursive] },
        ],
    }
}
