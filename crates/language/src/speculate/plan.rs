//! What drafts would be worth, before they are tried.
//!
//! Texts that were drawn from the target are gone through once, and at each position both laws are looked at. Given the token that
//! came, how many of k drafts would have had it follows from the rule alone: rejected drafts are that token with one probability,
//! those after the accepted one with another, independently. So for every K and L at once the number of drafts that are still alive
//! is a Markov chain along the text, and the expected number of calls is the sum of the probabilities that a call begins at each
//! position. Nothing is drawn: for these texts the figures are exact. The paper has no such calculator.

use super::laws::{check, common};
use super::recursive::subtract;
use super::{Rule, k_seq_rho, optimal_acceptance};
use crate::decode::{Decoder, Law};
use crate::{BoxedState, LanguageModel};
use quadrat_core::{Error, Progress, Result, checkpoint};
use serde::Serialize;

/// Which drafts to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Rules whose drafts are independent: k-seq, maximal-coupling, recursive.
    pub rules: Vec<Rule>,
    /// Numbers of drafts (K).
    pub drafts: Vec<usize>,
    /// Lengths of drafts (L).
    pub lengths: Vec<usize>,
}

impl Default for Plan {
    fn default() -> Self {
        Plan { rules: vec![Rule::KSeq, Rule::Recursive], drafts: vec![1, 2, 4, 8], lengths: vec![2, 4, 8] }
    }
}

/// What K drafts of L tokens are worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Planned {
    /// The rule.
    #[serde(serialize_with = "by_name")]
    pub rule: Rule,
    /// Drafts (K).
    pub drafts: usize,
    /// Tokens of a draft (L).
    pub length: usize,
    /// Expected tokens to a call of the target: the block efficiency.
    pub tokens_a_call: f64,
    /// The probability that one of K drafts is accepted, mean over all positions.
    pub acceptance: f64,
    /// The largest that any rule can reach, mean over all positions.
    pub best: f64,
}

fn by_name<S: serde::Serializer>(rule: &Rule, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(quadrat_core::Choice::name(*rule))
}

/// Goes through `texts`, pairs of a prompt and what the target drew after it with the same settings.
///
/// # Errors
/// Models of different vocabularies; no text; a rule whose drafts are not independent; numbers of drafts or lengths of 0; what the
/// models say; cancelling.
pub fn plan(
    target: &dyn LanguageModel,
    draft: &dyn LanguageModel,
    decoder: &Decoder,
    texts: &[(Vec<u32>, Vec<u32>)],
    plan: &Plan,
    progress: &dyn Progress,
) -> Result<Vec<Planned>> {
    plan.check()?;
    let most = plan.drafts.iter().copied().max().unwrap_or(1);
    let mut rows = plan.rows();
    let positions: usize = texts.iter().map(|(_, text)| text.len()).sum();
    if positions == 0 {
        return Err(Error::input("texts", "no token", "at least one that the target drew"));
    }
    progress.begin("positions", Some(positions as u64));
    let mut calls = vec![0.0; rows.len()];
    for (prompt, text) in texts {
        let mut models = [Side::new(target, prompt)?, Side::new(draft, prompt)?];
        let mut chains: Vec<Alive> = rows.iter().map(|row| Alive::new(row.drafts, row.length)).collect();
        for (at, &token) in text.iter().enumerate() {
            checkpoint(progress)?;
            let history = [prompt, &text[..at]].concat();
            let [q, p] = models.each_mut().map(|side| side.law(decoder, &history));
            let (q, p) = (q?, p?);
            let sight = Sight::of(p.as_deref(), &q.unwrap_or_default(), token, &plan.rules, most)?;
            for ((row, chain), calls) in rows.iter_mut().zip(&mut chains).zip(&mut calls) {
                *calls += chain.begins();
                let (acceptance, best) = sight.acceptance(row.rule, row.drafts);
                row.acceptance += acceptance / positions as f64;
                row.best += best / positions as f64;
                chain.step(|k| sight.alive(row.rule, k));
            }
            // Nothing comes after the last one, for which there may be no room.
            if at + 1 < text.len() {
                models.iter_mut().try_for_each(|side| side.state.push(&[token]))?;
            }
            progress.advance(1);
        }
    }
    rows.iter_mut().zip(calls).for_each(|(row, calls)| row.tokens_a_call = positions as f64 / calls);
    Ok(rows)
}

