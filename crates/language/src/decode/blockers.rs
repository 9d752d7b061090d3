//! What may not be said.

/// Forbids tokens by what came before.
pub trait Blocker: Send + Sync {
    /// Adds the tokens that may not come after `history`.
    fn forbid(&self, history: &[u32], out: &mut Vec<u32>);
}

/// No run of `n` tokens comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRepeat {
    /// Tokens of a run, at least 1; with 1 no token comes twice.
    pub n: usize,
}

impl Blocker for NoRepeat {
    fn forbid(&self, history: &[u32], out: &mut Vec<u32>) {
        let n = self.n.max(1);
        if history.len() >= n {
            let beginning = &history[history.len() + 1 - n..];
            out.extend(history.windows(n).filter(|run| &run[..n - 1] == beginning).map(|run| run[n - 1]));
        }
    }
}

/// No run of `n` tokens of given texts comes.
///
/// The texts are kept whole, with the places of all runs in the order of what stands there: O(tokens) memory, and a logarithm of that
/// for a step.
///
/// ```
/// use quadrat_language::decode::{Blocker, Quotes};
/// let quotes = Quotes::new(&[vec![5, 6, 7, 8], vec![1, 6, 7, 9]], 3);
/// let mut forbidden = Vec::new();
/// quotes.forbid(&[0, 6, 7], &mut forbidden);
/// assert_eq!(forbidden, [8, 9]);
/// ```
#[derive(Debug, Clone)]
pub struct Quotes {
    n: usize,
    text: Vec<u32>,
    /// Where a run of `n` tokens begins, in lexicographic order of the runs.
    places: Vec<usize>,
}

impl Quotes {
    /// Forbids the runs of `n` tokens (at least 1) of `texts`; no run spans two texts.
    pub fn new(texts: &[Vec<u32>], n: usize) -> Self {
        let n = n.max(1);
        let text: Vec<u32> = texts.concat();
        let mut places = Vec::new();
        let mut start = 0;
        for one in texts {
            places.extend(start..start + (one.len() + 1).saturating_sub(n));
            start += one.len();
        }
        places.sort_unstable_by(|&a, &b| text[a..a + n].cmp(&text[b..b + n]));
        places.dedup_by(|a, b| text[*a..*a + n] == text[*b..*b + n]);
        Quotes { n, text, places }
    }
}

impl Blocker for Quotes {
    fn forbid(&self, history: &[u32], out: &mut Vec<u32>) {
        let Some(from) = (history.len() + 1).checked_sub(self.n) else { return };
        let beginning = &history[from..];
        let run = |place: usize| &self.text[place..place + self.n - 1];
        let first = self.places.partition_point(|&place| run(place) < beginning);
        let same = self.places[first..].iter().take_while(|&&place| run(place) == beginning);
        out.extend(same.map(|&place| self.text[place + self.n - 1]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_would_come_twice_are_forbidden() {
        for (n, history, want) in [
            (1, vec![3, 4], vec![3, 4]),
            (2, vec![1, 2, 1], vec![2]),
            (3, vec![1, 2, 3, 1, 2, 4, 1, 2], vec![3, 4]),
            (3, vec![1, 2], vec![]),
            (5, vec![], vec![]),
        ] {
            let mut out = Vec::new();
            NoRepeat { n }.forbid(&history, &mut out);
            assert_eq!(out, want, "{n} {history:?}");
        }
    }

    #[test]
    fn quotes_do_not_span_texts() {
        let texts = [vec![1, 2], vec![3, 4], vec![], vec![9]];
        let forbidden = |n: usize, history: &[u32]| {
            let mut out = Vec::new();
            Quotes::new(&texts, n).forbid(history, &mut out);
            out
        };
        assert_eq!(forbidden(2, &[1]), [2]);
        assert!(forbidden(2, &[2]).is_empty(), "2 and 3 stand in two texts");
        assert_eq!(forbidden(1, &[]), [1, 2, 3, 4, 9]);
        assert!(forbidden(3, &[1, 2]).is_empty() && forbidden(2, &[]).is_empty());
    }
}
