//! Interpolated modified Kneser-Ney: the n-gram model that has not been beaten among n-gram models.
//!
//! Chen and Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling" (TR-10-98, 1998), section 3. With h' the
//! context h without its first token,
//!
//! > P(w | h) = (a(h w) - D(a(h w))) / sum_v a(h v) + gamma(h) P(w | h').
//!
//! At the highest order a(h w) is how often h w occurs; below it is in how many different contexts, the number of tokens that stand
//! before h w: what matters for a shorter context is not how often a token comes but after how many different ones. The discounts
//! D_1, D_2, D_3+ of each order come from how many n-grams have a = 1, 2, 3, 4 (their equation 17); gamma(h) is the mass that they
//! free. Below unigrams the law is uniform over the vocabulary, so that no token is impossible.
//!
//! Each text begins with a mark that stands in contexts only; n-grams that begin with it have nothing before them and are counted as
//! they occur (Heafield et al. 2013). Where the counts of an order give no discounts within 0 <= D_i <= i (small or artificial texts)
//! they are 0.5, 1 and 1.5: chosen here as KenLM's fallback.

mod counts;

use crate::{BoxedState, LanguageModel, PrefixState};
use counts::Counted;
use quadrat_core::{Error, Progress, Result, checkpoint};
use serde::{Deserialize, Serialize};

/// An n-gram model.
///
/// ```
/// use quadrat_core::Silent;
/// use quadrat_language::{LanguageModel, KneserNey};
/// let model = KneserNey::fit(&[vec![0, 1, 2, 0, 1, 2, 0, 1]], 3, 2, &Silent)?;
/// let p: Vec<f64> = (0..3).map(|token| model.probability(&[0, 1], token)).collect();
/// assert!(p[2] > p[0] && (p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KneserNey {
    vocabulary: usize,
    ends: Vec<u32>,
    /// P(w) of every token.
    unigrams: Vec<f64>,
    /// ln P(w).
    logs: Vec<f32>,
    /// Contexts of 1 to n - 1 tokens.
    levels: Vec<Level>,
}

/// All contexts of one length that occur, in lexicographic order, and what comes after them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Level {
    length: usize,
    /// The contexts' tokens, one context behind the other.
    contexts: Vec<u32>,
    /// The mass that a context leaves to the shorter one.
    gammas: Vec<f64>,
    /// Where the tokens after a context begin in the two lists below; one more than contexts.
    starts: Vec<usize>,
    tokens: Vec<u32>,
    /// (a - D(a)) / sum a.
    shares: Vec<f64>,
}

impl Level {
    fn find(&self, context: &[u32]) -> Option<usize> {
        let at = |i: usize| &self.contexts[i * self.length..(i + 1) * self.length];
        let (mut low, mut high) = (0, self.gammas.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match at(middle).cmp(context) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn after(&self, context: usize) -> std::ops::Range<usize> {
        self.starts[context]..self.starts[context + 1]
    }
}

impl KneserNey {
    /// Counts texts of tokens below `vocabulary`. Memory and time are those of sorting the n-grams of each order.
    ///
    /// # Errors
    /// No token at all, a token outside the vocabulary, an order of 0; cancelling.
    pub fn fit(texts: &[Vec<u32>], vocabulary: usize, order: usize, progress: &dyn Progress) -> Result<KneserNey> {
        if order == 0 {
            return Err(Error::input("order", 0, "at least 1"));
        }
        let mut tokens = texts.iter().flatten();
        if let Some(token) = tokens.find(|token| **token as usize >= vocabulary) {
            return Err(Error::input("token", token, format!("below {vocabulary}, the vocabulary's size")));
        }
        if texts.iter().all(Vec::is_empty) {
            return Err(Error::input("texts", "no token", "at least one token to count"));
        }
        // The mark is the number above all tokens.
        let marked: Vec<Vec<u32>> = texts.iter().map(|text| [&[vocabulary as u32], &text[..]].concat()).collect();
        let mut model = KneserNey {
            vocabulary,
            ends: Vec::new(),
            unigrams: Vec::new(),
            logs: Vec::new(),
            levels: Vec::with_capacity(order - 1),
        };
        let mut counted = Counted::occurrences(&marked, order);
        for length in (1..=order).rev() {
            checkpoint(progress)?;
            let fewer = (length > 1).then(|| Counted::contexts(&counted, &marked));
            if length > 1 {
                model.levels.push(level(&counted));
            } else {
                model.unigrams = unigrams(&counted, vocabulary);
            }
            if let Some(fewer) = fewer {
                counted = fewer;
            }
        }
        model.levels.reverse();
        model.logs = model.unigrams.iter().map(|p| p.ln() as f32).collect();
        Ok(model)
    }

    /// The same model, whose texts are over after each of `ends`.
    pub fn with_ends(self, ends: Vec<u32>) -> Self {
        KneserNey { ends, ..self }
    }

    /// The n of n-grams.
    pub fn order(&self) -> usize {
        self.levels.len() + 1
    }

    /// P(token | text), 0 for a token outside the vocabulary.
    pub fn probability(&self, text: &[u32], token: u32) -> f64 {
        let mut p = self.unigrams.get(token as usize).copied().unwrap_or(0.0);
        for (level, context) in self.known(&self.context(text)) {
            let after = level.after(context);
            let place = level.tokens[after.clone()].binary_search(&token);
            let share = place.map_or(0.0, |place| level.shares[after.start + place]);
            p = share + level.gammas[context] * p;
        }
        p
    }

    /// The tokens that count, behind the mark where the text begins.
    fn context(&self, text: &[u32]) -> Vec<u32> {
        let most = self.levels.len();
        match text.len().checked_sub(most) {
            Some(from) => text[from..].to_vec(),
            None => [&[self.vocabulary as u32], text].concat(),
        }
    }

    /// The levels at which the end of `context` is known, from the shortest context up. A context is known where its end is.
    fn known<'a>(&'a self, context: &'a [u32]) -> impl Iterator<Item = (&'a Level, usize)> {
        self.levels.iter().map_while(|level| {
            let from = context.len().checked_sub(level.length)?;
            Some((level, level.find(&context[from..])?))
        })
    }

    /// Natural logarithms of the probabilities of all tokens: of most tokens all but the unigram's is the same factor.
    fn write(&self, text: &[u32], out: &mut [f32]) {
        let context = self.context(text);
        let known: Vec<(&Level, usize)> = self.known(&context).collect();
        // What the shares of each level, and of the unigrams, are multiplied with: the gammas of all longer contexts.
        let mut factors = vec![1.0; known.len() + 1];
        for (at, (level, context)) in known.iter().enumerate().rev() {
            factors[at] = factors[at + 1] * level.gammas[*context];
        }
        let lowest = factors[0].ln() as f32;
        out.iter_mut().zip(&self.logs).for_each(|(out, log)| *out = log + lowest);
        // Tokens that come after a long context come after its end too, so the shortest context knows them all.
        let Some(&(shortest, context)) = known.first() else { return };
        let tokens = &shortest.tokens[shortest.after(context)];
        let mut sums: Vec<f64> = tokens.iter().map(|&token| factors[0] * self.unigrams[token as usize]).collect();
        for ((level, context), factor) in known.iter().zip(&factors[1..]) {
            let mut at = 0;
            for place in level.after(*context) {
                at += tokens[at..].partition_point(|&token| token < level.tokens[place]);
                sums[at] += factor * level.shares[place];
            }
        }
        tokens.iter().zip(sums).for_each(|(&token, p)| out[token as usize] = p.ln() as f32);
    }
}

impl LanguageModel for KneserNey {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn ends(&self) -> &[u32] {
        &self.ends
    }

