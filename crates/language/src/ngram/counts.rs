//! Counts of n-grams.

/// The n-grams of one order that end with a token, in lexicographic order, and their counts.
pub struct Counted {
    pub length: usize,
    /// The n-grams' tokens, one n-gram behind the other.
    pub grams: Vec<u32>,
    pub counts: Vec<u64>,
}

impl Counted {
    /// How often each n-gram occurs in texts of which each begins with a mark.
    pub fn occurrences(marked: &[Vec<u32>], length: usize) -> Counted {
        // A gram of the mark alone ends with no token.
        let grams =
            marked.iter().flat_map(|text| text.windows(length)).filter(|gram| length > 1 || gram[0] != marked[0][0]);
        Counted::runs(length, grams.collect())
    }

    /// In how many different contexts each n-gram that is one token shorter than `longer` stands; of those that begin a text, with
    /// nothing before them, how often.
    pub fn contexts(longer: &Counted, marked: &[Vec<u32>]) -> Counted {
        let length = longer.length - 1;
        let inner = longer.grams.chunks_exact(longer.length).map(|gram| &gram[1..]);
        let first = marked.iter().filter(|text| length > 1 && text.len() >= length).map(|text| &text[..length]);
        Counted::runs(length, inner.chain(first).collect())
    }

    fn runs(length: usize, mut grams: Vec<&[u32]>) -> Counted {
        grams.sort_unstable();
        let mut counted = Counted { length, grams: Vec::new(), counts: Vec::new() };
        for same in grams.chunk_by(|a, b| a == b) {
            counted.grams.extend(same[0]);
            counted.counts.push(same.len() as u64);
        }
        counted
    }
}
