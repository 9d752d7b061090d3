//! Texts as vectors, from the texts alone: no model, no download.
//!
//! [`tf_idf`] counts words and pairs of neighbouring words, hashed into a fixed number of columns so that no dictionary
//! is kept; [`Lsa`] reduces that to a few dense dimensions. Anything else that turns texts into vectors, such as a
//! sentence-embedding model, is another [`TextEncoder`].

use quadrat_core::{Error, Progress, Result, Seed, checkpoint, words};
use quadrat_numeric::linalg::truncated_svd;
use quadrat_numeric::{Csr, Encoded, TextEncoder};
use rayon::prelude::*;

/// Latent semantic analysis (Deerwester et al. 1990): [`tf_idf`], its strongest singular directions, and each text's
/// coordinates along them scaled to length 1, so that texts are compared by angle.
///
/// Texts that share no word come near when their words go together elsewhere in the pool. A text without words, or with
/// none that the directions know, has coordinates 0; so have directions beyond the rank, when there are few texts.
///
/// Cost: [`tf_idf`]'s and that of [`truncated_svd`].
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_data::text::Lsa;
/// use quadrat_numeric::TextEncoder;
/// let texts = ["red wine", "white wine", "a long red road"].map(String::from);
/// let rows = Lsa { dims: 2 }.encode(&texts, Seed(1), &Silent)?.rows;
/// assert_eq!(rows.dim(), (3, 2));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lsa {
    /// Number of dimensions, 1 to 2^18.
    pub dims: usize,
}

impl Default for Lsa {
    fn default() -> Self {
        Lsa { dims: 64 }
    }
}

impl TextEncoder for Lsa {
    fn encode(&self, texts: &[String], seed: Seed, progress: &dyn Progress) -> Result<Encoded> {
        let rows = tf_idf(texts, progress)?;
        progress.begin("directions", None);
        let mut coordinates = truncated_svd(&rows, self.dims, seed)?.coordinates;
        checkpoint(progress)?;
        for mut row in coordinates.rows_mut() {
            match row.as_slice_mut() {
                Some(row) if length(row) > FAINT => unit(row),
                _ => row.fill(0.0),
            }
        }
        Ok(Encoded { rows: coordinates, notes: Vec::new() })
    }
}

/// Of a text's length 1, what must lie in the chosen directions for its angle to be more than rounding.
const FAINT: f64 = 1e-4;

/// Columns of [`tf_idf`]: at 100,000 distinct terms, two in three have a column to themselves.
const BUCKETS: usize = 1 << 18;
/// Texts between two looks at the progress.
const BLOCK: usize = 4096;

/// Hashed TF-IDF: a sparse row a text, of Euclidean length 1 (0 for a text without words), 2^18 columns.
///
/// A term is a word or two words in a row. A word is a run of letters and digits in lower case; a Chinese or Japanese
/// character is a word by itself. A term that occurs `f` times in the text weighs `1 + ln f` (Salton and Buckley 1988),
/// with a sign and in a column that its hash tells (Weinberger et al. 2009: terms that meet in a column cancel as often
/// as they add up). A column that `d` of the `n` texts use is scaled by `1 + ln((1 + n) / (1 + d))`, then the row to
/// length 1.
///
/// Cost: time and memory linear in the number of characters.
///
/// # Errors
/// No texts; cancelled.
///
/// ```
/// use quadrat_core::Silent;
/// let rows = quadrat_data::text::tf_idf(&["Red, red wine".to_string(), "...".to_string()], &Silent)?;
/// assert_eq!(rows.row(0).0.len(), 4); // red, wine, red red, red wine
/// assert_eq!(rows.row(1).0.len(), 0);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn tf_idf(texts: &[String], progress: &dyn Progress) -> Result<Csr> {
    if texts.is_empty() {
        return Err(Error::input("texts", 0, "there must be at least one"));
    }
    let mut rows = Csr::new(BUCKETS);
    progress.begin("words", Some(texts.len() as u64));
    for block in texts.chunks(BLOCK) {
        checkpoint(progress)?;
        let counted: Vec<Vec<(u32, f32)>> = block.par_iter().map(|text| term_weights(text)).collect();
        counted.into_iter().for_each(|row| rows.push_row(row));
        progress.advance(block.len() as u64);
    }

    let mut used_by = vec![0_u32; BUCKETS];
    rows.indices.iter().for_each(|&bucket| used_by[bucket as usize] += 1);
    let n = texts.len() as f64;
    let rarity: Vec<f32> = used_by.iter().map(|&d| (1.0 + ((1.0 + n) / (1.0 + f64::from(d))).ln()) as f32).collect();
    for i in 0..rows.rows() {
        let span = rows.indptr[i]..rows.indptr[i + 1];
        let values = &mut rows.values[span.clone()];
        for (value, &bucket) in values.iter_mut().zip(&rows.indices[span]) {
            *value *= rarity[bucket as usize];
        }
        unit(values);
    }
    Ok(rows)
}

