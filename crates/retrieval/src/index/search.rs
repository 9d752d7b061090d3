//! The best documents of one segment, by three exact strategies that return the same list.
//!
//! A document's score is the sum of what its postings add, in single precision, the heaviest term first: the same sum in
//! every strategy, so ties are the same as well. Bounds never cut off a document that ties with the last one.

use super::postings::{Bound, Cursor, END, Head};
use quadrat_core::Choice;
use std::cmp::Ordering;

/// How the best documents are found; all strategies return the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Choice)]
pub enum Strategy {
    /// The one that the lengths of the lists speak for.
    #[default]
    Auto,
    /// Term at a time: adds up every posting (cost: all postings of the query's terms).
    Taat,
    /// MaxScore (Turtle and Flood 1995): document at a time; terms that cannot lift a document among the best are only looked
    /// up.
    MaxScore,
    /// Windows of documents, the most promising first, until no other can hold one of the best (block-max pruning,
    /// Mallia, Suel and Tonellotto 2024).
    BlockMax,
}

/// A document and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Number of the document, in the order in which documents were added.
    pub document: u32,
    /// Its score.
    pub score: f32,
}

/// The better one is greater: by score, then by the lower number.
impl Ord for Hit {
    fn cmp(&self, other: &Hit) -> Ordering {
        self.score.total_cmp(&other.score).then(other.document.cmp(&self.document))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Hit) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Hit {}

/// The best documents so far. A few are kept in order; of many, twice as many as wanted are kept before the worse half is
/// dropped, which costs less a document than keeping order, and the threshold rises later.
#[derive(Debug)]
pub struct Best {
    k: usize,
    held: Vec<Hit>,
    threshold: f32,
}

/// Documents that are kept in order.
const FEW: usize = 64;

impl Best {
    /// At most `k` documents.
    pub fn new(k: usize) -> Best {
        Best { k, held: Vec::with_capacity(2 * k.min(1 << 12)), threshold: f32::MIN_POSITIVE }
    }

    /// Below it no score counts any more.
    #[inline]
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    fn offer(&mut self, hit: Hit) {
        if hit.score < self.threshold {
            return;
        }
        if self.k <= FEW {
            let place = self.held.partition_point(|held| *held > hit);
            if self.held.len() == self.k {
                if place == self.k {
                    return;
                }
                self.held.pop();
            }
            self.held.insert(place, hit);
        } else {
            self.held.push(hit);
        }
        if self.held.len() == self.k && self.k <= FEW || self.held.len() >= 2 * self.k {
            self.drop_worse();
        }
    }

    fn drop_worse(&mut self) {
        if self.held.len() > self.k {
            self.held.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
            self.held.truncate(self.k);
        }
        if let Some(last) = self.held.get(self.k - 1) {
            self.threshold = last.score;
        }
    }

    /// Best first.
    pub fn finish(mut self) -> Vec<Hit> {
        self.drop_worse();
        self.held.sort_unstable_by(|a, b| b.cmp(a));
        self.held
    }
}

/// What a posting adds to a score.
pub trait Weigh: Sync {
    /// Whether a posting costs so little that looking one up never pays.
    const LIGHT: bool = false;
    /// A value in a document, for a term of the query of this weight; never negative.
    fn weigh(&self, weight: f32, value: u32, doc: u32) -> f32;
    /// At least what any posting within the bound adds.
    fn most(&self, weight: f32, bound: Bound) -> f32;
}

/// A term of a query in one segment.
pub struct Term<'a> {
    /// Its list.
    pub cursor: Cursor<'a>,
    /// How much it counts.
    pub weight: f32,
}

/// What a search needs to know of a segment.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// Number of documents.
    pub documents: u32,
    /// Number of its first document among all segments'.
    pub base: u32,
    /// Which documents may be found.
    pub allowed: &'a dyn Fn(u32) -> bool,
}

/// A segment, and what its postings add.
pub struct Scope<'a, W> {
    /// What postings add.
    pub weigh: &'a W,
    /// The segment.
    pub part: Part<'a>,
}

