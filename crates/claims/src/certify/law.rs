//! What must hold of which kind of subject, in words.

/// What a subject says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Chooses k different rows, at random or not; its weights, if it has any, promise nothing.
    Selector,
    /// Chooses k rows, perhaps one several times, with weights that make weighted sums unbiased.
    Weighted,
    /// Chooses different rows with inclusion probabilities that it states; k / n where it states none.
    Design,
    /// Adds rows to the smaller classes until all are as large as the largest.
    Resampler,
}

impl Kind {
    /// The laws of the kind, in the order in which they are judged.
    pub fn laws(self) -> &'static [Law] {
        use Law::*;
        match self {
            Kind::Selector => &[Answers, SameSeed, Count, Range, Distinct, Weights, Impossible, Order],
            Kind::Weighted => {
                &[Answers, SameSeed, Count, Range, Weights, Impossible, OtherSeed, Order, RowWeight, Totals]
            }
            Kind::Design => &[
                Answers, SameSeed, Count, Range, Distinct, Declared, Weights, Impossible, OtherSeed, Order, Frequency,
                Totals,
            ],
            Kind::Resampler => &[
                Answers, SameSeed, Numbers, Originals, Classes, Balance, Segments, NoCopies, Impossible, OtherSeed,
                Order,
            ],
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Selector => "selector",
            Kind::Weighted => "weighted",
            Kind::Design => "design",
            Kind::Resampler => "resampler",
        })
    }
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Law {
    /// Every request has one whole answer in time.
    Answers,
    /// The same request has the same answer, whatever came between and after a fresh start.
    SameSeed,
    /// k rows, or whatever number if the subject says that its size is random.
    Count,
    /// Row numbers lie in 0..n.
    Range,
    /// No row comes twice.
    Distinct,
    /// Inclusion probabilities are some, sum to k and go with their rows.
    Declared,
    /// Weights are positive and of a bounded size; a design's are 1 / inclusion.
    Weights,
    /// What cannot be done is answered by an error.
    Impossible,
    /// Another seed has another answer.
    OtherSeed,
    /// Shuffled rows are treated alike.
    Order,
    /// Each row is chosen as often as declared.
    Frequency,
    /// Each row's weight is 1 on average, 0 where it is not chosen: then every weighted sum is unbiased.
    RowWeight,
    /// Weighted sums are the sums over all rows on average.
    Totals,
    /// New rows have as many numbers as there are columns.
    Numbers,
    /// The rows that were given come first, to the bit.
    Originals,
    /// Only the smaller classes get new rows.
    Classes,
    /// All classes are as large as the largest was.
    Balance,
    /// New rows lie between two rows of their class.
    Segments,
    /// Not all new rows are copies.
    NoCopies,
}

impl Law {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Law::Answers => "every request has one answer",
            Law::SameSeed => "same seed, same bits",
            Law::Count => "k rows are chosen",
            Law::Range => "row numbers are 0 to n - 1",
            Law::Distinct => "no row is chosen twice",
            Law::Declared => "inclusion probabilities sum to k",
            Law::Weights => "weights are positive and bounded",
            Law::Impossible => "impossible requests are refused",
            Law::OtherSeed => "another seed, another answer",
            Law::Order => "the order of the rows does not decide",
            Law::Frequency => "rows come as often as declared",
            Law::RowWeight => "each row weighs 1 on average",
            Law::Totals => "weighted totals are unbiased",
            Law::Numbers => "rows are complete",
            Law::Originals => "given rows come first, bit for bit",
            Law::Classes => "only smaller classes grow",
            Law::Balance => "classes end equally large",
            Law::Segments => "new rows lie on segments of their class",
            Law::NoCopies => "new rows are not all copies",
        }
    }

    /// What is allowed.
    pub fn allowed(self) -> &'static str {
        match self {
            Law::Answers => "one line of JSON with the request's id",
            Law::SameSeed => "equal answers: at once, later, after a restart",
            Law::Count => "k; any number with \"random_size\": true",
            Law::Range => "whole numbers below n",
            Law::Distinct => "each row once",
            Law::Declared => "each above 0, at most 1; they follow their rows",
            Law::Weights => "above 0; at most 10 times the mean; of a design 1 / inclusion",
            Law::Impossible => "an object with \"error\"",
            Law::OtherSeed => "one of 32 seeds differs",
            Law::Order => "each place equally often",
            Law::Frequency => "the declared probability",
            Law::RowWeight => "1",
            Law::Totals => "the sum over all rows",
            Law::Numbers => "as many numbers as columns, a label a row",
            Law::Originals => "the request's rows and labels, in its order",
            Law::Classes => "labels of the request, the largest class as it was",
            Law::Balance => "the largest class's rows in each",
            Law::Segments => "within a millionth of the column's size",
            Law::NoCopies => "one that is new",
        }
    }

    /// Where to look when it is broken.
    pub fn look(self) -> &'static str {
        match self {
            Law::Answers => {
                "print one line for each line read, flush it, send messages to standard error, and answer what cannot be \
                 done by {\"id\": ..., \"error\": \"...\"}"
            }
            Law::SameSeed => {
                "make a new generator from the request's seed for every request; the clock, sets in hash order, threads \
                 and what is left of the request before are the usual culprits"
            }
            Law::Count => "bounds of loops and of slices; a design whose size varies says \"random_size\": true",
            Law::Range => "rows are counted from 0",
            Law::Distinct => "draw without replacement, or certify it as `weighted`, where a row may come twice",
            Law::Declared => {
                "one probability for each row of the request, in its order and not only of the chosen ones; those that \
                 would be above 1 become 1 and the others share the rest"
            }
            Law::Weights => {
                "a weight for each chosen row, in their order: 1 / (its probability), or 1 / (k times the probability of \
                 one draw) with replacement; mix in a uniform share where some rows are nearly never chosen"
            }
            Law::Impossible => "check the request before the work: more rows than there are, labels that do not fit",
            Law::OtherSeed => "the seed is read and then not used, or a constant stands in its place",
            Law::Order => {
                "loops that end one row early, ties and first choices that go to the first row, a shuffle that is none"
            }
            Law::Frequency => "the probability that is stated is not the one that the draw has",
            Law::RowWeight => {
                "weights are not 1 / (expected number of times chosen): normalised, square-rooted, clipped?"
            }
            Law::Totals => "weights are not 1 / (expected number of times chosen): normalised, square-rooted, clipped?",
            Law::Numbers => "`rows` are rows of numbers, `labels` has one for each, both with the given ones in front",
            Law::Originals => {
                "append to a copy of the request; no single precision, no scaling back and forth, no sorting"
            }
            Law::Classes => "new rows take the label of the class they were made for; the largest class gets none",
            Law::Balance => "each class gets (largest - its rows) new ones",
            Law::Segments => {
                "one lambda in [0, 1] for all columns of a new row, and both ends from the same class; a lambda a column \
                 fills the box between them instead"
            }
            Law::NoCopies => "the lambda is always 0 or 1, or a row is its own neighbour",
        }
    }
}
