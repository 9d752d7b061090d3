//! Points drawn uniformly from a space of sentences: how many different right sentences do they decode to, by AriEL, a VAE and an AE?

mod grammar;
mod identities;
mod latent;
mod learnt;
mod points;

use crate::tune::tune;
use crate::{Repetitions, Trial};
use grammar::Grammar;
use latent::{Fitting, Latent};
use learnt::learnt;
use points::{BIAS, FREQUENCIES, PASS, REWARD};
use quadrat_core::{By, Error, Evidence, Relation, Result, Seed, Silent, checkpoint};
use quadrat_language::ariel::{AriEl, Decoded, PointSet, VolumeCoding};
use quadrat_language::{KneserNey, LanguageModel, softmax};
use std::collections::HashSet;

/// The size of the experiment.
struct Plan {
    train: usize,
    test: usize,
    /// Points that are decoded.
    draws: usize,
    /// Of the autoencoders, and of the transformer.
    epochs: [usize; 2],
    most: usize,
    /// Points for frequencies, estimates of a reward, most repetitions.
    points: (usize, usize, usize),
}

/// The longest sentence, with its end.
const LONGEST: usize = 14;
/// Words that an n-gram model sees at once.
const ORDER: usize = 4;

const UNIQUE: &str = "valid and unique";
const VALID: &str = "valid";
const NOVEL: &str = "valid, unique and not in training";
const WORDS: &str = "vocabulary covered";
const BACK: &str = "test sentences that come back";

const ARIEL: &str = "ariel";
const LEARNT: &str = "ariel, transformer";
const ANCESTRAL: &str = "ancestral";
const UNIGRAM: &str = "words alone";
const VAE: &str = "vae";
const VAE_UNIFORM: &str = "vae, uniform in the box of its codes";
const AE: &str = "ae";
const SOBOL: &str = "sobol";
const INDEPENDENT: &str = "independent";

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = trial.at(
        Plan { train: 300, test: 50, draws: 100, epochs: [2, 1], most: 2, points: (256, 20, 2) },
        Plan { train: 1500, test: 200, draws: 1500, epochs: [15, 8], most: 4, points: (4096, 100, 10) },
        Plan { train: 5000, test: 1000, draws: 5000, epochs: [25, 10], most: 6, points: (4096, 200, 20) },
    );
    let mut evidence = plan.evidence();
    let fitted = plan.tune(&mut evidence, trial)?;
    let how = Repetitions { part: "questions", pilot: 2, most: plan.most };
    trial.repeat(&mut evidence, how, |seed| plan.repetition(fitted, seed, trial))?;
    let (frequent, times, most) = plan.points;
    let how = Repetitions { part: "points", pilot: 4, most };
    trial.repeat(&mut evidence, how, |seed| points::repetition(frequent, times, seed))?;
    let questions = Questions::draw(&plan, trial.seed.stream("identities"))?;
    let model = questions.counted(ORDER)?;
    identities::add(&mut evidence, &questions, &model, trial)?;
    Ok(evidence)
}

/// Sentences of the grammar, all different, each with its end.
struct Questions {
    grammar: Grammar,
    train: Vec<Vec<u32>>,
    test: Vec<Vec<u32>>,
    end: u32,
}

impl Questions {
    fn draw(plan: &Plan, seed: Seed) -> Result<Self> {
        let grammar = Grammar::questions()?;
        let (mut rng, end) = (seed.stream("questions").rng(0), grammar.words() as u32);
        let (mut known, mut all) = (HashSet::new(), Vec::new());
        while all.len() < plan.train + plan.test {
            let mut question = grammar.draw(&mut rng);
            question.push(end);
            if question.len() <= LONGEST && known.insert(question.clone()) {
                all.push(question);
            }
        }
        let test = all.split_off(plan.train);
        Ok(Questions { grammar, train: all, test, end })
    }

    /// Words, the end included.
    fn words(&self) -> usize {
        self.grammar.words() + 1
    }

    fn length(&self) -> usize {
        LONGEST
    }

    /// The model that counts the words that follow others.
    fn counted(&self, order: usize) -> Result<KneserNey> {
        Ok(KneserNey::fit(&self.train, self.words(), order, &Silent)?.with_ends(vec![self.end]))
    }

