//! `quadrat retrieve describe`: tags -> a sentence each.

use crate::args::Run;
use crate::output::{Reply, check_place, count};
use crate::parameters::choice;
use clap::Args;
use quadrat::retrieval::composed::describe::{Describe, DescriptionSynth, Example, TagSet};
use quadrat::{Choice, Error, Result, Seed, write_atomic_bytes};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Tags in place of sentences.
#[derive(Args, Debug)]
pub struct Tagged {
    /// In place of sentences, the tags of each row: JSON Lines such as {"genre": "rock", "mood": ["happy", "calm"]}
    #[arg(long, value_name = "FILE.jsonl")]
    pub tags: Option<PathBuf>,
    /// Sentences that people wrote, with their tags: JSON Lines such as {"tags": {"genre": "rock"}, "text": "A rock song."}
    #[arg(long, value_name = "FILE.jsonl", requires = "tags")]
    pub examples: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct DescribeRows {
    #[command(flatten)]
    pub tagged: Tagged,
    /// How tags become a sentence
    #[arg(long, value_parser = choice::<Describe>(), default_value = "analogy")]
    pub method: Describe,
    /// Output: a sentence a line, empty where there are no tags
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
}

/// Writes a sentence for each line of tags.
pub fn run(args: &DescribeRows) -> Result<Reply> {
    check_place(&args.out)?;
    let file = args.tagged.tags.as_ref().ok_or_else(|| Error::input("--tags", "nothing", "name a file of tags"))?;
    let tags = read_tags(file)?;
    let way = args.method.with(read_examples(args.tagged.examples.as_deref())?)?;
    let seed = Seed(args.run.seed);
    let lines = tags.iter().zip(0..).map(|(tags, row)| Ok(sentence(way.as_ref(), tags, row, seed)? + "\n"));
    let lines = lines.collect::<Result<Vec<String>>>()?;
    write_atomic_bytes(&args.out, lines.concat().as_bytes())?;
    let empty = tags.iter().filter(|tags| tags.is_empty()).count();
    let first = lines.iter().map(|line| line.trim_end()).find(|line| !line.is_empty()).unwrap_or_default();
    let text = format!(
        "{} sentences, {} empty for want of tags, such as: {first}\nwrote {}\n",
        count(lines.len()),
        count(empty),
        args.out.display()
    );
    let value = json!({ "method": args.method.name(), "sentences": lines.len(), "empty": empty, "first": first, "out": args.out });
    Ok(Reply::new(text, value))
}

/// The sentence of a row.
pub fn sentence(way: &dyn DescriptionSynth, tags: &TagSet, row: u64, seed: Seed) -> Result<String> {
    let said = way.describe(tags, Seed(seed.stream("describe").rng(row).next_u64()))?;
    // A sentence is a line.
    Ok(said.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The tags of each line.
pub fn read_tags(file: &Path) -> Result<Vec<TagSet>> {
    let tags = |(at, object): (u64, Map<String, Value>)| tag_set(&object).ok_or_else(|| bad_tags(file, at));
    lines(file)?.into_iter().map(tags).collect()
}

/// Examples, none if there is no file.
pub fn read_examples(file: Option<&Path>) -> Result<Vec<Example>> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let example = |(at, object): (u64, Map<String, Value>)| {
        let tags = object.get("tags").and_then(Value::as_object).and_then(tag_set).ok_or_else(|| bad_tags(file, at))?;
        let text = object.get("text").and_then(Value::as_str);
        let text =
            text.ok_or_else(|| Error::data(file.display().to_string(), at, "no `text`: an example needs a sentence"))?;
        Ok(Example { tags, text: text.to_owned() })
    };
    lines(file)?.into_iter().map(example).collect()
}

/// The object of each line that is not blank, with the line's number.
fn lines(file: &Path) -> Result<Vec<(u64, Map<String, Value>)>> {
    let text = std::fs::read_to_string(file).map_err(|e| Error::io(file, e))?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let object = |(at, line): (u64, &str)| match serde_json::from_str(line) {
        Ok(object) => Ok((at, object)),
        Err(e) => Err(Error::data(file.display().to_string(), at, format!("a JSON object is needed: {e}"))),
    };
    lines.map(object).collect()
}

fn tag_set(object: &Map<String, Value>) -> Option<TagSet> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let tags = |(category, value): (&String, &Value)| {
        let tags = match value {
            Value::Array(tags) => tags.iter().map(text).collect::<Option<Vec<_>>>()?,
            Value::Null => Vec::new(),
            one => vec![text(one)?],
        };
        Some((category.clone(), tags))
    };
    Some(TagSet::new(object.iter().map(tags).collect::<Option<Vec<_>>>()?))
}

fn bad_tags(file: &Path, at: u64) -> Error {
    let want = r#"tags are categories with a text or a list of texts, such as {"genre": "rock", "mood": ["happy"]}"#;
    Error::data(file.display().to_string(), at, want)
}
