//! BM25: how much a word in a document says about what the document is about.
//!
//! Robertson, Walker, Jones, Hancock-Beaulieu and Gatford, Okapi at TREC-3, 1994; the forms are those that Kamphuis, de
//! Vries, Boytsov and Lin tell apart ("Which BM25 Do You Mean?", ECIR 2020).

use crate::index::{Bound, Weigh};
use quadrat_core::{Area, Card, Choice, Method, Settings};
use serde::{Deserialize, Serialize};

/// BM25: parameters.
///
/// A word that `d` of `n` documents use and that occurs `f` times in a document of `l` words adds, with
/// `K = k1 (1 - b + b l / mean length)`:
///
/// | form | adds |
/// |---|---|
/// | `lucene` | `ln(1 + (n - d + 0.5) / (d + 0.5)) f / (f + K)` |
/// | `robertson` | `max(0, ln((n - d + 0.5) / (d + 0.5))) f / (f + K)` |
/// | `atire` | `ln(n / d) (k1 + 1) f / (f + K)` |
/// | `plus` | `ln((n + 1) / d) ((k1 + 1) f / (f + K) + delta)` |
/// | `l` | `ln((n + 1) / (d + 0.5)) (k1 + 1) (c + delta) / (k1 + c + delta)`, `c = k1 f / K` |
///
/// `plus` and `l` add something for a word that a document lacks (`f = 0`), too: the same for each such document.
#[derive(Debug, Clone, Copy, PartialEq, Settings, Serialize, Deserialize)]
pub struct Bm25 {
    /// How soon more occurrences of a word say no more; 0 counts presence only.
    #[param(default = 0.9, from = 0)]
    pub k1: f64,
    /// How much long documents are held back: 0 not at all, 1 in full.
    #[param(default = 0.4, from = 0, to = 1)]
    pub b: f64,
    /// The formula.
    #[param(default = Form::Lucene)]
    pub form: Form,
    /// What presence alone adds.
    #[param(default = 0.5, from = 0, only = ("form", &["plus", "l"]))]
    pub delta: f64,
}

/// Forms of BM25.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Never negative, without the constant factor `k1 + 1`: Lucene's since version 8.
    Lucene,
    /// The original, where words of half of all documents and more say nothing.
    Robertson,
    /// Of the engine ATIRE.
    Atire,
    /// BM25+ (Lv and Zhai 2011): long documents are not held back below a word's presence.
    Plus,
    /// BM25L (Lv and Zhai 2011).
    L,
}

impl Method for Bm25 {
    const CARD: Card = Card {
        slug: "bm25",
        aliases: &["okapi", "bm25+", "bm25l"],
        title: "BM25",
        paper: "Robertson, Walker, Jones, Hancock-Beaulieu, Gatford, Okapi at TREC-3, 1994",
        area: Area::Retrieval,
        verbs: &["retrieve index"],
        summary: "Ranks documents by the rare words they share with a query, with less and less for repetitions and for \
                  length.",
        useful_when: "search texts by words, keyword search, full-text index, first baseline of any retrieval",
        cost: "time of an index O(words), of a query O(postings of its words) or less; memory of an index 1 to 3 bytes \
               a posting, on disk and mapped",
        params: Self::PARAMS,
    };
}

impl Bm25 {
    /// What a word of `df` of `n` documents weighs in a query.
    pub(crate) fn weight(&self, df: u64, n: u64) -> f32 {
        let (df, n) = (df as f64, n as f64);
        (match self.form {
            Form::Lucene => (1.0 + (n - df + 0.5) / (df + 0.5)).ln(),
            Form::Robertson => ((n - df + 0.5) / (df + 0.5)).ln().max(0.0),
            Form::Atire => (n / df).ln() * (self.k1 + 1.0),
            Form::Plus => ((n + 1.0) / df).ln() * (self.k1 + 1.0),
            Form::L => ((n + 1.0) / (df + 0.5)).ln() * (self.k1 + 1.0),
        }) as f32
    }

    /// What a word of that weight adds to a document without it.
    pub(crate) fn absent(&self, weight: f32) -> f32 {
        (match self.form {
            Form::Plus => self.delta / (self.k1 + 1.0),
            Form::L if self.delta > 0.0 => self.delta / (self.k1 + self.delta),
            _ => 0.0,
        } * f64::from(weight)) as f32
    }

    /// `K` of a document of that length.
    pub(crate) fn norm(&self, length: u32, mean: f64) -> f32 {
        let share = if mean > 0.0 { f64::from(length) / mean } else { 0.0 };
        (self.k1 * (1.0 - self.b + self.b * share)) as f32
    }
}

/// `f / (f + K)`, for all forms but `l`.
pub(crate) struct Saturating<'a> {
    pub bm25: Bm25,
    pub mean: f64,
    /// `K` of each document.
    pub norms: &'a [f32],
}

/// Rounding must not make a bound smaller than what it bounds.
const ROUNDED: f32 = 1.0 + 4.0 * f32::EPSILON;

impl Weigh for Saturating<'_> {
    #[inline]
    fn weigh(&self, weight: f32, value: u32, doc: u32) -> f32 {
        let f = value as f32;
        weight * (f / (f + self.norms.get(doc as usize).copied().unwrap_or_default()))
    }

    fn most(&self, weight: f32, bound: Bound) -> f32 {
        let f = bound.most as f32;
        weight * (f / (f + self.bm25.norm(bound.least, self.mean))) * ROUNDED
    }
}

/// BM25L, less what a document without the word has.
pub(crate) struct Lifted<'a>(pub Saturating<'a>);

impl Lifted<'_> {
    fn of(&self, weight: f32, value: u32, norm: f32) -> f32 {
        let (k1, delta) = (self.0.bm25.k1, self.0.bm25.delta);
        let c = k1 * f64::from(value) / f64::from(norm) + delta;
        // With k1 = 0 presence is all that counts, and with a norm of 0 repetition is infinite.
        let present = if c.is_finite() { c / (k1 + c) } else { 1.0 };
        let absent = if delta > 0.0 { delta / (k1 + delta) } else { 0.0 };
        (f64::from(weight) * (present - absent)) as f32
    }
}

impl Weigh for Lifted<'_> {
    #[inline]
    fn weigh(&self, weight: f32, value: u32, doc: u32) -> f32 {
        self.of(weight, value, self.0.norms.get(doc as usize).copied().unwrap_or_default())
    }

    fn most(&self, weight: f32, bound: Bound) -> f32 {
        self.of(weight, bound.most, self.0.bm25.norm(bound.least, self.0.mean)) * ROUNDED
    }
}