/// Column and signed weight of each term of a text, columns ascending.
fn term_weights(text: &str) -> Vec<(u32, f32)> {
    let mut terms = terms(text);
    terms.sort_unstable();
    let weighted = terms.chunk_by(|a, b| a == b).map(|same| {
        let (hash, weight) = (same[0], 1.0 + (same.len() as f32).ln());
        (hash as u32 & (BUCKETS - 1) as u32, if hash >> 63 == 0 { weight } else { -weight })
    });
    let mut row: Vec<(u32, f32)> = weighted.collect();
    // Stable: terms that share a column are added in the order of their hashes, whatever the text's order.
    row.sort_by_key(|(bucket, _)| *bucket);
    row.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        kept.1 += if same { next.1 } else { 0.0 };
        same
    });
    row
}

/// The hash of each word and of each pair of neighbouring words.
fn terms(text: &str) -> Vec<u64> {
    let mut terms = Vec::new();
    let mut before = None;
    words(text, |word| {
        let hash = hash(word.as_bytes());
        terms.push(hash);
        if let Some(before) = before.replace(hash) {
            terms.push(mix(before ^ hash.rotate_left(32)));
        }
    });
    terms
}

/// FNV-1a, mixed: the low bits choose a column, the highest a sign.
fn hash(bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)))
}

