//! A Markov chain as a masked model whose answers are exact.
//!
//! Given the tokens that are there, a hidden one depends on the nearest on its left and on its right alone: with a at distance i and b
//! at distance j, token v has a probability proportional to P^i(a, v) P^j(v, b) (forward and backward messages; Rabiner 1989). A sampler
//! on it can be judged against a law that is known, which no trained network allows; and a chain learnt from a text
//! ([`MarkovChain::of_text`]) has a vocabulary of a real size. A row of P is a few tokens and a share of one row for all, so that
//! a step of a message costs what the text has pairs of tokens, not vocabulary^2.

use super::MaskedModel;
use ndarray::ArrayView2;
use quadrat_core::{Error, Result, Rng};

/// A chain of tokens. Its mask is the number after the last token.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkovChain {
    initial: Vec<f64>,
    /// Where each token's followers begin, and where the last one's end.
    starts: Vec<usize>,
    followers: Vec<(u32, f64)>,
    /// The share of each row that is `initial`.
    rest: Vec<f64>,
}

impl MarkovChain {
    /// A chain by its first token's law and its transitions, a row a token.
    ///
    /// # Errors
    /// No tokens, another number of rows or columns, a row that is negative or does not sum to 1 within 1e-9.
    pub fn new(initial: Vec<f64>, transitions: ArrayView2<f64>) -> Result<Self> {
        let vocabulary = initial.len();
        if vocabulary == 0 || transitions.dim() != (vocabulary, vocabulary) {
            let got = format!("{:?} for {vocabulary} tokens", transitions.dim());
            return Err(Error::input("transitions", got, "at least one token, and a row and a column for each"));
        }
        let (mut starts, mut followers) = (vec![0], Vec::new());
        for row in std::iter::once(ndarray::ArrayView1::from(&initial)).chain(transitions.outer_iter()) {
            if !(1.0 - 1e-9..=1.0 + 1e-9).contains(&row.sum()) || row.iter().any(|p| *p < 0.0) {
                let want = "entries of at least 0 that sum to 1";
                return Err(Error::input("row of a Markov chain", format!("a sum of {}", row.sum()), want));
            }
        }
        for row in transitions.outer_iter() {
            followers.extend(row.iter().enumerate().filter(|(_, p)| **p > 0.0).map(|(token, p)| (token as u32, *p)));
            starts.push(followers.len());
        }
        Ok(MarkovChain { rest: vec![0.0; vocabulary], initial, starts, followers })
    }

