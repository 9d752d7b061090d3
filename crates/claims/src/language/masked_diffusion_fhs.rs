//! Is the first-hitting sampler the process it stands for, and is it single precision that makes ancestral samples look good? On a model
//! whose answers are exact, so that nothing but the sampler can be wrong.

mod chain;
mod identities;

use crate::figures::point;
use crate::{Figure, Repetitions, Trial};
use chain::{Remembering, of_novels};
use quadrat_core::{Evidence, Plot, Relation, Result, Seed, Series, checkpoint, stats};
use quadrat_language::masked::{
    Ancestral, Confidence, Draw, FirstHitting, GUMBEL_BOUND_F32, MarkovChain, MaskedModel, MaskedSampler, Order, Usual,
    sentence_entropy,
};
use std::time::Instant;

/// The size of the experiment.
struct Plan {
    vocabulary: usize,
    length: usize,
    /// Texts an arm draws in a repetition.
    texts: usize,
    /// Steps of the ancestral sampler in which draws are compared; the last is what the verdict is about.
    steps: &'static [usize],
    most: usize,
}

const EXCESS: &str = "nats a token above the chain's own";
const ENTROPY: &str = "entropy of a text";
const SECONDS: &str = "seconds a text";
const FHS: &str = "first-hitting";
const EXACT: &str = "left to right";
const CONFIDENCE: &str = "confidence order";
/// The draws that are compared.
const DRAWS: [(&str, Draw); 3] = [
    ("f32", Draw::GumbelF32),
    ("f64", Draw::GumbelF64),
    ("f64 cut at f32's bound", Draw::GumbelTruncated { bound: GUMBEL_BOUND_F32 }),
];
const SINGLE: usize = 0;
const DOUBLE: usize = 1;
const CUT: usize = 2;
/// Calls or steps at which samplers are compared.
const CALLS: [usize; 4] = [1, 8, 32, 64];

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = trial.at(
        Plan { vocabulary: 200, length: 16, texts: 2, steps: &[16, 64], most: 2 },
        Plan { vocabulary: 2000, length: 64, texts: 4, steps: &[64, 1024, 4096], most: 10 },
        Plan { vocabulary: 2000, length: 64, texts: 6, steps: &[64, 256, 1024, 4096, 16_384], most: 20 },
    );
    let mut evidence = plan.evidence();
    let chain = of_novels(plan.vocabulary)?;
    let entropy = chain.entropy(plan.length);
    let one = |seed| plan.repetition(&chain, entropy, seed, trial);
    trial.repeat(&mut evidence, Repetitions { part: "chain", pilot: 4, most: plan.most }, one)?;
    identities::add(&mut evidence, trial)?;
    plan.pictures(&mut evidence);
    Ok(evidence)
}

/// An arm that draws in one way, in so many steps.
fn arm(draw: usize, steps: usize) -> String {
    format!("ancestral, {steps} steps, {}", DRAWS[draw].0)
}

fn parallel(order: Order, calls: usize) -> String {
    let name = if order == Order::First { "order 1" } else { "order 2" };
    format!("first-hitting, {calls} calls, {name}")
}

