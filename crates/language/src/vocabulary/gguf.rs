//! The vocabulary of a GGUF file, as the `tokenizer.json` that it was made of.

use super::Vocabulary;
use crate::gguf::Gguf;
use quadrat_core::Result;
use serde_json::{Map, Value, json};

/// How texts are cut into words before pairs are merged within these, by the names that llama.cpp gives.
const CUTS: &[Cut] = &[
    ("gpt-2", || json!([bytes(true)])),
    ("smollm", || json!([{ "type": "Digits", "individual_digits": true }, bytes(true)])),
    ("llama-bpe", || json!([split(LLAMA_3), bytes(false)])),
    ("qwen2", || json!([split(QWEN_2), bytes(false)])),
];

/// A name, and the parts of a pre-tokeniser.
type Cut = (&'static str, fn() -> Value);

const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN_2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Characters for bytes; with `words`, GPT-2's words first.
fn bytes(words: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": words })
}

fn split(words: &str) -> Value {
    json!({ "type": "Split", "pattern": { "Regex": words }, "behavior": "Isolated", "invert": false })
}

/// llama.cpp's numbers for tokens that are added to those of the merges.
const CONTROL: u32 = 3;
const USER_DEFINED: u32 = 4;

impl Vocabulary {
    /// The vocabulary that a GGUF file carries.
    ///
    /// # Errors
    /// Another kind than byte-level pairs, a way to cut words that is not known, lists of different lengths.
    pub fn from_gguf(file: &Gguf) -> Result<Vocabulary> {
        let kind: &str = file.need("tokenizer.ggml.model")?;
        if kind != "gpt2" {
            return Err(file.wrong(format!("a vocabulary of the kind `{kind}`: `gpt2` (pairs of bytes) is read")));
        }
        let cut = file.get("tokenizer.ggml.pre").unwrap_or("gpt-2");
        let Some((_, pieces)) = CUTS.iter().find(|(name, _)| *name == cut) else {
            let known: Vec<&str> = CUTS.iter().map(|(name, _)| *name).collect();
            return Err(file.wrong(format!("`tokenizer.ggml.pre` is `{cut}`: {} are known", known.join(", "))));
        };
        let names: Vec<&str> = file.need("tokenizer.ggml.tokens")?;
        let kinds: Vec<u32> = file.get("tokenizer.ggml.token_type").unwrap_or_else(|| vec![1; names.len()]);
        if kinds.len() != names.len() {
            return Err(file.wrong(format!("{} tokens and types of {}", names.len(), kinds.len())));
        }
        let token = |key: &str| -> Result<Option<u32>> {
            let found = file.get::<u32>(&format!("tokenizer.ggml.{key}"));
            match found.filter(|token| *token as usize >= names.len()) {
                Some(token) => Err(file.wrong(format!("`tokenizer.ggml.{key}` is {token}, of {} tokens", names.len()))),
                None => Ok(found),
            }
        };
        let (begin, end) = (token("bos_token_id")?, token("eos_token_id")?);
        let first = begin.filter(|_| file.get("tokenizer.ggml.add_bos_token").unwrap_or(false));
        let content = json!({
            "version": "1.0",
            "added_tokens": added(&names, &kinds),
            "normalizer": null,
            "pre_tokenizer": { "type": "Sequence", "pretokenizers": pieces() },
            "post_processor": first.map(|first| in_front(names[first as usize], first)),
            "decoder": bytes(true),
            "model": {
                "type": "BPE",
                "ignore_merges": cut == "llama-bpe",
                "vocab": names.iter().zip(0_u32..).map(|(name, id)| ((*name).to_owned(), id.into())).collect::<Map<_, _>>(),
                "merges": merges(file)?,
            },
        });
        let vocabulary = Vocabulary::from_json(content.to_string().as_bytes()).map_err(|why| file.wrong(why))?;
        Ok(Vocabulary { begin, end, ..vocabulary })
    }
}

/// Tokens that are found in a text as they are, before all else.
fn added(names: &[&str], kinds: &[u32]) -> Value {
    let found = names.iter().zip(kinds).zip(0_u32..).filter(|((_, kind), _)| [CONTROL, USER_DEFINED].contains(kind));
    let entry = |((name, kind), id): ((&&str, &u32), u32)| {
        let special = *kind == CONTROL;
        json!({ "id": id, "content": name, "special": special, "normalized": false,
                "single_word": false, "lstrip": false, "rstrip": false })
    };
    found.map(entry).collect()
}

fn in_front(name: &str, id: u32) -> Value {
    let first = json!({ "SpecialToken": { "id": name, "type_id": 0 } });
    let text = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
    json!({ "type": "TemplateProcessing", "single": [first, text("A")], "pair": [first, text("A"), text("B")],
            "special_tokens": { name: { "id": name, "ids": [id], "tokens": [name] } } })
}

/// Pairs in the order in which they are merged; no byte is written as a space, which therefore parts them.
fn merges(file: &Gguf) -> Result<Value> {
    let pairs: Vec<&str> = file.need("tokenizer.ggml.merges")?;
    let pair = |pair: &str| match pair.split_once(' ') {
        Some((a, b)) => Ok(json!([a, b])),
        None => Err(file.wrong(format!("`{pair}` in `tokenizer.ggml.merges` is no pair"))),
    };
    pairs.into_iter().map(pair).collect()
}