/// Documents of which one byte says whether any has a sum: a bit would have to be read before it is written, after the one before it.
const GROUP: usize = 16;
/// 64 of such groups. Tests have few documents.
const WORDS: usize = if cfg!(test) { 1 } else { 4 };
/// Documents that are added up together; their sums lie in the fastest cache.
const WINDOW: usize = GROUP * 64 * WORDS;

/// Sums of a window's documents, 0 between windows.
pub struct Sums {
    sums: [f32; WINDOW],
    /// 1 or 0, in eights that are looked at together.
    touched: [[u8; 8]; WINDOW / GROUP / 8],
}

impl Sums {
    /// All 0.
    pub fn new() -> Box<Sums> {
        Box::new(Sums { sums: [0.0; WINDOW], touched: [[0; 8]; WINDOW / GROUP / 8] })
    }
}

impl<W: Weigh> Scope<'_, W> {
    /// Offers the segment's documents to `best`; the heaviest term comes first.
    pub fn search(&self, terms: &mut [Term], strategy: Strategy, best: &mut Best, sums: &mut Sums) {
        match strategy {
            Strategy::Auto => self.search(terms, self.fastest(terms, best), best, sums),
            Strategy::Taat => self.taat(terms, best, sums),
            Strategy::MaxScore => self.max_score(terms, best, sums),
            Strategy::BlockMax => self.block_max(terms, best, sums),
        }
    }

    /// As measured over 118,000 definitions of 10 words: looking up pays where few are wanted and lists are long. Impacts are added up
    /// faster than looked up, over a million documents of 120 words, too.
    fn fastest(&self, terms: &[Term], best: &Best) -> Strategy {
        let postings: usize = terms.iter().map(|term| term.cursor.list.count).sum();
        let long = postings > self.part.documents as usize / 16;
        if long && best.k <= FEW && !W::LIGHT { Strategy::MaxScore } else { Strategy::Taat }
    }

    fn taat(&self, terms: &mut [Term], best: &mut Best, sums: &mut Sums) {
        while let Some(low) = next_window(terms) {
            self.add(terms, low, sums);
            self.harvest(low, sums, best, 0.0, |_, sum, _| Some(sum));
        }
    }

    /// Only documents that have one of the essential terms are added up: all others' terms together are worth less than the
    /// last of the best. What the other terms add is looked up for the documents that it may lift.
    fn max_score(&self, terms: &mut [Term], best: &mut Best, sums: &mut Sums) {
        // What each term and all lighter ones add at most.
        let mut reach: Vec<f32> =
            terms.iter().map(|term| self.weigh.most(term.weight, term.cursor.list.bound)).collect();
        for term in (1..reach.len()).rev() {
            reach[term - 1] += reach[term];
        }
        // Sums in another order may be larger by rounding.
        let slack = 1.0 + (terms.len() + 1) as f32 * f32::EPSILON;
        reach.iter_mut().for_each(|reach| *reach *= slack);
        let mut essential = terms.len();
        loop {
            while essential > 0 && reach[essential - 1] < best.threshold() {
                essential -= 1;
            }
            let (heavy, light) = terms.split_at_mut(essential);
            let Some(low) = next_window(heavy) else { return };
            self.add(heavy, low, sums);
            let reach = reach.get(essential..).unwrap_or_default();
            self.harvest(low, sums, best, reach.first().copied().unwrap_or(0.0), |doc, mut sum, threshold| {
                for (Term { cursor, weight }, reach) in light.iter_mut().zip(reach) {
                    if (sum + reach) * slack < threshold {
                        return None;
                    }
                    cursor.seek(doc);
                    if cursor.doc() == doc {
                        sum += self.weigh.weigh(*weight, cursor.value(), doc);
                    }
                }
                Some(sum)
            });
        }
    }

    /// Adds what the window's postings are worth, term by term.
    fn add(&self, terms: &mut [Term], low: u32, sums: &mut Sums) {
        let end = low.saturating_add(WINDOW as u32);
        for Term { cursor, weight } in terms {
            while cursor.doc() < end {
                let (docs, values) = cursor.run(end);
                for (&doc, &value) in docs.iter().zip(values) {
                    let at = (doc - low) as usize & (WINDOW - 1);
                    sums.sums[at] += self.weigh.weigh(*weight, value, doc);
                    sums.touched[at / GROUP / 8][at / GROUP % 8] = 1;
                }
                cursor.refill();
            }
        }
    }

    /// Offers the window's documents that can be among the best when at most `more` is added, and clears the sums. `finish`
    /// adds it, or sees that it is not enough.
    fn harvest(
        &self,
        low: u32,
        sums: &mut Sums,
        best: &mut Best,
        more: f32,
        mut finish: impl FnMut(u32, f32, f32) -> Option<f32>,
    ) {
        let slack = 1.0 + 4.0 * f32::EPSILON;
        let hopeful = |sum: f32, best: &Best| (sum + more) * slack >= best.threshold();
        for eight in 0..sums.touched.len() {
            let mut touched = u64::from_le_bytes(std::mem::take(&mut sums.touched[eight]));
            while touched != 0 {
                let first = (8 * eight + touched.trailing_zeros() as usize / 8) * GROUP;
                touched &= touched - 1;
                let sums = &mut sums.sums[first..first + GROUP];
                let largest = sums.iter().fold(0.0_f32, |a, &b| if a > b { a } else { b });
                if hopeful(largest, best) {
                    for (doc, &sum) in (low + first as u32..).zip(sums.iter()) {
                        if sum > 0.0
                            && hopeful(sum, best)
                            && (self.part.allowed)(doc)
                            && let Some(score) = finish(doc, sum, best.threshold())
                        {
                            best.offer(Hit { document: self.part.base + doc, score });
                        }
                    }
                }
                sums.fill(0.0);
            }
        }
    }

    /// Windows in the order of what their documents can be worth at most.
    fn block_max(&self, terms: &mut [Term], best: &mut Best, sums: &mut Sums) {
        let windows = (self.part.documents as usize).div_ceil(WINDOW);
        // Sums of bounds in the terms' order are bounds of the sums: rounding keeps the order of numbers.
        let mut bounds = vec![0.0_f32; windows];
        let mut most = vec![0.0_f32; windows];
        for term in terms.iter() {
            self.window_bounds(term, &mut most);
            bounds.iter_mut().zip(&most).for_each(|(bound, most)| *bound += most);
        }
        let mut order: Vec<u32> = (0..windows as u32).collect();
        order.sort_by(|a, b| bounds[*b as usize].total_cmp(&bounds[*a as usize]).then(a.cmp(b)));
        for window in order {
            if bounds[window as usize] < best.threshold() {
                return;
            }
            let low = window * WINDOW as u32;
            terms.iter_mut().for_each(|term| term.cursor.rewind(low));
            self.add(terms, low, sums);
            self.harvest(low, sums, best, 0.0, |_, sum, _| Some(sum));
        }
    }

    /// The most that a term adds to a document of each window.
    fn window_bounds(&self, term: &Term, most: &mut [f32]) {
        most.fill(0.0);
        let list = term.cursor.list;
        let mut first = 0;
        for Head { last, bound, .. } in list.blocks() {
            let bound = self.weigh.most(term.weight, bound);
            let span = first as usize / WINDOW..=last as usize / WINDOW;
            most.get_mut(span).unwrap_or_default().iter_mut().for_each(|most| *most = most.max(bound));
            first = last + 1;
        }
        if let Some(rest) = most.get_mut(first as usize / WINDOW..)
            && list.has_rest()
        {
            let bound = self.weigh.most(term.weight, list.bound);
            rest.iter_mut().for_each(|most| *most = most.max(bound));
        }
    }
}

/// The first document of the window that holds the next posting.
fn next_window(terms: &[Term]) -> Option<u32> {
    let next = terms.iter().map(|term| term.cursor.doc()).min().filter(|doc| *doc != END)?;
    Some(next - next % WINDOW as u32)
}
