//! Method cards: what a method is, what it is for, what it costs. The catalogue is the list of cards.

use crate::Param;
use serde::Serialize;

/// The areas of Quadrat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// Choose samples.
    Select,
    /// Learn from imbalanced, noisy or few samples.
    Robust,
    /// Regularise what learns from samples.
    Regularize,
    /// Draw samples from language models.
    Language,
    /// Draw samples by diffusion.
    Diffusion,
    /// Find samples.
    Retrieval,
    /// Estimate from samples.
    Estimate,
    /// Reconstruct from undersampled measurements.
    Inverse,
}

impl std::fmt::Display for Area {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Area::Select => "select",
            Area::Robust => "robust",
            Area::Regularize => "regularize",
            Area::Language => "language",
            Area::Diffusion => "diffusion",
            Area::Retrieval => "retrieval",
            Area::Estimate => "estimate",
            Area::Inverse => "inverse",
        })
    }
}

/// A method's card.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Card {
    /// The name on the command line.
    pub slug: &'static str,
    /// Accepted short forms.
    pub aliases: &'static [&'static str],
    /// The method's usual name.
    pub title: &'static str,
    /// Authors, venue and year of the paper, with its identifier; of a textbook baseline, where it comes from.
    pub paper: &'static str,
    /// The area it belongs to.
    pub area: Area,
    /// The verbs of the command line that run it; none for a method that is called from the library only.
    pub verbs: &'static [&'static str],
    /// What it does, in a sentence or two.
    pub summary: &'static str,
    /// The user's own words for the trouble it mends, for the search.
    pub useful_when: &'static str,
    /// Time and memory, in the sizes the user knows.
    pub cost: &'static str,
    /// Its parameters.
    pub params: &'static [Param],
}

impl Card {
    /// Whether `name` is this method's slug or one of its short forms.
    pub fn is_called(&self, name: &str) -> bool {
        self.slug == name || self.aliases.contains(&name)
    }
}

/// The card called `name`, or an error that offers the nearest names.
pub fn find<'a>(cards: &[&'a Card], name: &str) -> crate::Result<&'a Card> {
    cards.iter().find(|card| card.is_called(name)).copied().ok_or_else(|| {
        let names = cards.iter().flat_map(|card| std::iter::once(card.slug).chain(card.aliases.iter().copied()));
        let near = nearest(name, names);
        crate::Error::input("method", format!("`{name}`"), format!("did you mean {}?", near.join(" or ")))
    })
}

/// Up to three of `names`, nearest to `name` first.
pub fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let wanted = name.to_lowercase();
    let mut ranked: Vec<(f64, &str)> = names
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&wanted, &candidate.to_lowercase()), candidate))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    ranked.into_iter().take(3).map(|(_, candidate)| format!("`{candidate}`")).collect()
}

/// The cards that fit `words`, best first.
///
/// A small BM25 over stemmed words of the cards' own texts (title and summary, and above all the words users say of
/// their trouble), with parts of words counting a little. No model is needed for some dozens of cards.
pub fn search<'a>(cards: &[&'a Card], words: &str) -> Vec<&'a Card> {
    let query = stems(words);
    let documents: Vec<Vec<String>> = cards
        .iter()
        .map(|c| {
            let names = c.aliases.join(" ");
            stems(&format!(
                "{} {names} {} {} {} {} {}",
                c.slug, c.title, c.useful_when, c.useful_when, c.summary, c.area
            ))
        })
        .collect();
    let mean_length = documents.iter().map(Vec::len).sum::<usize>() as f64 / documents.len().max(1) as f64;
    let weight = |stem: &str| {
        let having = documents.iter().filter(|d| d.iter().any(|w| w == stem)).count() as f64;
        (1.0 + (documents.len() as f64 - having + 0.5) / (having + 0.5)).ln()
    };
    let score = |document: &[String]| {
        let mut total = 0.0;
        for stem in &query {
            let exact = document.iter().filter(|w| *w == stem).count() as f64;
            let partial = document.iter().filter(|w| *w != stem && stem.len() > 3 && w.contains(stem.as_str())).count();
            let count = exact + 0.3 * partial as f64;
            let saturation = 1.2 * (0.25 + 0.75 * document.len() as f64 / mean_length);
            total += weight(stem) * count * 2.2 / (count + saturation);
        }
        total
    };
    let mut ranked: Vec<(f64, &Card)> = cards.iter().zip(&documents).map(|(c, d)| (score(d), *c)).collect();
    ranked.retain(|(score, _)| *score > 0.0);
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let floor = ranked.first().map_or(0.0, |best| 0.25 * best.0);
    ranked.into_iter().take_while(|(score, _)| *score >= floor).map(|(_, card)| card).collect()
}

/// Lower-case words without the commonest ones, with plain English endings taken off.
fn stems(text: &str) -> Vec<String> {
    const STOP: [&str; 24] = [
        "a", "an", "and", "are", "as", "by", "for", "from", "i", "in", "is", "it", "my", "of", "on", "one", "or",
        "that", "the", "to", "too", "with", "have", "want",
    ];
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !STOP.contains(word))
        .map(|word| {
            let endings = ["ing", "ies", "ed", "es", "s", "e"];
            let stem = endings.iter().find_map(|e| word.strip_suffix(e).filter(|stem| stem.len() > 2));
            stem.unwrap_or(word).to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMOTE: Card = Card {
        slug: "smote",
        aliases: &["smote-regular"],
        title: "Synthetic minority over-sampling",
        paper: "",
        area: Area::Robust,
        verbs: &["balance"],
        summary: "New rows between neighbours of the rare class.",
        useful_when: "too few examples of one class, imbalanced labels",
        cost: "",
        params: &[],
    };
    const MIG: Card = Card {
        slug: "mig",
        aliases: &[],
        title: "Information gain on a label graph",
        paper: "",
        area: Area::Select,
        verbs: &["select"],
        summary: "A subset with quality and coverage.",
        useful_when: "too much data to train on",
        cost: "",
        params: &[],
    };

    #[test]
    fn search_understands_the_users_words() {
        let cards = [&MIG, &SMOTE];
        for (words, first) in [
            ("too few examples of one class", "smote"),
            ("imbalance", "smote"),
            ("training data is too much", "mig"),
            ("smote", "smote"),
            ("covering", "mig"),
        ] {
            assert_eq!(search(&cards, words).first().map(|c| c.slug), Some(first), "{words}");
        }
        assert!(search(&cards, "zebra").is_empty());
        assert!(search(&[], "zebra").is_empty());
    }

    #[test]
    fn unknown_names_get_the_nearest() {
        let cards = [&MIG, &SMOTE];
        assert_eq!(find(&cards, "smote-regular").unwrap().slug, "smote");
        let error = find(&cards, "smoet").unwrap_err().to_string();
        assert!(error.starts_with("method: got `smoet`; did you mean `smote`"), "{error}");
    }
}