    /// What drawn sentences are worth.
    fn judge(&self, drawn: &[Vec<u32>]) -> Vec<(&'static str, f64)> {
        let is_valid = |sentence: &Vec<u32>| match sentence.split_last() {
            Some((end, words)) => *end == self.end && self.grammar.accepts(words),
            None => false,
        };
        let valid: Vec<&Vec<u32>> = drawn.iter().filter(|sentence| is_valid(sentence)).collect();
        let unique: HashSet<&Vec<u32>> = valid.iter().copied().collect();
        let trained: HashSet<&Vec<u32>> = self.train.iter().collect();
        let words: HashSet<u32> = unique.iter().flat_map(|sentence| sentence.iter().copied()).collect();
        let share = |n: usize| n as f64 / drawn.len() as f64;
        vec![
            (VALID, share(valid.len())),
            (UNIQUE, share(unique.len())),
            (NOVEL, share(unique.difference(&trained).count())),
            (WORDS, words.len() as f64 / self.words() as f64),
        ]
    }
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let mut evidence = Evidence::new(
            "Uniform random points of the latent space decode to a wider variety of correct language with AriEL than with an autoencoder, a \
             variational one and a Transformer; on a toy grammar the variational one comes second. (Values of the tables not verified.)",
            format!(
                "Questions about things in a house by a grammar, {} different ones to learn from and {} to test, of at most {} words. AriEL \
                 codes by {ORDER}-grams of the training questions, in 16 dimensions, and once more by a small transformer. An autoencoder and a variational one have 16 \
                 dimensions too, read and say all words at once, and are trained for {} epochs; the rate of both and the weight of the \
                 divergence are tuned by the figure that decides. {} points each: uniform in the cube for AriEL, in the smallest box \
                 around the training codes for the autoencoder, normal for the variational one. Right is what the grammar's parser takes. \
                 Beside it, sets of points on models of four words: see the figures of `{SOBOL}` and `{INDEPENDENT}`.",
                self.train,
                self.test,
                LONGEST - 1,
                self.epochs[0],
                self.draws
            ),
        );
        let says =
            "more of AriEL's points are right sentences, each counted once, than of the variational autoencoder's";
        evidence.expect(says, UNIQUE, ARIEL, Some(VAE), Relation::Above(0.0)).matters(0.05);
        let says = "and more of those than of the autoencoder's";
        evidence.expect(says, UNIQUE, VAE, Some(AE), Relation::Above(0.0)).matters(0.05);
        let says = "the autoencoder learns: questions that it was not trained on come back";
        evidence.gate(says, BACK, AE, None, Relation::Above(0.1));
        let says = "a model that knows more gives more: more right ones by a transformer than by counts";
        evidence.report(says, UNIQUE, LEARNT, Some(ARIEL), Relation::Above(0.0));
        evidence.report("all test sentences come back", BACK, ARIEL, None, Relation::Above(0.999));
        for (says, metric, rival, relation) in [
            ("AriEL's points are draws from its model: as many right ones", VALID, ANCESTRAL, Relation::Within(0.02)),
            ("and as many different ones", UNIQUE, ANCESTRAL, Relation::Within(0.02)),
            ("more than of words drawn alone", UNIQUE, UNIGRAM, Relation::Above(0.0)),
            (
                "more than of the variational one's points in the box of its codes",
                UNIQUE,
                VAE_UNIFORM,
                Relation::Above(0.0),
            ),
            ("more that are not in training", NOVEL, VAE, Relation::Above(0.0)),
            ("more of the vocabulary", WORDS, VAE, Relation::Above(0.0)),
        ] {
            evidence.report(says, metric, ARIEL, Some(rival), relation);
        }
        for (says, metric) in [
            ("frequencies of sentences by Sobol' points are off by less than half", FREQUENCIES),
            ("the mean reward of 64 Sobol' points has less than half the variance", REWARD),
            ("and so has pass@16", PASS),
        ] {
            evidence.report(says, metric, SOBOL, Some(INDEPENDENT), Relation::Below(0.5)).by(By::Ratio);
        }
        let says = "pass@16 of independent draws is unbiased";
        evidence.report(says, BIAS, INDEPENDENT, None, Relation::Within(0.01));
        evidence.report("and of Sobol' points nearly so", BIAS, SOBOL, None, Relation::Within(0.01));
        evidence.notes = vec![
            "AriEL's variety is that of its language model, which it neither improves nor harms: plain draws from that model are as good. \
             What is compared is what a latent space loses, and AriEL's loses nothing."
                .into(),
            "Not as in the paper: the autoencoders say all words at once, without a recurrent network; AriEL's model counts. A mean over \
             Sobol' points is unbiased, since each is uniform; pass@16 is no mean, and its estimate is unbiased for independent draws only."
                .into(),
        ];
        evidence
    }

    /// The rate of both autoencoders, and the weight of the divergence.
    fn tune(&self, evidence: &mut Evidence, trial: &Trial) -> Result<[Fitting; 2]> {
        let seed = trial.seed.stream("tuning");
        let questions = Questions::draw(self, seed)?;
        let loss = |fitting| -> Result<f64> {
            checkpoint(trial.progress)?;
            let latent = Latent::fit(&questions, fitting, seed)?;
            let codes = match fitting.beta {
                Some(_) => Latent::normal(self.draws, seed.stream("codes")),
                None => latent.uniform(self.draws, seed.stream("codes")),
            };
            let drawn = latent.decode(&codes, questions.end)?;
            Ok(-questions
                .judge(&drawn)
                .iter()
                .find(|(metric, _)| *metric == UNIQUE)
                .map_or(f64::NAN, |(_, share)| *share))
        };
        let plain = Fitting { epochs: self.epochs[0], rate: 0.0, beta: None };
        let rate = tune(evidence, (AE, "rate"), &[1e-3, 3e-3, 1e-2], |rate| loss(Fitting { rate, ..plain }))?;
        let plain = Fitting { rate, ..plain };
        let beta = tune(evidence, (VAE, "weight of the divergence"), &[0.003, 0.01, 0.03], |beta| {
            loss(Fitting { beta: Some(beta), ..plain })
        })?;
        Ok([plain, Fitting { beta: Some(beta), ..plain }])
    }

    fn repetition(
        &self,
        [plain, variational]: [Fitting; 2],
        seed: Seed,
        trial: &Trial,
    ) -> Result<Vec<(&'static str, String, f64)>> {
        let questions = Questions::draw(self, seed)?;
        let (end, codes) = (questions.end, seed.stream("codes"));
        let mut found = Vec::new();
        let mut record = |arm, drawn: &[Vec<u32>]| {
            found.extend(questions.judge(drawn).into_iter().map(|(metric, value)| (arm, metric.to_owned(), value)));
            checkpoint(trial.progress)
        };
        let model = questions.counted(ORDER)?;
        let coder = AriEl::new(&model, VolumeCoding { dims: 16, longest: LONGEST });
        record(ARIEL, &sentences(coder.sample(PointSet::Independent, self.draws, codes, &Silent)?))?;
        let network = learnt(&questions, self.epochs[1], seed.stream("transformer"))?;
        let coder_learnt = AriEl::new(&network, VolumeCoding { dims: 16, longest: LONGEST });
        record(LEARNT, &sentences(coder_learnt.sample(PointSet::Independent, self.draws, codes, &Silent)?))?;
        record(ANCESTRAL, &ancestral(&model, self.draws, seed.stream(ANCESTRAL))?)?;
        record(UNIGRAM, &ancestral(&questions.counted(1)?, self.draws, seed.stream(UNIGRAM))?)?;
        let ae = Latent::fit(&questions, plain, seed.stream("fit"))?;
        record(AE, &ae.decode(&ae.uniform(self.draws, codes), end)?)?;
        let vae = Latent::fit(&questions, variational, seed.stream("fit"))?;
        record(VAE, &vae.decode(&Latent::normal(self.draws, codes), end)?)?;
        record(VAE_UNIFORM, &vae.decode(&vae.uniform(self.draws, codes), end)?)?;
        let mut back = 0;
        for sentence in &questions.test {
            back += usize::from(coder.decode_exact(&coder.encode_exact(sentence)?.bits)?.tokens == *sentence);
        }
        found.push((ARIEL, BACK.to_owned(), back as f64 / questions.test.len() as f64));
        for (arm, latent) in [(AE, &ae), (VAE, &vae)] {
            found.push((arm, BACK.to_owned(), latent.reconstruction(&questions.test, end)?));
        }
        Ok(found)
    }
}

fn sentences(decoded: Vec<Decoded>) -> Vec<Vec<u32>> {
    decoded.into_iter().map(|decoded| decoded.tokens).collect()
}

/// Sentences drawn from a model word by word.
fn ancestral(model: &dyn LanguageModel, n: usize, seed: Seed) -> Result<Vec<Vec<u32>>> {
    let (mut scores, mut p) = (vec![0.0; model.vocabulary()], Vec::new());
    let mut one = |i| {
        let (mut rng, mut state, mut sentence) = (seed.rng(i), model.begin(), Vec::new());
        while sentence.len() < LONGEST && !sentence.last().is_some_and(|word| model.ends().contains(word)) {
            state.scores(&mut scores)?;
            softmax(&scores, &mut p);
            sentence.push(rng.weighted(&p) as u32);
            state.push(&sentence[sentence.len() - 1..])?;
        }
        Ok::<_, Error>(sentence)
    };
    (0..n as u64).map(&mut one).collect()
}
