//! Analogies without a language model: somebody's sentence with the words exchanged.

use super::{DescriptionSynth, Example, TagSet, and, capitalised, check_examples, find_word};
use quadrat_core::{Result, Seed};

/// Takes the example whose tags are nearest and puts the new tags in the places of the old ones of the same category. Clauses about a
/// category of which nothing is said are dropped; what the example has no place for is added at the end; `a` and `an` are mended.
/// The tags of an example give its sentence unchanged.
#[derive(Debug, Clone)]
pub struct Analogy {
    examples: Vec<Example>,
}

impl Analogy {
    /// With sentences that people wrote.
    ///
    /// # Errors
    /// No example, or one without tags or without a sentence.
    pub fn new(examples: Vec<Example>) -> Result<Analogy> {
        check_examples(&examples)?;
        Ok(Analogy { examples })
    }

    /// The example with the most tags in common, then with the fewest categories that only one of the two has; the seed decides among
    /// equals.
    fn nearest(&self, tags: &TagSet, seed: Seed) -> &Example {
        let key = |example: &Example| {
            let shared = |(category, own): &(String, Vec<String>)| {
                own.iter().filter(|tag| tags.of(category).contains(tag)).count()
            };
            let known = example.tags.categories.iter().filter(|(category, _)| !tags.of(category).is_empty()).count();
            let apart = example.tags.categories.len() + tags.categories.len() - 2 * known;
            (example.tags.categories.iter().map(shared).sum::<usize>(), usize::MAX - apart)
        };
        let best = self.examples.iter().map(key).max();
        let equals: Vec<&Example> = self.examples.iter().filter(|example| Some(key(example)) == best).collect();
        equals[seed.stream("example").rng(0).below(equals.len())]
    }
}

impl DescriptionSynth for Analogy {
    fn describe(&self, tags: &TagSet, seed: Seed) -> Result<String> {
        if tags.is_empty() {
            return Ok(String::new());
        }
        let example = self.nearest(tags, seed);
        let body = example.text.trim_end_matches(['.', '!', '?']);
        let end = &example.text[body.len()..];
        let mut kept = String::new();
        for clause in clauses(body).into_iter().filter(|clause| speaks(clause, &example.tags, tags)) {
            kept.push_str(clause);
        }
        let trimmed = kept.trim_start_matches([',', ';', ' ']);
        let begun = if trimmed.len() < kept.len() { capitalised(trimmed) } else { kept };
        let mut text = exchanged(&begun, &exchanges(&example.tags, tags));
        for (category, new) in &tags.categories {
            if example.tags.of(category).is_empty() {
                text.push_str(&format!(", {category} {}", and(new)));
            }
        }
        Ok(capitalised(text.trim_start_matches([',', ';', ' '])) + end)
    }
}

/// Parts of a sentence, each with the comma, semicolon or `with` that begins it.
fn clauses(text: &str) -> Vec<&str> {
    let mut starts: Vec<usize> = text.match_indices([',', ';']).map(|(at, _)| at).collect();
    starts.extend(text.match_indices(" with ").map(|(at, _)| at));
    starts.sort_unstable();
    let ends = starts.iter().copied().chain([text.len()]);
    std::iter::once(0).chain(starts.iter().copied()).zip(ends).map(|(start, end)| &text[start..end]).collect()
}

/// Whether a clause names no tags, or at least one of a category that the new tags have too.
fn speaks(clause: &str, old: &TagSet, new: &TagSet) -> bool {
    let named = |tags: &[String]| tags.iter().any(|tag| find_word(clause, tag, 0).is_some());
    let mut categories = old.categories.iter().filter(|(_, tags)| named(tags)).peekable();
    categories.peek().is_none() || categories.any(|(category, _)| !new.of(category).is_empty())
}

/// What stands for each old tag that goes: new tags of its category, the last one all that are left, or nothing.
fn exchanges(old: &TagSet, new: &TagSet) -> Vec<(String, String)> {
    let mut plan = Vec::new();
    for (category, old) in &old.categories {
        let wanted = new.of(category);
        let mut fresh: Vec<String> = wanted.iter().filter(|tag| !old.contains(tag)).cloned().collect();
        let mut gone: Vec<&String> = old.iter().filter(|tag| !wanted.contains(tag)).collect();
        // Nothing goes and something comes: the last old tag gets company.
        if gone.is_empty() && !fresh.is_empty() {
            gone.extend(old.last());
            fresh.splice(0..0, old.last().cloned());
        }
        for (at, tag) in gone.iter().enumerate() {
            let take = if at + 1 == gone.len() { fresh.len() } else { fresh.len().min(1) };
            plan.push(((*tag).clone(), and(&fresh.drain(..take).collect::<Vec<_>>())));
        }
    }
    // The longest first, so that no part of a longer tag is taken for a shorter one.
    plan.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
    plan
}

/// The text with each word of the plan exchanged, in one pass from left to right.
fn exchanged(text: &str, plan: &[(String, String)]) -> String {
    let (mut out, mut at) = (String::new(), 0);
    let next = |from: usize| {
        let found = plan.iter().filter_map(|(old, new)| Some((find_word(text, old, from)?, old, new)));
        found.min_by_key(|(place, old, _)| (*place, std::cmp::Reverse(old.len())))
    };
    while let Some((place, old, new)) = next(at) {
        out.push_str(&text[at..place]);
        at = place + old.len();
        if new.is_empty() {
            // A word of a list goes with its comma or `and`.
            let rest = &text[at..];
            match [" and", ","].iter().find_map(|glue| out.trim_end().strip_suffix(glue)) {
                Some(before) => out.truncate(before.len()),
                None => {
                    at += [" and ", ", ", " "].iter().find(|glue| rest.starts_with(**glue)).map_or(0, |glue| glue.len())
                }
            }
            continue;
        }
        mend_article(&mut out, new);
        let large = text[place..].starts_with(char::is_uppercase);
        out.push_str(&if large { capitalised(new) } else { new.clone() });
    }
    out.push_str(&text[at..]);
    out
}

/// Makes an `a` or `an` at the end of `out` fit the word that comes.
fn mend_article(out: &mut String, word: &str) {
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']);
    let Some(before) = out.strip_suffix(' ') else { return };
    let start = before.rfind(|c: char| !c.is_alphanumeric()).map_or(0, |at| at + 1);
    let article = match (&before[start..], vowel) {
        ("a" | "an", true) => "an ",
        ("a" | "an", false) => "a ",
        ("A" | "An", true) => "An ",
        ("A" | "An", false) => "A ",
        _ => return,
    };
    out.truncate(start);
    out.push_str(article);
}
