//! What a language model is to everything that draws from one.
//!
//! A decoder asks for the scores of the next token, again and again, after texts that share most of their beginning. So a model is not a
//! function of a prefix: it hands out a [`State`] that grows token by token and keeps what it has computed. Speculative decoding asks for
//! more than one continuation at a time; those hang below the text as a [`Tree`], are scored in one call, and one path of them is kept.
//! A model for which a prefix is enough is a closure ([`from_fn`]).

use quadrat_core::{Error, Result};
use std::sync::Arc;

/// A model of the next token.
pub trait LanguageModel: Send + Sync {
    /// How many tokens there are; they are numbered from 0.
    fn vocabulary(&self) -> usize;

    /// The longest text it can take, where there is a limit.
    fn context(&self) -> Option<usize> {
        None
    }

    /// The tokens after which a text is over.
    fn ends(&self) -> &[u32] {
        &[]
    }

    /// An empty text. A model that cannot score the first token of a text says so when it is asked for it.
    fn begin(&self) -> BoxedState<'_>;
}

/// A text in the hands of a model that lives for `'m`.
pub type BoxedState<'m> = Box<dyn State<'m> + 'm>;

/// A text as its model sees it, with what the model keeps of it.
///
/// Scores are unnormalised logarithms of probabilities, `-inf` for what cannot come; those of a text are the same bits whether its tokens
/// came one by one, at once, or as a path of a tree.
pub trait State<'m>: Send {
    /// Tokens so far.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds tokens at the end.
    ///
    /// # Errors
    /// A token outside the vocabulary, or more tokens than the model's context has room for; nothing is added then.
    fn push(&mut self, tokens: &[u32]) -> Result<()>;

    /// Writes the scores (vocabulary) of the token that comes next.
    ///
    /// # Errors
    /// A model that needs a first token and has none.
    fn scores(&mut self, out: &mut [f32]) -> Result<()>;

    /// Writes the scores after each node of a tree below the text (nodes x vocabulary, in the nodes' order). The text stays as it is,
    /// until [`keep`](State::keep) takes a path of that tree over.
    ///
    /// # Errors
    /// As [`push`](State::push), for the deepest node.
    fn tree(&mut self, tree: &Tree, out: &mut [f32]) -> Result<()>;

    /// Adds a path of the last tree to the text, from a child of its end down: what `push` would add, at no cost of computing it again.
    ///
    /// # Errors
    /// No tree since the text last changed, or nodes that are no such path.
    fn keep(&mut self, path: &[usize]) -> Result<()>;

    /// Forgets all but the first `len` tokens; no more than there are stay.
    fn truncate(&mut self, len: usize);

    /// The same text once more, to go on with in another way.
    fn fork(&self) -> BoxedState<'m>;
}

/// Continuations of one text that share beginnings: each node is a token and comes after its parent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    tokens: Vec<u32>,
    parents: Vec<Option<usize>>,
}

impl Tree {
    /// No continuation.
    pub fn new() -> Self {
        Tree::default()
    }

    /// One continuation.
    pub fn chain(tokens: &[u32]) -> Self {
        let parents = (0..tokens.len()).map(|node| node.checked_sub(1)).collect();
        Tree { tokens: tokens.to_vec(), parents }
    }

    /// The node of `token` below `parent` (`None`: below the text), which is added where it is not there.
    pub fn child(&mut self, parent: Option<usize>, token: u32) -> usize {
        let known = self.tokens.iter().zip(&self.parents).position(|(&t, &p)| t == token && p == parent);
        known.unwrap_or_else(|| {
            self.tokens.push(token);
            self.parents.push(parent);
            self.tokens.len() - 1
        })
    }

