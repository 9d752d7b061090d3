//! Texts as words.

/// Calls `found` with each word of `text`: a run of letters and digits, in lower case. A Chinese or Japanese character is
/// a word by itself, since those scripts set no spaces.
///
/// ```
/// let mut words = Vec::new();
/// quadrat_core::words("It isn't 3.5 東京!", |word| words.push(word.to_owned()));
/// assert_eq!(words, ["it", "isn", "t", "3", "5", "東", "京"]);
/// ```
pub fn words(text: &str, mut found: impl FnMut(&str)) {
    let mut word = String::new();
    for c in text.chars() {
        let alone = is_word_by_itself(c);
        if (alone || !c.is_alphanumeric()) && !word.is_empty() {
            found(&word);
            word.clear();
        }
        if c.is_ascii() {
            if c.is_ascii_alphanumeric() {
                word.push(c.to_ascii_lowercase());
            }
        } else if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        if alone {
            found(&word);
            word.clear();
        }
    }
    if !word.is_empty() {
        found(&word);
    }
}

/// Kana and Chinese characters.
fn is_word_by_itself(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}