impl Plan {
    fn check(&self) -> Result<()> {
        if let Some(rule) =
            self.rules.iter().find(|rule| !matches!(rule, Rule::KSeq | Rule::MaximalCoupling | Rule::Recursive))
        {
            let want = "k-seq, maximal-coupling or recursive: of these the acceptance is known without drawing";
            return Err(Error::input("rule", quadrat_core::Choice::name(*rule), want));
        }
        match self.drafts.iter().chain(&self.lengths).find(|number| **number == 0) {
            Some(zero) => Err(Error::input("drafts or length", zero, "at least 1")),
            None => Ok(()),
        }
    }

    fn rows(&self) -> Vec<Planned> {
        let mut rows = Vec::new();
        for &rule in &self.rules {
            for &drafts in self.drafts.iter().filter(|&&drafts| drafts <= rule.selector().most()) {
                let row = |&length| Planned { rule, drafts, length, tokens_a_call: 0.0, acceptance: 0.0, best: 0.0 };
                rows.extend(self.lengths.iter().map(row));
            }
        }
        rows
    }
}

/// A model on its way through a text.
struct Side<'m> {
    state: BoxedState<'m>,
    scores: Vec<f32>,
    law: Law,
}

impl<'m> Side<'m> {
    fn new(model: &'m dyn LanguageModel, prompt: &[u32]) -> Result<Self> {
        let mut state = model.begin();
        state.push(prompt)?;
        Ok(Side { state, scores: vec![0.0; model.vocabulary()], law: Law::default() })
    }

    /// The law of the next token; none where the model has nothing to say.
    fn law(&mut self, decoder: &Decoder, history: &[u32]) -> Result<Option<Vec<f64>>> {
        self.state.scores(&mut self.scores)?;
        if self.scores.iter().all(|&score| score == f32::NEG_INFINITY) {
            return Ok(None);
        }
        decoder.law(history, &self.scores, &mut self.law)?;
        let mut law = Vec::new();
        self.law.fill(self.scores.len(), &mut law);
        Ok(Some(law))
    }
}

/// What a position looks like to the rules: of the token that came its probabilities, and how willingly each of the drafts before it
/// is accepted, the token itself and any.
struct Sight {
    p: f64,
    q: f64,
    /// For each rule and k: willingness towards the token, and acceptance of any, of drafts 1 to k. Empty where nothing is drafted.
    rules: Vec<(Rule, Vec<Vec<Step>>)>,
    best: Vec<f64>,
}

#[derive(Clone, Copy)]
struct Step {
    token: f64,
    any: f64,
}

impl Sight {
    fn of(p: Option<&[f64]>, q: &[f64], token: u32, rules: &[Rule], most: usize) -> Result<Sight> {
        let y = token as usize;
        let Some(p) = p else { return Ok(Sight { p: 0.0, q: 1.0, rules: Vec::new(), best: Vec::new() }) };
        check(p, q, &[])?;
        if q[y] == 0.0 {
            let want = "a token that the target can draw with these settings";
            return Err(Error::input("text", format!("token {token}"), want));
        }
        let willing = |of: f64| if p[y] > 0.0 { (of / p[y]).min(1.0) } else { 1.0 };
        let mut found = Vec::new();
        for &rule in rules {
            let mut steps = Vec::new();
            let (mut left, mut before) = (q.to_vec(), Vec::new());
            for k in 1..=most.min(rule.selector().most()) {
                if rule == Rule::Recursive {
                    before.push(Step { token: willing(left[y]), any: common(p, &left).min(1.0) });
                    subtract(p, &mut left);
                    steps.push(before.clone());
                } else {
                    let rho = k_seq_rho(p, q, k)?;
                    let beta = super::laws::sums(p, q, |p, q| (p.min(q / rho), 0.0)).0.min(1.0);
                    steps.push(vec![Step { token: willing(q[y] / rho), any: beta }; k]);
                }
            }
            found.push((rule, steps));
        }
        let best = (1..=most).map(|k| optimal_acceptance(p, q, k)).collect::<Result<_>>()?;
        Ok(Sight { p: p[y], q: q[y], rules: found, best })
    }

