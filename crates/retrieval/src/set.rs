//! A set of documents.

/// Some of so many documents.
///
/// ```
/// let some = quadrat_retrieval::Set::of(100, [3, 70]);
/// assert!(some.has(70) && !some.has(4));
/// assert_eq!((some.len(), some.count()), (100, 2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    words: Vec<u64>,
    len: usize,
}

impl Set {
    /// None of `len` documents.
    pub fn none(len: usize) -> Set {
        Set { words: vec![0; len.div_ceil(64)], len }
    }

    /// Those of `len` documents that are named; others are passed over.
    pub fn of(len: usize, documents: impl IntoIterator<Item = usize>) -> Set {
        let mut set = Set::none(len);
        documents.into_iter().filter(|document| *document < len).for_each(|document| set.insert(document));
        set
    }

    /// The words of a set, if they are as many as `len` documents need and name no others.
    pub(crate) fn from_words(words: Vec<u64>, len: usize) -> Option<Set> {
        let beyond = words.last().is_some_and(|last| !len.is_multiple_of(64) && last >> (len % 64) != 0);
        (words.len() == len.div_ceil(64) && !beyond).then_some(Set { words, len })
    }

    /// 64 documents a word, the lowest bit first.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Takes a document in, which must be one of them.
    pub fn insert(&mut self, document: usize) {
        self.words[document / 64] |= 1 << (document % 64);
    }

    /// Whether a document is in it.
    pub fn has(&self, document: usize) -> bool {
        self.words.get(document / 64).is_some_and(|word| word >> (document % 64) & 1 == 1)
    }

    /// Number of documents in it.
    pub fn count(&self) -> usize {
        quadrat_numeric::bits::count_ones(&self.words) as usize
    }

    /// Number of documents it is a set of.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it is a set of no documents at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}
