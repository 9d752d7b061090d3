//! A text in the hands of the model: its tokens, and the keys and values of every block.

use super::Llama;
use super::attention::Sight;
use super::forward::Tokens;
use crate::model::{BoxedState, State, Tree};
use quadrat_core::{Error, Result};

/// Tokens that are computed at once: more would need more room, not less time.
const CHUNK: usize = 256;

/// What is kept of tokens: the first rows are the text's, those behind are of the last tree.
#[derive(Clone)]
pub(super) struct Cache {
    pub layers: Vec<Kept>,
    /// Last representations, from which scores are made.
    pub last: Vec<f32>,
}

/// A block's keys and values, one row a token.
#[derive(Clone, Default)]
pub(super) struct Kept {
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
}

impl Kept {
    /// Adds rows. Room grows by whole chunks, not by doubling: caches are what a long text needs memory for.
    pub fn extend(&mut self, keys: &[f32], values: &[f32]) {
        for (kept, new) in [(&mut self.keys, keys), (&mut self.values, values)] {
            if kept.capacity() - kept.len() < new.len() {
                kept.reserve_exact(new.len().max(kept.len() / 8));
            }
            kept.extend_from_slice(new);
        }
    }
}

/// A text.
pub(super) struct Text<'m> {
    model: &'m Llama,
    tokens: Vec<u32>,
    cache: Cache,
    tree: Tree,
}

impl<'m> Text<'m> {
    pub fn new(model: &'m Llama) -> Self {
        let layers = model.layers.iter().map(|_| Kept::default()).collect();
        Text { model, tokens: Vec::new(), cache: Cache { layers, last: Vec::new() }, tree: Tree::new() }
    }

    /// That all tokens exist, and that there is room for so many more.
    fn check(&self, tokens: &[u32], more: usize) -> Result<()> {
        let config = &self.model.config;
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= config.vocabulary) {
            return Err(Error::input("token", token, format!("below {}, the vocabulary's size", config.vocabulary)));
        }
        if self.tokens.len() + more > config.context {
            let want = format!("at most {}, the model's context: shorten the text", config.context);
            return Err(Error::input("tokens of the text", self.tokens.len() + more, want));
        }
        Ok(())
    }

    /// Leaves the first rows of the cache.
    fn cut(&mut self, rows: usize) {
        let config = &self.model.config;
        let width = config.groups * config.head;
        for kept in &mut self.cache.layers {
            kept.keys.truncate(rows * width);
            kept.values.truncate(rows * width);
        }
        self.cache.last.truncate(rows * config.width);
        self.tree = Tree::new();
    }

    /// Computes tokens on the pool's threads: work that is begun outside would wait for them at every product.
    fn forward(&mut self, new: &Tokens) {
        let Text { model, cache, .. } = self;
        rayon::scope(|_| model.forward(new, cache));
    }

    fn room(&self, out: &[f32], texts: usize) -> Result<()> {
        let want = texts * self.model.config.vocabulary;
        if out.len() == want { Ok(()) } else { Err(Error::input("room for scores", out.len(), want.to_string())) }
    }
}

impl<'m> State<'m> for Text<'m> {
    fn len(&self) -> usize {
        self.tokens.len()
    }

    fn push(&mut self, tokens: &[u32]) -> Result<()> {
        self.check(tokens, tokens.len())?;
        self.cut(self.tokens.len());
        for tokens in tokens.chunks(CHUNK) {
            let positions: Vec<usize> = (self.tokens.len()..).take(tokens.len()).collect();
            let sights: Vec<Sight> = positions.iter().map(|at| Sight { first: at + 1, path: Vec::new() }).collect();
            self.forward(&Tokens { tokens, positions: &positions, sights: &sights });
            self.tokens.extend_from_slice(tokens);
        }
        Ok(())
    }

    fn scores(&mut self, out: &mut [f32]) -> Result<()> {
        self.room(out, 1)?;
        let width = self.model.config.width;
        let Some(at) = self.tokens.len().checked_sub(1) else {
            let want = "a first token: begin with the vocabulary's beginning or end of a text";
            return Err(Error::input("text", "no token", want));
        };
        let (model, last) = (self.model, &self.cache.last[at * width..][..width]);
        rayon::scope(|_| model.scores(last, out));
        Ok(())
    }

    fn tree(&mut self, tree: &Tree, out: &mut [f32]) -> Result<()> {
        self.check(tree.tokens(), tree.depth())?;
        self.room(out, tree.len())?;
        let first = self.tokens.len();
        self.cut(first);
        if tree.is_empty() {
            return Ok(());
        }
        let paths = (0..tree.len()).map(|node| tree.path(node));
        let rows = |path: Vec<usize>| path.into_iter().map(|node| first + node).collect();
        let sights: Vec<Sight> = paths.map(|path| Sight { first, path: rows(path) }).collect();
        let positions: Vec<usize> = sights.iter().map(|sight| first + sight.path.len() - 1).collect();
        self.forward(&Tokens { tokens: tree.tokens(), positions: &positions, sights: &sights });
        let (model, last) = (self.model, &self.cache.last[first * self.model.config.width..]);
        rayon::scope(|_| model.scores(last, out));
        self.tree.clone_from(tree);
        Ok(())
    }

    fn keep(&mut self, path: &[usize]) -> Result<()> {
        let tokens = self.tree.tokens_of(path)?;
        let (first, config) = (self.tokens.len(), &self.model.config);
        let take = |rows: &mut Vec<f32>, width: usize| {
            // A path's nodes come in the order of their rows: none is written before it is read.
            for (at, node) in path.iter().enumerate() {
                let row = (first + node) * width;
                rows.copy_within(row..row + width, (first + at) * width);
            }
        };
        for kept in &mut self.cache.layers {
            take(&mut kept.keys, config.groups * config.head);
            take(&mut kept.values, config.groups * config.head);
        }
        take(&mut self.cache.last, config.width);
        self.tokens.extend(tokens);
        self.cut(self.tokens.len());
        Ok(())
    }

    fn truncate(&mut self, len: usize) {
        self.tokens.truncate(len);
        self.cut(self.tokens.len());
    }

    fn fork(&self) -> BoxedState<'m> {
        let Text { model, tokens, cache, .. } = self;
        let mut fork = Text { model, tokens: tokens.clone(), cache: cache.clone(), tree: Tree::new() };
        fork.cut(tokens.len());
        Box::new(fork)
    }
}
