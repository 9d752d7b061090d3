//! AriEL: every sentence of a language model is a box in the unit cube, as large as the sentence is probable.
//!
//! Celotti, Brodeur and Rouat, "AriEL: volume coding for sentence generation", 2020 (arXiv 2003.13600, id not verified; an earlier form in
//! arXiv 1911.02002). Token after token the cube is cut along one axis after the other (a k-d tree), each time into one piece a token, as
//! wide as the model says that the token is probable (arithmetic coding): token j cuts axis j mod d. So a sentence becomes a point and the
//! point the sentence, without training and without loss, and a point that is uniform in the cube becomes a sentence that is drawn from
//! the model, exactly: which makes evenly spread points (Sobol', a lattice) evenly spread sentences. A lattice on one axis is what Vilnis
//! et al. 2023 (arXiv 2210.15458) call arithmetic sampling.
//!
//! [`AriEl::encode`] and [`AriEl::decode`] are the paper's, with numbers of double precision, which have room for some 50 bits an axis and
//! say when a sentence asks for more. [`AriEl::encode_exact`] and [`AriEl::decode_exact`] have a range coder for each axis instead and no
//! limit. Both cut by the same integer [`Frequencies`], so that what encodes and what decodes see the same pieces to the last bit.
//!
//! Chosen here: pieces are closed below and open above. A token that cannot come has no piece; every other has at least 2^-30 of its
//! axis. A point outside the cube is moved to its nearest point once (the authors' program keeps away from the edges at every step). The
//! order of the tokens along an axis is that of their numbers: it decides which sentences are neighbours, and nothing else.

mod exact;

pub use exact::{ExactBox, PointSet};

use crate::coder::{Frequencies, Interval, PARTS};
use crate::{BoxedState, LanguageModel, softmax};
use quadrat_core::{Area, Card, Error, Method, Result, Settings};

/// How sentences are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub struct VolumeCoding {
    /// Dimensions d of a point.
    #[param(default = 16, from = 1)]
    pub dims: usize,
    /// Tokens after which a sentence that has not ended is cut off when it is decoded.
    #[param(default = 100, from = 1)]
    pub longest: usize,
}

impl Method for VolumeCoding {
    const CARD: Card = Card {
        slug: "ariel-volume-coding",
        aliases: &["ariel"],
        title: "AriEL: volume coding of sentences",
        paper: "Celotti, Brodeur and Rouat, AriEL: volume coding for sentence generation, 2020, arXiv 2003.13600",
        area: Area::Language,
        verbs: &["language encode", "language decode"],
        summary: "Turns sentences into points of the unit cube and back without loss, by any language model and without training: each \
                  sentence owns a box whose volume is its probability, so uniform points are exact draws and even points even ones.",
        useful_when: "a continuous latent space of sentences; text as vectors that decode again; stratified or quasi-random samples from a \
                      language model; compress text with a language model",
        cost: "one score of the model a token; beside it O(vocabulary) a token for the table and O(log vocabulary) for the search",
        params: Self::PARAMS,
    };
}

/// A language model as a coder.
///
/// ```
/// use quadrat_language::ariel::{AriEl, VolumeCoding};
/// use quadrat_language::from_fn;
/// // Of three tokens the first two are as probable as each other, and the third half as much.
/// let model = from_fn(3, |_: &[u32], scores: &mut [f32]| {
///     scores.copy_from_slice(&[0.4_f32.ln(), 0.4_f32.ln(), 0.2_f32.ln()]);
/// });
/// let coder = AriEl::new(&model, VolumeCoding { dims: 2, longest: 3 });
/// let own = coder.encode(&[1, 0, 2])?;
/// assert!((own.log_volume.exp() - 0.4 * 0.4 * 0.2).abs() < 1e-8);
/// assert_eq!(coder.decode(&own.centre())?.tokens, [1, 0, 2]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct AriEl<'m> {
    model: &'m dyn LanguageModel,
    coding: VolumeCoding,
    prompt: Vec<u32>,
}

/// The box of a sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeBox {
    /// Its lowest corner, which belongs to it.
    pub low: Vec<f64>,
    /// Its highest corner, which does not.
    pub up: Vec<f64>,
    /// Natural logarithm of its volume, which is the sentence's probability.
    pub log_volume: f64,
}