    /// The chain of a text's pairs of tokens: after a token that came n times, its followers by their counts and, with the share
    /// `weight` / (n + `weight`), any token by its share of the text. The first token is any one by its share.
    ///
    /// # Errors
    /// A text without tokens, a token outside the vocabulary, or a weight that is not above 0.
    pub fn of_text(tokens: &[u32], vocabulary: usize, weight: f64) -> Result<Self> {
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= vocabulary) {
            return Err(Error::input("token", token, format!("below {vocabulary}, the vocabulary's size")));
        }
        if tokens.is_empty() || !(weight > 0.0 && weight.is_finite()) {
            let got = format!("{} tokens with weight {weight}", tokens.len());
            return Err(Error::input("text of a Markov chain", got, "at least one token and a weight above 0"));
        }
        let mut initial = vec![0.0; vocabulary];
        tokens.iter().for_each(|&token| initial[token as usize] += 1.0 / tokens.len() as f64);
        let mut pairs: Vec<(u32, u32)> = tokens.windows(2).map(|pair| (pair[0], pair[1])).collect();
        pairs.sort_unstable();
        let mut counts = vec![0.0; vocabulary];
        pairs.iter().for_each(|(token, _)| counts[*token as usize] += 1.0);
        let (mut starts, mut followers) = (vec![0; vocabulary + 1], Vec::new());
        for same in pairs.chunk_by(|a, b| a == b) {
            let (token, follower) = same[0];
            followers.push((follower, same.len() as f64 / (counts[token as usize] + weight)));
            starts[token as usize + 1] = followers.len();
        }
        for token in 0..vocabulary {
            starts[token + 1] = starts[token + 1].max(starts[token]);
        }
        let rest = counts.iter().map(|n| weight / (n + weight)).collect();
        Ok(MarkovChain { initial, starts, followers, rest })
    }

    /// What may follow a token, a row of the vocabulary's size.
    pub fn row(&self, token: u32) -> Vec<f64> {
        let mut row: Vec<f64> = self.initial.iter().map(|p| p * self.rest[token as usize]).collect();
        self.of(token as usize).iter().for_each(|(follower, p)| row[*follower as usize] += p);
        row
    }

    /// The probability of a token, after another or as the first.
    pub fn probability(&self, before: Option<u32>, token: u32) -> f64 {
        let Some(before) = before else { return self.initial[token as usize] };
        let own = self.of(before as usize);
        let own = own.binary_search_by_key(&token, |(follower, _)| *follower).map_or(0.0, |at| own[at].1);
        own + self.rest[before as usize] * self.initial[token as usize]
    }

    /// The logarithm of a text's probability, in nats. Tokens are below the vocabulary's size.
    pub fn log_probability(&self, tokens: &[u32]) -> f64 {
        let before = std::iter::once(None).chain(tokens.iter().map(|token| Some(*token)));
        before.zip(tokens).map(|(before, &token)| self.probability(before, token).ln()).sum()
    }

    /// The mean of -[`log_probability`](MarkovChain::log_probability) over texts of so many tokens, in nats: what exact draws have.
    /// O(vocabulary^2).
    pub fn entropy(&self, length: usize) -> f64 {
        let of_row = |row: &[f64]| row.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum::<f64>();
        if length == 0 {
            return 0.0;
        }
        let rows: Vec<f64> = (0..self.initial.len()).map(|token| of_row(&self.row(token as u32))).collect();
        let (mut law, mut total) = (self.initial.clone(), of_row(&self.initial));
        for _ in 1..length {
            total += law.iter().zip(&rows).map(|(p, h)| p * h).sum::<f64>();
            law = self.after(&law);
        }
        total
    }

    /// A text from left to right.
    pub fn draw(&self, length: usize, rng: &mut Rng) -> Vec<u32> {
        let mut text: Vec<u32> = Vec::with_capacity(length);
        for _ in 0..length {
            let row = text.last().map_or_else(|| self.initial.clone(), |token| self.row(*token));
            text.push(super::Draw::TwoStage.token(&row, rng) as u32);
        }
        text
    }

    fn of(&self, token: usize) -> &[(u32, f64)] {
        &self.followers[self.starts[token]..self.starts[token + 1]]
    }

    /// The law of the next token where `law` is that of a token: law P.
    fn after(&self, law: &[f64]) -> Vec<f64> {
        let rest: f64 = law.iter().zip(&self.rest).map(|(p, rest)| p * rest).sum();
        let mut next: Vec<f64> = self.initial.iter().map(|p| p * rest).collect();
        for (token, p) in law.iter().enumerate().filter(|(_, p)| **p > 0.0) {
            self.of(token).iter().for_each(|(follower, share)| next[*follower as usize] += p * share);
        }
        next
    }

    /// How likely each token makes what is to its right where `chances` is how likely the next token makes it: P chances.
    fn before(&self, chances: &[f64]) -> Vec<f64> {
        let rest: f64 = self.initial.iter().zip(chances).map(|(p, chance)| p * chance).sum();
        let own = |token: usize| self.of(token).iter().map(|(next, p)| p * chances[*next as usize]).sum::<f64>();
        (0..chances.len()).map(|token| own(token) + self.rest[token] * rest).collect()
    }

    fn only(&self, token: u32) -> Vec<f64> {
        let mut one = vec![0.0; self.initial.len()];
        one[token as usize] = 1.0;
        one
    }

    /// The rows of places in one gap, which come in ascending order with their numbers among all that are asked about.
    fn fill(&self, tokens: &[u32], places: &[(usize, usize)], rows: &mut [f64]) -> Result<()> {
        let (Some(&(first, _)), Some(&(last, _))) = (places.first(), places.last()) else { return Ok(()) };
        let vocabulary = self.initial.len();
        let left = (0..first).rev().find(|&place| tokens[place] != self.mask());
        let right = (last..tokens.len()).find(|&place| tokens[place] != self.mask());
        let (mut at, mut law) = left.map_or_else(|| (0, self.initial.clone()), |l| (l, self.only(tokens[l])));
        for &(place, i) in places {
            for _ in at..place {
                law = self.after(&law);
            }
            at = place;
            rows[i * vocabulary..(i + 1) * vocabulary].copy_from_slice(&law);
        }
        let (mut at, mut chances) = right.map_or((last, vec![1.0; vocabulary]), |r| (r, self.only(tokens[r])));
        for &(place, i) in places.iter().rev() {
            // Where nothing is known on the right, nothing is learnt from there.
            for _ in place..right.map_or(place, |_| at) {
                chances = self.before(&chances);
            }
            at = place;
            let row = &mut rows[i * vocabulary..(i + 1) * vocabulary];
            row.iter_mut().zip(&chances).for_each(|(p, chance)| *p *= chance);
            let total = super::draw::sum(row);
            if total.is_nan() || total <= 0.0 {
                return Err(Error::numeric(
                    "Markov chain",
                    "a text of probability 0: no token fits between its neighbours",
                ));
            }
            row.iter_mut().for_each(|p| *p /= total);
        }
        Ok(())
    }
}

impl MaskedModel for MarkovChain {
    fn vocabulary(&self) -> usize {
        self.initial.len()
    }

    fn mask(&self) -> u32 {
        self.initial.len() as u32
    }

    fn predict(&self, tokens: &[u32], places: &[usize], rows: &mut [f64]) -> Result<()> {
        let mut order: Vec<(usize, usize)> = places.iter().enumerate().map(|(i, place)| (*place, i)).collect();
        order.sort_unstable();
        // Two places are in one gap where all between them are hidden.
        let one_gap =
            |a: &(usize, usize), b: &(usize, usize)| tokens[a.0..b.0].iter().all(|&token| token == self.mask());
        order.chunk_by(one_gap).try_for_each(|gap| self.fill(tokens, gap, rows))
    }
}