    /// The nodes' tokens.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The nodes' parents, each before its children; `None`: the end of the text.
    pub fn parents(&self) -> &[Option<usize>] {
        &self.parents
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The nodes from a child of the text's end down to `node`.
    pub fn path(&self, node: usize) -> Vec<usize> {
        let mut path: Vec<usize> = std::iter::successors(Some(node), |&node| self.parents[node]).collect();
        path.reverse();
        path
    }

    /// Tokens of the longest path.
    pub fn depth(&self) -> usize {
        let mut depths: Vec<usize> = Vec::with_capacity(self.len());
        for parent in &self.parents {
            depths.push(1 + parent.map_or(0, |parent| depths[parent]));
        }
        depths.into_iter().max().unwrap_or(0)
    }

    /// The tokens of a path, or an error where `path` is none that begins below the text.
    ///
    /// # Errors
    /// A node that is not there, or whose parent is not the one before it.
    pub fn tokens_of(&self, path: &[usize]) -> Result<Vec<u32>> {
        let mut before = None;
        let mut tokens = Vec::with_capacity(path.len());
        for &node in path {
            if self.parents.get(node) != Some(&before) {
                let want = "each node below the one before it, the first below the text, all of the last tree";
                return Err(Error::input("path", format!("{path:?}"), want));
            }
            tokens.push(self.tokens[node]);
            before = Some(node);
        }
        Ok(tokens)
    }
}

/// A model that is a function of the whole prefix.
pub struct FromFn<F> {
    vocabulary: usize,
    ends: Vec<u32>,
    scores: F,
}

/// The model whose scores after a prefix (which may be empty) a closure writes.
///
/// ```
/// use quadrat_language::{LanguageModel, from_fn};
/// let repeats = from_fn(2, |prefix: &[u32], out: &mut [f32]| {
///     let last = prefix.last().copied().unwrap_or(0) as usize;
///     out.iter_mut().enumerate().for_each(|(token, score)| *score = if token == last { 1.0 } else { 0.0 });
/// });
/// let mut text = repeats.begin();
/// text.push(&[0, 1])?;
/// let mut scores = [0.0; 2];
/// text.scores(&mut scores)?;
/// assert_eq!(scores, [0.0, 1.0]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn from_fn<F: Fn(&[u32], &mut [f32]) + Send + Sync>(vocabulary: usize, scores: F) -> FromFn<F> {
    FromFn { vocabulary, ends: Vec::new(), scores }
}

impl<F> FromFn<F> {
    /// The same, whose texts are over after any of these tokens.
    pub fn ending(self, ends: &[u32]) -> Self {
        FromFn { ends: ends.to_vec(), ..self }
    }
}

impl<F: Fn(&[u32], &mut [f32]) + Send + Sync> LanguageModel for FromFn<F> {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn ends(&self) -> &[u32] {
        &self.ends
    }

    fn begin(&self) -> BoxedState<'_> {
        Box::new(PrefixState::new(self.vocabulary, |prefix: &[u32], out: &mut [f32]| (self.scores)(prefix, out)))
    }
}

/// What writes the scores after a prefix.
type Scores<'a> = dyn Fn(&[u32], &mut [f32]) + Send + Sync + 'a;

/// The state of a model that is a function of the prefix: the tokens, and nothing computed.
pub struct PrefixState<'a> {
    vocabulary: usize,
    scores: Arc<Scores<'a>>,
    tokens: Vec<u32>,
    tree: Tree,
}

impl<'a> PrefixState<'a> {
    /// An empty text; `scores` writes the scores after a prefix.
    pub fn new(vocabulary: usize, scores: impl Fn(&[u32], &mut [f32]) + Send + Sync + 'a) -> Self {
        PrefixState { vocabulary, scores: Arc::new(scores), tokens: Vec::new(), tree: Tree::new() }
    }

    fn check(&self, tokens: &[u32]) -> Result<()> {
        match tokens.iter().find(|&&token| token as usize >= self.vocabulary) {
            Some(token) => {
                Err(Error::input("token", token, format!("below {}, the vocabulary's size", self.vocabulary)))
            }
            None => Ok(()),
        }
    }
}

