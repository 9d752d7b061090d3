//! The longest passage that a text shares with others.

use quadrat_core::{Error, Result};
use rayon::prelude::*;

/// Stands between texts, and matches nothing.
const BORDER: u32 = u32::MAX;

/// Texts that others may quote, indexed by a suffix array (Manber and Myers 1993): all their suffixes in order, so that the longest match
/// of any beginning is next to where it would stand. Built by doubling in O(n log^2 n) time whatever the texts repeat, 4 bytes a token beside
/// the text, and 20 while it is built.
#[derive(Debug, Clone)]
pub struct Sources {
    tokens: Vec<u32>,
    /// Where each text begins.
    starts: Vec<usize>,
    /// Where suffixes begin, in the order of what stands there.
    suffixes: Vec<u32>,
}

/// A passage that a text shares with a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quote {
    /// Its tokens; 0 where not even one is shared.
    pub tokens: usize,
    /// Where it begins in the text.
    pub at: usize,
    /// The source.
    pub source: usize,
    /// Where it begins there.
    pub from: usize,
}

impl Sources {
    /// Indexes texts.
    ///
    /// # Errors
    /// Tokens of the highest number there is, or 2^31 of them and more.
    pub fn new(texts: &[Vec<u32>]) -> Result<Self> {
        let all: usize = texts.iter().map(|text| text.len() + 1).sum();
        if all >= 1 << 31 {
            return Err(Error::input("tokens of the sources", all, "below 2^31: take a part of them"));
        }
        let (mut tokens, mut starts) = (Vec::with_capacity(all), Vec::with_capacity(texts.len()));
        for text in texts {
            if text.contains(&BORDER) {
                return Err(Error::input("token", BORDER, "below 2^32 - 1"));
            }
            starts.push(tokens.len());
            tokens.extend_from_slice(text);
            tokens.push(BORDER);
        }
        let suffixes = suffix_array(&tokens);
        Ok(Sources { tokens, starts, suffixes })
    }

    /// The longest passage that a text shares with a source, of several the first in the text, and of its sources any.
    pub fn longest_quote(&self, text: &[u32]) -> Quote {
        let mut longest = Quote::default();
        for at in 0..text.len() {
            if text.len() - at <= longest.tokens {
                break;
            }
            let place = self.suffixes.partition_point(|&suffix| self.tokens[suffix as usize..] < text[at..]);
            for suffix in
                [place.checked_sub(1), Some(place)].into_iter().flatten().filter_map(|at| self.suffixes.get(at))
            {
                let suffix = *suffix as usize;
                let common = self.tokens[suffix..].iter().zip(&text[at..]).take_while(|(a, b)| a == b && **a != BORDER);
                let tokens = common.count();
                if tokens > longest.tokens {
                    let source = self.starts.partition_point(|start| *start <= suffix) - 1;
                    longest = Quote { tokens, at, source, from: suffix - self.starts[source] };
                }
            }
        }
        longest
    }

    /// The same for many texts.
    pub fn longest_quotes(&self, texts: &[Vec<u32>]) -> Vec<Quote> {
        texts.par_iter().map(|text| self.longest_quote(text)).collect()
    }
}

/// Suffixes in order: by their first token, then by twice as many as before, until no two agree.
fn suffix_array(tokens: &[u32]) -> Vec<u32> {
    let n = tokens.len();
    let mut ranks: Vec<u32> = tokens.to_vec();
    let mut suffixes: Vec<(u64, u32)> = Vec::with_capacity(n);
    let mut length = 0;
    loop {
        // What ends comes before what goes on.
        let later = |at: usize| ranks.get(at + length).filter(|_| length > 0).map_or(0, |rank| u64::from(*rank) + 1);
        suffixes.clear();
        suffixes.extend((0..n).map(|at| (u64::from(ranks[at]) << 32 | later(at), at as u32)));
        suffixes.par_sort_unstable();
        let (mut last, mut different) = (None, 0_u32);
        for (key, at) in &suffixes {
            different += u32::from(last.is_some_and(|last| last != key));
            last = Some(key);
            ranks[*at as usize] = different;
        }
        if different as usize + 1 >= n {
            return suffixes.into_iter().map(|(_, at)| at).collect();
        }
        length = (2 * length).max(1);
    }
}
