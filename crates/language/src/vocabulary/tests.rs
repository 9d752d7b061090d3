use super::*;
use crate::gguf::tests::Writer;
use proptest::prelude::*;
use std::sync::LazyLock;

const TEXTS: [&str; 3] =
    ["the cat sat on the mat, the other cat sat there", "naïve café, naïve cafés", "1812 and 1813 and 1812"];

static TRAINED: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary::train(TEXTS, 275).unwrap());

fn json_of(vocabulary: &Vocabulary) -> Value {
    serde_json::from_str(&vocabulary.tokenizer.to_string(false).unwrap()).unwrap()
}

#[test]
fn a_vocabulary_is_trained_the_same_each_time() {
    assert_eq!((TRAINED.len(), TRAINED.begin(), TRAINED.end()), (275, Some(0), Some(0)));
    assert_eq!(TRAINED.name(0).as_deref(), Some("<|endoftext|>"));
    assert_eq!(json_of(&TRAINED), json_of(&Vocabulary::train(TEXTS, 275).unwrap()));
    assert!(TRAINED.encode("the cat").unwrap().len() < 5);
    let few = Vocabulary::train(["ab ab"], 5000).unwrap();
    assert_eq!(few.len(), 258, "one pair is there twice");
    let error = Vocabulary::train(TEXTS, 256).err().unwrap().to_string();
    assert!(error.contains("got 256; at least 257"), "{error}");
}

proptest! {
    #[test]
    fn texts_come_back_whole_and_piece_by_piece(text in any::<String>()) {
        let tokens = TRAINED.encode(&text).unwrap();
        prop_assert_eq!(TRAINED.decode(&tokens), text);
    }

    #[test]
    fn pieces_of_a_stream_are_the_text(tokens in prop::collection::vec(0..300_u32, 0..30)) {
        let mut bytes = Vec::new();
        let mut stream = TRAINED.stream();
        let mut shown = String::new();
        for token in &tokens {
            bytes.extend(TRAINED.bytes.as_ref().unwrap().get(*token as usize).into_iter().flatten());
            shown.push_str(&stream.push(*token));
            prop_assert!(bytes.len() - shown.len().min(bytes.len()) < 4 || shown.contains('\u{fffd}'), "at most a character waits");
        }
        shown.push_str(&stream.finish());
        prop_assert_eq!(&shown, &String::from_utf8_lossy(&bytes));
        prop_assert_eq!(TRAINED.decode(&tokens), shown);
    }
}

#[test]
fn a_character_is_shown_when_it_is_whole() {
    let of = |byte: u8| TRAINED.token(&bytes_as_chars().find(|(b, _)| *b == byte).unwrap().1.to_string()).unwrap();
    let mut stream = TRAINED.stream();
    let pieces: Vec<String> = [0xf0, 0x9f, 0xa6, 0x80, 0xff, b'a', 0xe2, 0x82].map(|byte| stream.push(of(byte))).into();
    assert_eq!(pieces, ["", "", "", "🦀", "\u{fffd}", "a", "", ""]);
    assert_eq!((stream.finish().as_str(), stream.finish().as_str()), ("\u{fffd}", ""));
    assert_eq!(TRAINED.decode(&[0, of(b'a'), 0, 9_999]), "a", "special tokens have no text");
}

#[test]
fn words_are_small_letters_and_marks() {
    let words = Vocabulary::words(TEXTS, 12).unwrap();
    assert_eq!((words.len(), words.end()), (12, Some(1)));
    assert_eq!(words.encode("The zebra sat, there").unwrap().iter().filter(|token| **token == 0).count(), 2);
    let tokens = words.encode("The CAT sat, the").unwrap();
    assert_eq!(words.decode(&tokens), "the cat sat, the");
    let mut stream = words.stream();
    let text: String = tokens.iter().map(|token| stream.push(*token)).collect();
    assert_eq!(text + &stream.finish(), "the cat sat, the");
    assert!(Vocabulary::words(TEXTS, 2).is_err());
}

