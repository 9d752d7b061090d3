//! A command line as one types it.

/// The words behind the program's name, quoted for a shell.
pub fn typed(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    words.into_iter().fold("quadrat".to_owned(), |line, word| line + " " + &quoted(word.as_ref()))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./,:=%+@".contains(c);
    let needed = word.is_empty() || !word.chars().all(plain);
    if needed { format!("'{}'", word.replace('\'', "'\\''")) } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_wants_it() {
        let words = ["select", "--in", "my file.csv", "--budget", "2%", "it's", "a;b", ""];
        assert_eq!(typed(words), r"quadrat select --in 'my file.csv' --budget 2% 'it'\''s' 'a;b' ''");
    }
}
