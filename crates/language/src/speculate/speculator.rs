//! The loop.

use super::{DraftSelector, KSeq, MaximalCoupling, OtmExact, Recursive};
use crate::chance::Chance;
use crate::decode::{Continuation, Decoder, Finish, Law, Request};
use crate::{BoxedState, LanguageModel, Tree};
use quadrat_core::{Area, Card, Choice, Error, Method, Progress, Result, Settings, checkpoint};
use std::ops::ControlFlow;

/// SpecTr: how many drafts, how long, and which rule chooses among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub struct Spectr {
    /// Drafts of each call; the paper has 8.
    #[param(default = 4, from = 1)]
    pub drafts: usize,
    /// Tokens of a draft; the paper has 8.
    #[param(default = 4, from = 1)]
    pub length: usize,
    /// Which rule chooses.
    #[param(default = Rule::KSeq)]
    pub rule: Rule,
}

/// Which rule chooses among drafts; all keep the target's law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Rule {
    /// K-SEQ, the paper's.
    KSeq,
    /// One draft.
    MaximalCoupling,
    /// SpecInfer's recursive rejection.
    Recursive,
    /// Recursive rejection of drafts that differ.
    WithoutReplacement,
    /// The best rule there is, for up to 16 tokens and 4 drafts.
    Exact,
}

impl Rule {
    /// The rule itself.
    pub fn selector(self) -> &'static dyn DraftSelector {
        match self {
            Rule::KSeq => &KSeq,
            Rule::MaximalCoupling => &MaximalCoupling,
            Rule::Recursive => &Recursive { replacement: true },
            Rule::WithoutReplacement => &Recursive { replacement: false },
            Rule::Exact => &OtmExact,
        }
    }
}

impl Method for Spectr {
    const CARD: Card = Card {
        slug: "spectr",
        aliases: &["speculative-decoding", "k-seq"],
        title: "SpecTr: speculative decoding with many drafts by optimal transport",
        paper: "Sun, Suresh, Ro, Beirami, Jain, Yu, SpecTr: Fast Speculative Decoding via Optimal Transport, NeurIPS 2023, \
                arXiv 2310.15141",
        area: Area::Language,
        verbs: &["language generate", "language plan", "language verify"],
        summary: "A cheap model drafts several continuations, the slow one scores all of them in one call, and a transport rule keeps the \
                  longest part that leaves the law of what is drawn as it was.",
        useful_when: "generate text faster without changing what is sampled, speculative decoding, draft model, fewer calls of a large \
                      language model, prompt lookup, repetitive text",
        cost: "a call of the target scores up to drafts x length + 1 tokens; the rule takes a few passes over the vocabulary for each \
               token, a fraction of a millisecond for 50,000",
        params: Self::PARAMS,
    };
}

/// The loop's parts: two models of the same tokens, settings that apply to both, and a rule.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_language::decode::{Decoder, Request, stream};
/// use quadrat_language::speculate::{KSeq, Speculator, recent};
/// use quadrat_language::from_fn;
/// use std::ops::ControlFlow;
/// let target = from_fn(3, |prefix: &[u32], scores: &mut [f32]| scores[prefix.len() % 3] = 4.0);
/// let (draft, decoder) = (recent(3, 3), Decoder::default());
/// let speculator = Speculator { target: &target, draft: &draft, decoder: &decoder, selector: &KSeq, drafts: 4, length: 3 };
/// let request = Request::new(&[0, 1, 2], 60);
/// let found = speculator.generate(&request, &mut stream(Seed(1), 0), &Silent, &mut |_| ControlFlow::Continue(()))?;
/// assert!(found.text.tokens.len() == 60 && found.calls < 60);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct Speculator<'m> {
    /// The model whose law counts.
    pub target: &'m dyn LanguageModel,
    /// The model that drafts.
    pub draft: &'m dyn LanguageModel,
    /// What becomes of the scores of both.
    pub decoder: &'m Decoder,
    /// The rule.
    pub selector: &'m dyn DraftSelector,
    /// Drafts of each call (K).
    pub drafts: usize,
    /// Tokens of a draft (L).
    pub length: usize,
}

/// A text, and what it took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Speculated {
    /// The text.
    pub text: Continuation,
    /// Calls of the target.
    pub calls: usize,
    /// Tokens that each call gave, 1 to L + 1.
    pub emitted: Vec<usize>,
}

impl Speculated {
    /// Tokens to a call of the target: the paper's block efficiency.
    pub fn block_efficiency(&self) -> f64 {
        self.text.tokens.len() as f64 / self.calls as f64
    }
}