    fn begin(&self) -> BoxedState<'_> {
        Box::new(PrefixState::new(self.vocabulary, |text: &[u32], out: &mut [f32]| self.write(text, out)))
    }
}

/// Discounts of an order, for counts of 1, 2, and 3 or more.
fn discounts(counted: &Counted) -> [f64; 3] {
    let having = |n: u64| counted.counts.iter().filter(|count| **count == n).count() as f64;
    let t = [1, 2, 3, 4].map(having);
    let y = t[0] / (t[0] + 2.0 * t[1]);
    let d = [0, 1, 2].map(|i| (i + 1) as f64 - (i + 2) as f64 * y * t[i + 1] / t[i]);
    // Not a number is outside.
    let sound = (0..3).all(|i| (0.0..=(i + 1) as f64).contains(&d[i]));
    if sound { d } else { [0.5, 1.0, 1.5] }
}

/// What the tokens after a context keep of the whole, and what it leaves.
fn shares(counts: &[u64], d: &[f64; 3]) -> (Vec<f64>, f64) {
    let total = counts.iter().sum::<u64>() as f64;
    let kept: Vec<f64> = counts.iter().map(|&count| (count as f64 - d[(count.min(3) - 1) as usize]) / total).collect();
    let freed = counts.iter().map(|&count| d[(count.min(3) - 1) as usize]).sum::<f64>() / total;
    (kept, freed)
}

fn level(counted: &Counted) -> Level {
    let d = discounts(counted);
    let length = counted.length - 1;
    let mut level = Level {
        length,
        contexts: Vec::new(),
        gammas: Vec::new(),
        starts: vec![0],
        tokens: Vec::new(),
        shares: Vec::new(),
    };
    let grams: Vec<&[u32]> = counted.grams.chunks_exact(counted.length).collect();
    let mut at = 0;
    for same in grams.chunk_by(|a, b| a[..length] == b[..length]) {
        let (kept, freed) = shares(&counted.counts[at..at + same.len()], &d);
        at += same.len();
        level.contexts.extend(&same[0][..length]);
        level.gammas.push(freed);
        level.tokens.extend(same.iter().map(|gram| gram[length]));
        level.shares.extend(kept);
        level.starts.push(at);
    }
    level
}

fn unigrams(counted: &Counted, vocabulary: usize) -> Vec<f64> {
    let (kept, freed) = shares(&counted.counts, &discounts(counted));
    let mut unigrams = vec![freed / vocabulary as f64; vocabulary];
    counted.grams.iter().zip(kept).for_each(|(&token, share)| unigrams[token as usize] += share);
    unigrams
}

#[cfg(test)]
mod tests;