impl<'m> State<'m> for PrefixState<'m> {
    fn len(&self) -> usize {
        self.tokens.len()
    }

    fn push(&mut self, tokens: &[u32]) -> Result<()> {
        self.check(tokens)?;
        self.tree = Tree::new();
        self.tokens.extend(tokens);
        Ok(())
    }

    fn scores(&mut self, out: &mut [f32]) -> Result<()> {
        (self.scores)(&self.tokens, out);
        Ok(())
    }

    fn tree(&mut self, tree: &Tree, out: &mut [f32]) -> Result<()> {
        self.check(tree.tokens())?;
        let own = self.tokens.len();
        for (node, out) in out.chunks_exact_mut(self.vocabulary.max(1)).enumerate().take(tree.len()) {
            self.tokens.extend(tree.path(node).into_iter().map(|node| tree.tokens[node]));
            (self.scores)(&self.tokens, out);
            self.tokens.truncate(own);
        }
        self.tree.clone_from(tree);
        Ok(())
    }

    fn keep(&mut self, path: &[usize]) -> Result<()> {
        let tokens = self.tree.tokens_of(path)?;
        self.push(&tokens)
    }

    fn truncate(&mut self, len: usize) {
        self.tree = Tree::new();
        self.tokens.truncate(len);
    }

    fn fork(&self) -> BoxedState<'m> {
        Box::new(PrefixState {
            vocabulary: self.vocabulary,
            scores: self.scores.clone(),
            tokens: self.tokens.clone(),
            tree: Tree::new(),
        })
    }
}

/// Probabilities of scores, in double precision: they sum to 1 within rounding. Where no score is a number above `-inf`, all are 0.
pub fn softmax(scores: &[f32], out: &mut Vec<f64>) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    out.clear();
    if most == f32::NEG_INFINITY {
        out.resize(scores.len(), 0.0);
        return;
    }
    out.extend(scores.iter().map(|&score| f64::from(score - most).exp()));
    let sum: f64 = out.iter().sum();
    out.iter_mut().for_each(|p| *p /= sum);
}

/// Natural logarithms of the probabilities of scores.
pub fn log_softmax(scores: &[f32], out: &mut Vec<f64>) {
    let most = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = scores.iter().map(|&score| (f64::from(score) - most).exp()).sum();
    let whole = most + sum.ln();
    out.clear();
    out.extend(scores.iter().map(|&score| f64::from(score) - whole));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The score of a token is the sum of what came before plus the token.
    fn sums() -> FromFn<impl Fn(&[u32], &mut [f32]) + Send + Sync> {
        from_fn(3, |prefix: &[u32], out: &mut [f32]| {
            let sum: u32 = prefix.iter().sum();
            out.iter_mut().enumerate().for_each(|(token, score)| *score = (sum as usize * 10 + token) as f32);
        })
    }

    #[test]
    fn a_tree_is_scored_as_its_paths_and_a_path_can_be_kept() {
        let model = sums();
        let mut text = model.begin();
        text.push(&[1]).unwrap();
        let mut tree = Tree::new();
        let a = tree.child(None, 2);
        let b = tree.child(Some(a), 1);
        assert_eq!((tree.child(None, 2), tree.child(None, 0), tree.len(), tree.depth()), (a, 2, 3, 2));
        assert_eq!(tree.path(b), [a, b]);
        let mut out = [0.0; 9];
        text.tree(&tree, &mut out).unwrap();
        assert_eq!(out, [30.0, 31.0, 32.0, 40.0, 41.0, 42.0, 10.0, 11.0, 12.0]);
        assert_eq!(text.len(), 1);
        assert!(text.keep(&[b]).is_err());
        text.keep(&[a, b]).unwrap();
        assert_eq!(text.len(), 3);
        assert!(text.keep(&[a]).is_err(), "the tree hung below another text");
        let mut out = [0.0; 3];
        text.scores(&mut out).unwrap();
        assert_eq!(out[0], 40.0);
        let mut fork = text.fork();
        fork.truncate(1);
        fork.scores(&mut out).unwrap();
        assert_eq!((out[0], text.len()), (10.0, 3));
        assert!(text.push(&[3]).unwrap_err().to_string().contains("below 3"));
    }

    #[test]
    fn probabilities_of_scores_of_any_size() {
        let mut p = Vec::new();
        softmax(&[1000.0, 1000.0, f32::NEG_INFINITY], &mut p);
        assert_eq!(p, [0.5, 0.5, 0.0]);
        softmax(&[f32::NEG_INFINITY; 2], &mut p);
        assert_eq!(p, [0.0, 0.0]);
        log_softmax(&[0.0, 0.0], &mut p);
        assert!(p.iter().all(|p| (p - 0.5_f64.ln()).abs() < 1e-15));
    }
}