impl Speculator<'_> {
    /// That the parts fit each other.
    ///
    /// # Errors
    /// Vocabularies of different sizes; no draft or more than the rule takes; a length of 0.
    pub fn check(&self) -> Result<()> {
        let (draft, target) = (self.draft.vocabulary(), self.target.vocabulary());
        if draft != target {
            let want = format!("{target} as the target has: drafts must be in the target's own tokens");
            return Err(Error::input("vocabulary of the draft", format!("{draft} tokens"), want));
        }
        if self.drafts == 0 || self.drafts > self.selector.most() {
            let want = match self.selector.most() {
                usize::MAX => "at least 1".to_owned(),
                most => format!("1 to {most} with this rule; k-seq takes any number"),
            };
            return Err(Error::input("drafts", self.drafts, want));
        }
        if self.length == 0 {
            return Err(Error::input("length", 0, "drafts of at least 1 token"));
        }
        Ok(())
    }

    /// Draws a text; as [`generate`](crate::decode::generate), in fewer calls.
    ///
    /// # Errors
    /// As there; parts that do not fit each other.
    pub fn generate(
        &self,
        request: &Request,
        chance: &mut dyn Chance,
        progress: &dyn Progress,
        each: &mut dyn FnMut(&[u32]) -> ControlFlow<()>,
    ) -> Result<Speculated> {
        self.check()?;
        request.check(self.target)?;
        let mut found = Speculated::default();
        let mut run = Run::new(self, request)?;
        while found.text.tokens.len() < request.tokens {
            checkpoint(progress)?;
            if !run.has_room() {
                found.text.finish = Finish::Context;
                break;
            }
            let block = run.block(request.tokens - found.text.tokens.len(), chance)?;
            found.calls += 1;
            found.text.forced += block.forced;
            let before = found.text.tokens.len();
            let over = add(&mut found.text, &block, request, self.target, each);
            found.emitted.push(found.text.tokens.len() - before);
            progress.advance((found.text.tokens.len() - before) as u64);
            if over {
                break;
            }
        }
        Ok(found)
    }

    /// The tokens of one call after a text, at most `most`: the step that the loop repeats.
    ///
    /// # Errors
    /// As [`generate`](Speculator::generate).
    pub fn block(&self, text: &[u32], most: usize, chance: &mut dyn Chance) -> Result<Vec<u32>> {
        self.check()?;
        Ok(Run::new(self, &Request::new(text, most))?.block(most, chance)?.tokens)
    }
}

/// Adds the tokens of a block until the text is over, and says whether it is.
fn add(
    text: &mut Continuation,
    block: &Block,
    request: &Request,
    target: &dyn LanguageModel,
    each: &mut dyn FnMut(&[u32]) -> ControlFlow<()>,
) -> bool {
    for (&token, &log_probability) in block.tokens.iter().zip(&block.log_probabilities) {
        text.tokens.push(token);
        text.log_probabilities.push(log_probability);
        if request.is_end(target, token) {
            text.finish = Finish::End;
        } else if each(&text.tokens).is_break() {
            text.finish = Finish::Stop;
        } else {
            continue;
        }
        return true;
    }
    false
}

/// What one call gave.
#[derive(Default)]
struct Block {
    tokens: Vec<u32>,
    log_probabilities: Vec<f64>,
    forced: usize,
}

/// What was drafted below a node of the tree, and the law that it was drawn from.
struct Drafted {
    law: Vec<f64>,
    tokens: Vec<u32>,
}

/// A text in the making. The target has seen all of it but the last token, which is the root of the next tree: so one call scores
/// what comes after that token and after every draft.
struct Run<'m> {
    parts: &'m Speculator<'m>,
    request: &'m Request,
    target: BoxedState<'m>,
    draft: BoxedState<'m>,
    text: Vec<u32>,
    tree: Tree,
    drafted: Vec<Option<Drafted>>,
    /// Laws that are not needed any more, whose room is.
    spare: Vec<Vec<f64>>,
    scores: Vec<f32>,
    draft_scores: Vec<f32>,
    law: Law,
    q: Vec<f64>,
    room: Vec<f64>,
}

impl<'m> Run<'m> {
    fn new(parts: &'m Speculator<'m>, request: &'m Request) -> Result<Self> {
        let mut run = Run {
            parts,
            request,
            target: parts.target.begin(),
            draft: parts.draft.begin(),
            text: request.prompt.clone(),
            tree: Tree::new(),
            drafted: Vec::new(),
            spare: Vec::new(),
            scores: Vec::new(),
            draft_scores: vec![0.0; parts.draft.vocabulary()],
            law: Law::default(),
            q: Vec::new(),
            room: Vec::new(),
        };
        if let Some((_, seen)) = request.prompt.split_last() {
            run.target.push(seen)?;
        }
        Ok(run)
    }

    /// Whether the target can take the last token in.
    fn has_room(&self) -> bool {
        self.parts.target.context().is_none_or(|context| self.text.len() <= context)
    }

    /// Step 1 drafts, step 2 scores all drafts in one call, step 3 chooses token after token.
    fn block(&mut self, most: usize, chance: &mut dyn Chance) -> Result<Block> {
        let vocabulary = self.parts.target.vocabulary();
        self.tree = Tree::new();
        self.spare.extend(self.drafted.drain(..).flatten().map(|drafted| drafted.law));
        let Some(&last) = self.text.last() else { return self.first(chance) };
        let root = self.tree.child(None, last);
        self.drafted.push(None);
        let depth = self.depth(most);
        if depth > 0 {
            self.draft.push(&self.text[self.draft.len()..])?;
            self.expand(root, self.parts.drafts, depth, chance)?;
        }
        self.scores.resize(self.tree.len() * vocabulary, 0.0);
        self.target.tree(&self.tree, &mut self.scores)?;
        self.choose(root, most, chance)
    }