#[test]
fn a_saved_vocabulary_is_the_same() {
    let folder = std::env::temp_dir().join(format!("quadrat-vocabulary-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for vocabulary in [&*TRAINED, &Vocabulary::words(TEXTS, 20).unwrap()] {
        vocabulary.save(&folder).unwrap();
        let read = Vocabulary::from_folder(&folder).unwrap();
        assert_eq!((read.begin(), read.end(), read.len()), (vocabulary.begin(), vocabulary.end(), vocabulary.len()));
        let text = "the other <|endoftext|> naïve 🦀";
        assert_eq!(read.encode(text).unwrap(), vocabulary.encode(text).unwrap());
        assert_eq!(json_of(&read), json_of(vocabulary));
    }
    let named = |config: &str| {
        std::fs::write(folder.join("tokenizer_config.json"), config).unwrap();
        Vocabulary::from_folder(&folder)
    };
    let read = named(r#"{"bos_token": {"content": "<|endoftext|>", "lstrip": false}, "eos_token": null}"#).unwrap();
    assert_eq!((read.begin(), read.end()), (Some(1), None));
    assert!(named(r#"{"eos_token": "</s>"}"#).err().unwrap().to_string().contains("`</s>` is no token"));
    std::fs::write(folder.join("tokenizer.json"), "{}").unwrap();
    assert!(Vocabulary::from_folder(&folder).err().unwrap().to_string().contains("no vocabulary that can be read"));
    std::fs::remove_dir_all(folder).unwrap();
}

/// The trained vocabulary as a GGUF file holds it.
fn written(cut: &str) -> Writer {
    let json = json_of(&TRAINED);
    let names: Vec<String> = (0..275).map(|token| TRAINED.name(token).unwrap()).collect();
    let pair = |pair: &Value| format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
    let merges: Vec<String> = json["model"]["merges"].as_array().unwrap().iter().map(pair).collect();
    // Of the types of tokens 3 is special and 1 is not.
    let kinds: Vec<u32> = (0..275).map(|token| if token == 0 { 3 } else { 1 }).collect();
    Writer::default()
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", cut)
        .texts("tokenizer.ggml.tokens", &names.iter().map(String::as_str).collect::<Vec<_>>())
        .texts("tokenizer.ggml.merges", &merges.iter().map(String::as_str).collect::<Vec<_>>())
        .numbers("tokenizer.ggml.token_type", &kinds)
        .u32("tokenizer.ggml.bos_token_id", 0)
        .u32("tokenizer.ggml.eos_token_id", 0)
}

#[test]
fn a_file_of_a_model_carries_its_vocabulary() {
    let read = |file: Writer| Vocabulary::from_gguf(&file.open().unwrap());
    let text = "the 1812 naïve<|endoftext|>cat 🦀\n\n x";
    let own = read(written("gpt-2")).unwrap();
    assert_eq!((own.len(), own.begin(), own.end()), (275, Some(0), Some(0)));
    assert_eq!(own.encode(text).unwrap(), TRAINED.encode(text).unwrap());
    for cut in ["smollm", "llama-bpe", "qwen2"] {
        let own = read(written(cut)).unwrap();
        let tokens = own.encode(text).unwrap();
        assert_eq!(own.decode(&tokens), text.replace("<|endoftext|>", ""), "{cut}");
        let numbers = own.encode("1812").unwrap().len();
        assert_eq!(numbers, if cut == "llama-bpe" { own.encode("181").unwrap().len() + 1 } else { 4 }, "{cut}");
        assert_eq!(own.prompt("the").unwrap(), own.encode("the").unwrap());
    }
    let own = read(written("llama-bpe").flag("tokenizer.ggml.add_bos_token", true)).unwrap();
    assert_eq!(own.prompt("the").unwrap(), [&[0], &own.encode("the").unwrap()[..]].concat());
    for (file, words) in [
        (written("odd"), "`tokenizer.ggml.pre` is `odd`: gpt-2, smollm, llama-bpe, qwen2 are known"),
        (written("gpt-2").text("tokenizer.ggml.model", "llama"), "a vocabulary of the kind `llama`: `gpt2`"),
        (written("gpt-2").numbers("tokenizer.ggml.token_type", &[1]), "275 tokens and types of 1"),
        (written("gpt-2").u32("tokenizer.ggml.eos_token_id", 275), "is 275, of 275 tokens"),
        (written("gpt-2").texts("tokenizer.ggml.merges", &["ab"]), "`ab` in `tokenizer.ggml.merges` is no pair"),
        (written("gpt-2").texts("tokenizer.ggml.merges", &["a no"]), "no vocabulary that can be read"),
        (written("gpt-2").without("tokenizer.ggml.merges"), "`tokenizer.ggml.merges` is missing"),
    ] {
        let message = read(file).err().unwrap().to_string();
        assert!(message.contains(words), "{words}: {message}");
    }
}

proptest! {
    /// A vocabulary or an error.
    #[test]
    fn damaged_files_are_no_trouble(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = json_of(&TRAINED).to_string().into_bytes();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(vocabulary) = Vocabulary::from_json(&bytes) {
            let _ = vocabulary.encode("the cat").map(|tokens| vocabulary.decode(&tokens));
        }
    }
}