    fn steps(&self, rule: Rule, k: usize) -> &[Step] {
        self.rules
            .iter()
            .find(|(own, _)| *own == rule)
            .and_then(|(_, steps)| steps.get(k - 1))
            .map_or(&[], Vec::as_slice)
    }

    /// By the rule, and the largest possible.
    fn acceptance(&self, rule: Rule, k: usize) -> (f64, f64) {
        let missed: f64 = self.steps(rule, k).iter().map(|step| 1.0 - step.any).product();
        (1.0 - missed, self.best.get(k - 1).copied().unwrap_or(0.0))
    }

    /// How many of k drafts have the token that came: the probabilities of 0 to k.
    fn alive(&self, rule: Rule, k: usize) -> Vec<f64> {
        let steps = self.steps(rule, k);
        let mut alive = vec![0.0; k + 1];
        // Of the drafts so far, all rejected: how many are the token, times the probability that all are rejected.
        let mut rejected = vec![1.0];
        let mut accepted = 0.0;
        for (i, step) in steps.iter().enumerate() {
            let here = self.p * step.token;
            accepted += rejected.iter().sum::<f64>() * here;
            // This one is the token and accepted; those behind it are not looked at.
            let mut all: Vec<f64> = rejected.iter().map(|mass| mass * here).collect();
            all.insert(0, 0.0);
            (i + 1..k).for_each(|_| all = one_more(&all, self.p, 1.0 - self.p));
            alive.iter_mut().zip(all).for_each(|(alive, mass)| *alive += mass);
            let rejects = self.p * (1.0 - step.token);
            rejected = one_more(&rejected, rejects, (1.0 - step.any - rejects).max(0.0));
        }
        // All were rejected, and the token was drawn beside them.
        let none: f64 = rejected.iter().sum();
        if none > 0.0 {
            let beside = (self.q - accepted).max(0.0) / none;
            alive.iter_mut().zip(rejected).for_each(|(alive, mass)| *alive += mass * beside);
        }
        alive.iter_mut().for_each(|mass| *mass /= self.q);
        alive
    }
}

/// A count to which one more is added with mass `yes`, and not with mass `no`.
fn one_more(count: &[f64], yes: f64, no: f64) -> Vec<f64> {
    let mut more = vec![0.0; count.len() + 1];
    for (n, mass) in count.iter().enumerate() {
        more[n] += mass * no;
        more[n + 1] += mass * yes;
    }
    more
}

/// The drafts of a call on their way through a text: the probability of each number of them after each number of tokens.
struct Alive {
    drafts: usize,
    /// For each number of tokens that the call has given, from 0 to L: the masses of 0 to K drafts.
    masses: Vec<Vec<f64>>,
}

impl Alive {
    fn new(drafts: usize, length: usize) -> Self {
        let mut masses = vec![vec![0.0; drafts + 1]; length + 1];
        masses[0][drafts] = 1.0;
        Alive { drafts, masses }
    }

    /// The probability that a call begins here.
    fn begins(&self) -> f64 {
        self.masses[0][self.drafts]
    }

    /// One token further; `alive(k)` says how many of k drafts have it.
    fn step(&mut self, alive: impl Fn(usize) -> Vec<f64>) {
        let length = self.masses.len() - 1;
        let mut next = vec![vec![0.0; self.drafts + 1]; length + 1];
        // Whole drafts that were used up: the bonus token ends the call.
        let mut begins: f64 = self.masses[length].iter().sum();
        for k in 1..=self.drafts {
            let masses: Vec<f64> = self.masses[..length].iter().map(|masses| masses[k]).collect();
            if masses.iter().all(|mass| *mass == 0.0) {
                continue;
            }
            for (left, share) in alive(k).into_iter().enumerate() {
                for (given, mass) in masses.iter().enumerate() {
                    if left == 0 { begins += mass * share } else { next[given + 1][left] += mass * share }
                }
            }
        }
        next[0][self.drafts] += begins;
        self.masses = next;
    }
}