    /// The first token of an empty text, which has nothing to draft from.
    fn first(&mut self, chance: &mut dyn Chance) -> Result<Block> {
        self.scores.resize(self.parts.target.vocabulary(), 0.0);
        self.target.scores(&mut self.scores)?;
        self.parts.decoder.law(&[], &self.scores, &mut self.law)?;
        let (token, log_probability) = self.law.draw(chance);
        self.text.push(token);
        let forced = usize::from(self.law.forced());
        Ok(Block { tokens: vec![token], log_probabilities: vec![log_probability], forced })
    }

    /// How long drafts may be: no longer than is of use, and than both contexts have room for.
    fn depth(&self, most: usize) -> usize {
        let room =
            |context: Option<usize>, text: usize| context.map_or(usize::MAX, |context| context.saturating_sub(text));
        let draft = room(self.parts.draft.context().map(|context| context + 1), self.text.len());
        self.parts.length.min(most.saturating_sub(1)).min(room(self.parts.target.context(), self.text.len())).min(draft)
    }

    /// Drafts `count` tokens below a node, and goes on below each of them with as many drafts as chose it.
    fn expand(&mut self, node: usize, count: usize, depth: usize, chance: &mut dyn Chance) -> Result<()> {
        if depth == 0 || self.request.is_end(self.parts.target, self.tree.tokens()[node]) {
            return Ok(());
        }
        self.draft.scores(&mut self.draft_scores)?;
        if self.draft_scores.iter().all(|&score| score == f32::NEG_INFINITY) {
            return Ok(()); // A drafter may have nothing to say.
        }
        self.parts.decoder.law(&self.text, &self.draft_scores, &mut self.law)?;
        let mut law = self.spare.pop().unwrap_or_default();
        self.law.fill(self.draft_scores.len(), &mut law);
        let tokens = draw(&self.law, &law, count, self.parts.selector.replaces(), chance);
        self.drafted[node] = Some(Drafted { law, tokens: tokens.clone() });
        for (at, &token) in tokens.iter().enumerate() {
            if tokens[..at].contains(&token) {
                continue;
            }
            let child = self.tree.child(Some(node), token);
            self.drafted.resize_with(self.tree.len(), || None);
            if depth > 1 {
                let alike = tokens.iter().filter(|other| **other == token).count();
                let length = self.draft.len();
                self.draft.push(&[token])?;
                self.text.push(token);
                self.expand(child, alike, depth - 1, chance)?;
                self.text.pop();
                self.draft.truncate(length);
            }
        }
        Ok(())
    }

    /// Walks down the tree: at each node a token is chosen, and where a draft has it, those drafts go on. Where there is no draft the
    /// token comes from the target's own law.
    fn choose(&mut self, root: usize, most: usize, chance: &mut dyn Chance) -> Result<Block> {
        let vocabulary = self.parts.target.vocabulary();
        let mut block = Block::default();
        let mut path = vec![root];
        while let Some(&node) = path.last() {
            let scores = &self.scores[node * vocabulary..(node + 1) * vocabulary];
            self.parts.decoder.law(&self.text, scores, &mut self.law)?;
            let drafted = self.drafted[node].as_ref();
            let (token, log_probability) = match drafted {
                None => self.law.draw(chance),
                Some(Drafted { law, tokens }) => {
                    self.law.fill(vocabulary, &mut self.q);
                    let chosen = self.parts.selector.select(law, &self.q, tokens, chance, &mut self.room)?;
                    (chosen.token, self.law.probability(chosen.token).ln())
                }
            };
            self.text.push(token);
            block.tokens.push(token);
            block.log_probabilities.push(log_probability);
            block.forced += usize::from(self.law.forced());
            let goes_on = drafted.is_some_and(|drafted| drafted.tokens.contains(&token));
            if !goes_on || block.tokens.len() == most || self.request.is_end(self.parts.target, token) {
                break;
            }
            path.push(self.tree.child(Some(node), token));
        }
        self.target.keep(&path)?;
        Ok(block)
    }
}

/// Tokens drawn from a draft's law: with replacement, or each from what those before it left; then there may be fewer than asked.
fn draw(law: &Law, p: &[f64], count: usize, replaces: bool, chance: &mut dyn Chance) -> Vec<u32> {
    if replaces {
        return (0..count).map(|_| law.draw(chance).0).collect();
    }
    let mut left = p.to_vec();
    let mut tokens = Vec::new();
    while tokens.len() < count && left.iter().any(|&p| p > 0.0) {
        let token = chance.pick(&left);
        left[token] = 0.0;
        tokens.push(token as u32);
    }
    tokens
}