impl Plan {
    fn last(&self) -> usize {
        self.steps.last().copied().unwrap_or(1)
    }

    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let (length, last) = (self.length, self.last());
        let mut evidence = Evidence::new(
            "The first-hitting sampler is the reverse process of masked diffusion and 20 times as fast (1,024 tokens, a vocabulary of \
             50,257). Single-precision categorical draws lower the generative perplexity from 126.11 to 31.24 and the entropy from 5.66 to \
             5.17 nats; double-precision noise cut at the bound of single precision does the same (28.64 and 5.12).",
            format!(
                "A Markov chain of the {} most frequent words of three novels (`austen`) answers as a masked model, exactly: what hidden \
                 words are, given those that are there. {} texts of {length} words an arm and repetition; their surprise under the chain \
                 itself is the judge's perplexity, and what it should be is known. Ancestral arms draw one of all words and the \
                 mask by the Gumbel-max trick, as published.",
                self.vocabulary, self.texts
            ),
        );
        let single = arm(SINGLE, last);
        let says = "in many steps, single-precision draws lower the entropy of texts";
        evidence.expect(says, ENTROPY, &single, Some(&arm(DOUBLE, last)), Relation::Below(0.0)).matters(0.05);
        let says = "the ancestral sampler works: in as many steps, double-precision draws are the chain's";
        evidence.gate(says, EXCESS, &arm(DOUBLE, last), None, Relation::Within(0.15));
        let says = "the first-hitting sampler draws from the chain";
        evidence.report(says, EXCESS, FHS, None, Relation::Within(0.1));
        let says = "they lower the surprise as well, so that it looks better than the chain itself";
        evidence.report(says, EXCESS, &single, None, Relation::Below(0.0));
        let says = "the bound of the noise is the cause: with it, double precision gives the same entropy";
        evidence.report(says, ENTROPY, &arm(CUT, last), Some(&single), Relation::Within(0.05));
        let says = "and double precision without it that of the chain's own texts";
        evidence.report(says, ENTROPY, &arm(DOUBLE, last), Some(EXACT), Relation::Within(0.05));
        let says = "token by token, single precision does no harm";
        evidence.report(says, ENTROPY, "first-hitting, f32", Some(FHS), Relation::Within(0.05));
        let says = "as many steps as places are not enough for the ancestral sampler";
        evidence.report(says, EXCESS, &arm(DOUBLE, self.steps[0]), Some(FHS), Relation::Above(0.0));
        let says = "an eighth of the calls cost first-hitting quality";
        evidence.report(says, EXCESS, &parallel(Order::First, self.calls()[1]), Some(FHS), Relation::Above(0.0));
        let says = "extrapolation wins some of it back";
        let (first, second) = (parallel(Order::First, self.calls()[1]), parallel(Order::Second, self.calls()[1]));
        evidence.report(says, EXCESS, &second, Some(&first), Relation::Below(0.0));
        let says = "the confidence order is a heuristic: texts repeat themselves";
        evidence.report(says, ENTROPY, CONFIDENCE, Some(FHS), Relation::Below(0.0));
        let says = "first-hitting takes less than a tenth of the time of as many steps";
        evidence.report(says, SECONDS, FHS, Some(&arm(DOUBLE, last)), Relation::Below(0.1)).by(quadrat_core::By::Ratio);
        evidence.notes = vec![
            "The sampler's speed depends on what a call costs beside a draw. Here a call is cheap; with a network the draws matter where the \
             vocabulary is large (the paper finds 1.07 times at 256 tokens). With draws in two stages, first whether a place is \
             uncovered and then its token, the ancestral sampler too draws only as often as there are places."
                .into(),
            "The paper's models were trained on OpenWebText and judged by GPT-2 large: its perplexities are not comparable.".into(),
        ];
        evidence
    }

    fn calls(&self) -> [usize; 4] {
        CALLS.map(|calls| calls.min(self.length))
    }

    fn repetition(&self, chain: &MarkovChain, entropy: f64, seed: Seed, trial: &Trial) -> Result<Vec<Figure>> {
        let mut found = Vec::new();
        let own: Vec<Vec<u32>> =
            (0..self.texts as u64).map(|i| chain.draw(self.length, &mut seed.stream("own").rng(i))).collect();
        self.record(&mut found, EXACT, chain, entropy, &own);
        let mut measure = |name: &str, sampler: &dyn MaskedSampler| -> Result<()> {
            checkpoint(trial.progress)?;
            let (start, clock) = (vec![chain.mask(); self.length], Instant::now());
            let draw = |i| {
                let model = Remembering::new(chain);
                Ok(sampler.sample(&model, &start, &mut seed.stream(name).rng(i))?.tokens)
            };
            let texts = (0..self.texts as u64).map(draw).collect::<Result<Vec<_>>>()?;
            let seconds = clock.elapsed().as_secs_f64() / self.texts as f64;
            found.push((name.to_owned(), SECONDS.to_owned(), seconds));
            self.record(&mut found, name, chain, entropy, &texts);
            Ok(())
        };
        measure(FHS, &FirstHitting::default())?;
        measure("first-hitting, f32", &FirstHitting { draw: Draw::GumbelF32, ..FirstHitting::default() })?;
        measure(CONFIDENCE, &Confidence::default())?;
        for calls in &self.calls()[..3] {
            for order in [Order::First, Order::Second] {
                let sampler = FirstHitting { calls: Some(*calls), order, ..FirstHitting::default() };
                measure(&parallel(order, *calls), &sampler)?;
            }
        }
        for &steps in self.steps {
            for (at, (_, draw)) in DRAWS.into_iter().enumerate() {
                measure(&arm(at, steps), &Ancestral { steps, schedule: Usual::Linear, draw })?;
            }
        }
        Ok(found)
    }

    /// Mean surprise of a token above the chain's own, and mean entropy of a text.
    fn record(&self, found: &mut Vec<Figure>, name: &str, chain: &MarkovChain, entropy: f64, texts: &[Vec<u32>]) {
        let mean = |of: &dyn Fn(&Vec<u32>) -> f64| stats::mean(&texts.iter().map(of).collect::<Vec<_>>());
        let excess = mean(&|text| (-chain.log_probability(text) - entropy) / self.length as f64);
        found.push((name.to_owned(), EXCESS.to_owned(), excess));
        found.push((name.to_owned(), ENTROPY.to_owned(), mean(&|text| sentence_entropy(text))));
    }

    fn pictures(&self, evidence: &mut Evidence) {
        let series = |metric: &str, name: &str, at: &[usize], arm: &dyn Fn(usize) -> String| {
            let points = at.iter().map(|x| point(evidence, &arm(*x), metric, *x as f64, 0.0)).collect();
            Series { name: name.to_owned(), points }
        };
        let draws = |metric: &str| {
            let of =
                |at: usize| series(metric, &format!("ancestral, {}", DRAWS[at].0), self.steps, &|steps| arm(at, steps));
            let flat = series(metric, "first-hitting", self.steps, &|_| FHS.to_owned());
            vec![of(SINGLE), of(DOUBLE), of(CUT), flat]
        };
        let picture = |title: &str, y: &str, series| Plot {
            title: title.into(),
            x: "steps".into(),
            y: y.into(),
            log_x: true,
            log_y: false,
            series,
        };
        evidence.plots = vec![
            picture("Entropy of texts", ENTROPY, draws(ENTROPY)),
            picture("Surprise beside the chain's own", EXCESS, draws(EXCESS)),
        ];
    }
}