impl VolumeBox {
    /// The point in its middle.
    pub fn centre(&self) -> Vec<f64> {
        self.low.iter().zip(&self.up).map(|(low, up)| Side { low: *low, up: *up }.middle()).collect()
    }
}

/// The sentence of a point.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Its tokens, the one that ends it included.
    pub tokens: Vec<u32>,
    /// Whether it ended, or was cut off.
    pub ended: bool,
    /// Natural logarithm of the probability of these tokens.
    pub log_volume: f64,
}

impl<'m> AriEl<'m> {
    /// A coder of the sentences of a model.
    pub fn new(model: &'m dyn LanguageModel, coding: VolumeCoding) -> Self {
        AriEl { model, coding, prompt: Vec::new() }
    }

    /// The same for what comes after a prompt, which is not coded.
    pub fn after(self, prompt: &[u32]) -> Self {
        AriEl { prompt: prompt.to_vec(), ..self }
    }

    /// The box of a sentence. One that does not end with a token that ends a text has the box of all that begin so.
    ///
    /// # Errors
    /// No dimensions; a token that is none of the model's, cannot come where it stands, or comes after the end; more tokens than the model
    /// takes; a box that is too narrow for double precision.
    pub fn encode(&self, sentence: &[u32]) -> Result<VolumeBox> {
        let mut walk = self.walk()?;
        let mut sides = vec![Side { low: 0.0, up: 1.0 }; self.coding.dims];
        let mut log_volume = 0.0;
        for j in 0..sentence.len() {
            let piece = walk.piece(sentence, j)?;
            let side = &mut sides[j % self.coding.dims];
            *side = side.cut(piece, j)?;
            log_volume += piece.share().ln();
        }
        let corner = |of: fn(&Side) -> f64| sides.iter().map(of).collect();
        Ok(VolumeBox { low: corner(|side| side.low), up: corner(|side| side.up), log_volume })
    }

    /// The sentence in whose box a point lies, or its first `longest` tokens.
    ///
    /// # Errors
    /// No dimensions; a point of another number of them, or with a coordinate that is no finite number; a box that is too narrow for
    /// double precision.
    pub fn decode(&self, point: &[f64]) -> Result<Decoded> {
        let mut walk = self.walk()?;
        let z = self.inside(point)?;
        let mut sides = vec![Side { low: 0.0, up: 1.0 }; z.len()];
        let mut decoded = Decoded::nothing();
        while !decoded.ended && decoded.tokens.len() < self.coding.longest {
            let j = decoded.tokens.len();
            let (side, z) = (&mut sides[j % z.len()], z[j % z.len()]);
            let table = walk.table(decoded.tokens.last())?;
            let token = table.symbol_by(|start| side.at(start) <= z);
            let piece = table.interval(token);
            *side = side.cut(piece, j)?;
            decoded.add(token as u32, piece, walk.ends);
        }
        Ok(decoded)
    }

    /// A number that two coders share if they cut alike, and in all likelihood only then: it depends on the dimensions, the prompt, and
    /// the tables after the prompt and after the likeliest tokens that follow. Keep it beside saved points.
    ///
    /// # Errors
    /// As [`decode`](AriEl::decode).
    pub fn digest(&self) -> Result<u64> {
        // FNV-1a.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut add = |number: u64| {
            number.to_le_bytes().iter().for_each(|b| hash = (hash ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
        };
        let mut walk = self.walk()?;
        [self.coding.dims as u64, self.prompt.len() as u64].into_iter().for_each(&mut add);
        self.prompt.iter().for_each(|token| add(u64::from(*token)));
        let mut last = None;
        for _ in 0..DIGESTED.min(self.coding.longest) {
            let table = walk.table(last.as_ref())?;
            table.cumulative().iter().for_each(|sum| add(u64::from(*sum)));
            last = table.likeliest().map(|token| token as u32).filter(|token| !walk.ends.contains(token));
            if last.is_none() {
                break;
            }
        }
        Ok(hash)
    }

    /// The point, moved into the cube.
    fn inside(&self, point: &[f64]) -> Result<Vec<f64>> {
        if point.len() != self.coding.dims {
            return Err(Error::input(
                "point",
                format!("{} dimensions", point.len()),
                format!("{}, as coded", self.coding.dims),
            ));
        }
        if let Some((at, z)) = point.iter().enumerate().find(|(_, z)| !z.is_finite()) {
            return Err(Error::input(format!("coordinate {} of a point", at + 1), z, "a finite number"));
        }
        Ok(point.iter().map(|z| z.clamp(0.0, 1.0 - f64::EPSILON / 2.0)).collect())
    }

    fn walk(&self) -> Result<Walk<'m>> {
        if self.coding.dims == 0 {
            return Err(Error::input("dims", 0, "at least 1"));
        }
        let mut state = self.model.begin();
        state.push(&self.prompt)?;
        let scores = vec![0.0; self.model.vocabulary()];
        let (probabilities, table) = (Vec::new(), Frequencies::default());
        Ok(Walk { state, prompt: self.prompt.len(), ends: self.model.ends(), scores, probabilities, table })
    }
}

