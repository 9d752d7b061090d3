//! Exact search of bags in memory, term at a time: for mining and for measuring; what is served comes from an index.

use super::super::{Quality, check_relevant};
use crate::Hit;
use quadrat_core::{Lists, Result};
use quadrat_numeric::Csr;
use rayon::prelude::*;

/// For each query the rows of the `k` documents with the largest sums of weights of the query's words, best first, of equal sums the
/// lower row; fewer where fewer have one of its words. Both are texts x words with values above 0; of the queries only the words count.
///
/// Cost: the postings of all queries' words, and memory for the documents by words.
pub fn search_bags(documents: &Csr, queries: &Csr, k: usize) -> Vec<Vec<u32>> {
    // The documents of each word, one after the other.
    let mut ends = vec![0_usize; documents.cols + 1];
    documents.indices.iter().for_each(|word| ends[*word as usize + 1] += 1);
    for word in 0..documents.cols {
        ends[word + 1] += ends[word];
    }
    let (mut postings, mut next) = (vec![(0_u32, 0.0_f32); documents.indices.len()], ends.clone());
    for row in 0..documents.rows() {
        let (words, weights) = documents.row(row);
        for (word, weight) in words.iter().zip(weights) {
            let place = &mut next[*word as usize];
            postings[*place] = (row as u32, *weight);
            *place += 1;
        }
    }
    let best = |sums: &mut Vec<f32>, query: usize| {
        sums.clear();
        sums.resize(documents.rows(), 0.0);
        for word in queries.row(query).0 {
            let span = ends[*word as usize]..ends[*word as usize + 1];
            postings[span].iter().for_each(|(row, weight)| sums[*row as usize] += weight);
        }
        let found = (0..).zip(sums.iter()).filter(|(_, sum)| **sum > 0.0);
        let mut hits: Vec<Hit> = found.map(|(document, sum)| Hit { document, score: *sum }).collect();
        if hits.len() > k && k > 0 {
            hits.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
        }
        hits.truncate(k);
        hits.sort_unstable_by(|a, b| b.cmp(a));
        hits.into_iter().map(|hit| hit.document).collect()
    };
    (0..queries.rows()).into_par_iter().map_init(Vec::new, best).collect()
}

/// How well queries find what is relevant to them ([`search_bags`]). `relevant` lists the relevant rows of each query.
///
/// # Errors
/// No documents or queries, a query without a relevant document, a row that is not there.
pub fn quality_of_bags(documents: &Csr, queries: &Csr, relevant: &Lists) -> Result<Quality> {
    check_relevant(documents.rows(), queries.rows(), relevant)?;
    let found = search_bags(documents, queries, 100);
    Quality::of(found.iter().map(Vec::as_slice), relevant)
}