/// The finaliser of MurmurHash3: every input bit reaches every output bit.
fn mix(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

/// Euclidean length.
fn length(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// Scales to Euclidean length 1 what has a length.
fn unit(values: &mut [f32]) {
    let length = length(values);
    if length > 0.0 {
        values.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Missing, builtin};
    use ndarray::Array2;
    use proptest::prelude::*;
    use quadrat_core::Silent;
    use quadrat_numeric::neighbours::{Metric, nearest_f32};

    fn rows(texts: &[&str]) -> Csr {
        tf_idf(&texts.iter().map(ToString::to_string).collect::<Vec<_>>(), &Silent).unwrap()
    }

    /// Inner product of two sparse rows.
    fn product(rows: &Csr, i: usize, j: usize) -> f32 {
        let ((a, x), (b, y)) = (rows.row(i), rows.row(j));
        a.iter().zip(x).map(|(c, v)| b.binary_search(c).map_or(0.0, |at| v * y[at])).sum()
    }

    #[test]
    fn texts_fall_into_words_and_pairs() {
        for (text, terms) in [
            ("", 0),
            (" \t...\u{1f980}", 0),
            ("word", 1),
            ("two words", 3),
            ("don't", 3),
            ("in 1066, then", 5),
            ("Straße Ελλάδα", 3),
            ("\u{65e5}\u{672c}", 3),
            ("ab\u{65e5}cd", 5),
        ] {
            assert_eq!(super::terms(text).len(), terms, "{text}");
        }
        for (a, b) in [("Red WINE", "red, wine!"), ("ÉTÉ", "été"), ("ΟΔΟΣ", "οδοσ")] {
            assert_eq!(super::terms(a), super::terms(b));
        }
        assert_ne!(super::terms("ab ba"), super::terms("ba ab"));
    }

    #[test]
    fn weights_are_those_of_the_formula() {
        // Terms of row 0: a (twice), b, `a a`, `a b`; only a occurs in row 1 too.
        let found = rows(&["a a b", "a", "c"]);
        let rarity = |used: f64| 1.0 + (4.0 / (1.0 + used)).ln();
        let mut expected = vec![(1.0 + 2_f64.ln()) * rarity(2.0), rarity(1.0), rarity(1.0), rarity(1.0)];
        let length = expected.iter().map(|v| v * v).sum::<f64>().sqrt();
        expected.iter_mut().for_each(|v| *v /= length);
        expected.sort_by(f64::total_cmp);
        let mut got: Vec<f64> = found.row(0).1.iter().map(|v| f64::from(v.abs())).collect();
        got.sort_by(f64::total_cmp);
        assert_eq!(got.len(), 4);
        assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{got:?}, expected {expected:?}");
        assert!((product(&found, 1, 1) - 1.0).abs() < 1e-6 && product(&found, 0, 2) == 0.0);
    }

    #[test]
    fn columns_and_signs_are_spread_evenly() {
        // Counts of 200,000 words over 64 groups of columns and two signs are independent to first order: Pearson's
        // statistic with 127 degrees of freedom stays below 223 but for one word list in a million.
        let mut counts = [0_u32; 128];
        for i in 0..200_000 {
            for (bucket, weight) in term_weights(&format!("w{i}")) {
                counts[(bucket >> 12) as usize * 2 + usize::from(weight > 0.0)] += 1;
            }
        }
        let expected = 200_000.0 / 128.0;
        let statistic: f64 = counts.iter().map(|c| (f64::from(*c) - expected).powi(2) / expected).sum();
        assert!(statistic < 223.0, "{statistic}");
    }

    #[test]
    fn odd_pools_have_defined_rows() {
        let encode = |texts: &[&str], dims| {
            let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
            Lsa { dims }.encode(&texts, Seed(1), &Silent).map(|encoded| encoded.rows)
        };
        assert!(encode(&[], 2).is_err());
        assert!(encode(&["a"], 0).is_err());
        assert_eq!(encode(&["", "..."], 3).unwrap(), Array2::<f32>::zeros((2, 3)));
        let one = encode(&["one single text"], 4).unwrap();
        assert!((one[[0, 0]].abs() - 1.0).abs() < 1e-6 && one.row(0).iter().skip(1).all(|v| v.abs() < 1e-6));
        let equal = encode(&["same words"; 5], 3).unwrap();
        assert!((1..5).all(|i| equal.row(i) == equal.row(0)));
        let mixed = encode(&["red wine", "", "red wine"], 2).unwrap();
        assert!(mixed.row(1).iter().all(|v| *v == 0.0) && mixed.row(0) == mixed.row(2));
        let huge = "word after word ".repeat(100_000);
        let huge = encode(&[&huge, "word", &"x".repeat(1_000_000)], 2).unwrap();
        assert!(huge.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn one_and_two_threads_give_the_same_bits() {
        let texts: Vec<String> = (0..500).map(|i| format!("text {} of {} and {}", i % 7, i % 11, i % 13)).collect();
        let encode = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Lsa { dims: 8 }.encode(&texts, Seed(3), &Silent).unwrap())
        };
        assert_eq!(encode(1), encode(2));
    }

    #[test]
    fn neighbours_share_the_subject() {
        let table = builtin::find("glosses").unwrap().table(&[]).unwrap();
        let texts = table.strings("text").unwrap();
        let mut labels = table.categories("label", Missing::Error).unwrap().codes;
        let x = Lsa::default().encode(&texts, Seed(1), &Silent).unwrap().rows;
        let own: Vec<usize> = (0..x.nrows()).collect();
        let near = nearest_f32(x.view(), x.view(), Some(&own), 1, Metric::Euclidean, &Silent).unwrap();
        let agreeing =
            |labels: &[u32]| (0..own.len()).filter(|&i| labels[i] == labels[near.of(i).0[0] as usize]).count();
        // If texts said nothing of their subject, the true labels would be one more shuffle: as good as the best of 199
        // shuffles one time in 200, and far above three times the best practically never.
        let found = agreeing(&labels);
        let mut rng = Seed(2).rng(0);
        let by_chance = (0..199).map(|_| {
            rng.shuffle(&mut labels);
            agreeing(&labels)
        });
        let best = by_chance.max().unwrap();
        assert!(found > 3 * best, "{found} of {} neighbours share the subject, by chance up to {best}", own.len());
    }

    proptest! {
        #[test]
        fn any_texts_give_rows_of_length_one_or_none(texts in prop::collection::vec(any::<String>(), 1..20)) {
            let found = tf_idf(&texts, &Silent).unwrap();
            prop_assert_eq!(found.rows(), texts.len());
            for i in 0..texts.len() {
                let (columns, values) = found.row(i);
                prop_assert!(columns.windows(2).all(|w| w[0] < w[1]));
                prop_assert!(values.iter().all(|v| v.is_finite()));
                prop_assert!(columns.is_empty() || (length(values) - 1.0).abs() < 1e-5);
            }
            let mut backwards = texts.clone();
            backwards.reverse();
            let other = tf_idf(&backwards, &Silent).unwrap();
            prop_assert!((0..texts.len()).all(|i| found.row(i) == other.row(texts.len() - 1 - i)));
        }
    }
}