/// Steps whose tables are in a digest.
const DIGESTED: usize = 4;

impl Decoded {
    fn nothing() -> Self {
        Decoded { tokens: Vec::new(), ended: false, log_volume: 0.0 }
    }

    fn add(&mut self, token: u32, piece: Interval, ends: &[u32]) {
        self.tokens.push(token);
        self.ended = ends.contains(&token);
        self.log_volume += piece.share().ln();
    }
}

/// One side of a box.
#[derive(Debug, Clone, Copy)]
struct Side {
    low: f64,
    up: f64,
}

impl Side {
    /// Where a part of the table begins. Neighbours have their border from here, the same number.
    fn at(self, part: u32) -> f64 {
        match part {
            PARTS => self.up,
            part => self.low + (self.up - self.low) * (f64::from(part) / f64::from(PARTS)),
        }
    }

    fn middle(self) -> f64 {
        self.low + (self.up - self.low) / 2.0
    }

    /// The piece of token j.
    fn cut(self, piece: Interval, j: usize) -> Result<Side> {
        let side = Side { low: self.at(piece.start), up: self.at(piece.end) };
        if side.low < side.middle() && side.middle() < side.up {
            return Ok(side);
        }
        let why = format!(
            "at token {} the box is too narrow for double precision: use more dimensions, or code exactly",
            j + 1
        );
        Err(Error::numeric("AriEL", why))
    }
}

/// A text that grows token by token, and the table of what comes next.
struct Walk<'m> {
    state: BoxedState<'m>,
    prompt: usize,
    ends: &'m [u32],
    scores: Vec<f32>,
    probabilities: Vec<f64>,
    table: Frequencies,
}

impl Walk<'_> {
    /// Back to the prompt.
    fn again(&mut self) {
        self.state.truncate(self.prompt);
    }

    /// The table of what comes next, once the token before it is there.
    fn table(&mut self, before: Option<&u32>) -> Result<&Frequencies> {
        if let Some(token) = before {
            self.state.push(&[*token])?;
        }
        self.state.scores(&mut self.scores)?;
        softmax(&self.scores, &mut self.probabilities);
        self.table.set(&self.probabilities)?;
        Ok(&self.table)
    }

    /// The piece of token j of a sentence, once those before it were asked for.
    fn piece(&mut self, sentence: &[u32], j: usize) -> Result<Interval> {
        let wrong = |want| Error::input(format!("token {} of a sentence", j + 1), sentence[j], want);
        if sentence[j] as usize >= self.scores.len() {
            return Err(wrong(format!("below {}, the vocabulary's size", self.scores.len())));
        }
        let before = j.checked_sub(1).map(|before| &sentence[before]);
        if before.is_some_and(|token| self.ends.contains(token)) {
            return Err(wrong("nothing after the token that ends a text".into()));
        }
        match self.table(before)?.interval(sentence[j] as usize) {
            piece if piece.is_empty() => {
                Err(wrong("it has probability 0 under the model there, so the sentence has no box".into()))
            }
            piece => Ok(piece),
        }
    }
}

#[cfg(test)]
mod tests;
