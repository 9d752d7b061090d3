use super::*;
use crate::{BERT, Feed, Others, Rows, Transformer, initialise, load_named, predict};
use ndarray::{Array1, ArrayView1, s};
use quadrat_core::Silent;
use serde_json::{Value, json};
use std::fs;

/// The folders that `tests/golden/encoder/make.py` made.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/encoder").join(name)
}

/// Texts, and what sentence-transformers makes of them.
fn known(name: &str) -> (Vec<String>, Array2<f32>) {
    let all: Value = serde_json::from_slice(&fs::read(golden(name).join("golden.json")).unwrap()).unwrap();
    let texts: Vec<String> = serde_json::from_value(all["texts"].clone()).unwrap();
    let vectors: Vec<Vec<f32>> = serde_json::from_value(all["vectors"].clone()).unwrap();
    (texts, Array2::from_shape_vec((vectors.len(), vectors[0].len()), vectors.concat()).unwrap())
}

fn cosine(a: ArrayView1<f32>, b: ArrayView1<f32>) -> f64 {
    let [a, b] = [a, b].map(|v| v.mapv(f64::from));
    a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt()
}

/// A copy of a folder that may be spoilt, and goes away with the test.
struct Copy(PathBuf);

impl Copy {
    fn of(name: &str, test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("quadrat-encoder-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fn all(from: &Path, to: &Path) {
            fs::create_dir_all(to).unwrap();
            for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
                let to = to.join(entry.file_name().unwrap());
                if entry.is_dir() {
                    all(&entry, &to);
                } else {
                    fs::copy(&entry, to).unwrap();
                }
            }
        }
        all(&golden(name), &path);
        Copy(path)
    }

    /// Changes a JSON file.
    fn change(&self, file: &str, change: impl FnOnce(&mut Value)) {
        let path = self.0.join(file);
        let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        fs::write(path, value.to_string()).unwrap();
    }

    fn refused(&self) -> String {
        SentenceEncoder::open(&self.0).unwrap_err().to_string()
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn vectors_are_those_of_sentence_transformers() {
    for (name, dims, longest) in [("bert", 32, 24), ("distilbert", 8, 40), ("roberta", 32, 40), ("mpnet", 16, 60)] {
        let (texts, want) = known(name);
        let encoder = SentenceEncoder::open(&golden(name)).unwrap();
        assert_eq!((encoder.dims(), encoder.longest()), (dims, longest), "{name}");
        let found = encoder.vectors(&texts, &Silent).unwrap();
        for (i, (got, want)) in found.rows.rows().into_iter().zip(want.rows()).enumerate() {
            assert!(1.0 - cosine(got, want) < 1e-9, "{name}, text {i}: {got} for {want}");
            let largest = want.iter().fold(0.0, |most: f32, v| most.max(v.abs()));
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-5 * largest.max(1.0)), "{name}, text {i}");
        }
        assert_eq!(found.cut, usize::from(longest < 41), "{name}");
        assert_eq!(found.notes.len(), found.cut);
    }
}

#[test]
fn the_network_for_training_computes_the_same() {
    let encoder = SentenceEncoder::open(&golden("bert")).unwrap();
    let texts = known("bert").0[..2].to_vec();
    let found = encoder.vectors(&texts, &Silent).unwrap().rows;
    let mut network = Transformer::bert(100, 32, 32, 4, 2);
    network.style.units = Some(40);
    assert_eq!(network.style.feed, Feed::Gelu);
    let mut parameters = initialise(&network, Seed(0)).unwrap();
    load_named(&[golden("bert").join("model.safetensors")], BERT, &mut parameters).unwrap();
    let mut ids = vec![0_u32; 2 * 32];
    let mut mask = Array2::<f32>::zeros((2, 32));
    for (i, text) in texts.iter().enumerate() {
        let read = encoder.tokens.read(text).unwrap().ids;
        ids[i * 32..][..read.len()].copy_from_slice(&read);
        mask.slice_mut(s![i, ..read.len()]).fill(1.0);
    }
    let others = Others::from([
        ("tokens".to_owned(), Array2::from_shape_vec((2, 32), ids).unwrap().into()),
        ("mask".to_owned(), mask.into()),
        ("types".to_owned(), Array2::<u32>::zeros((2, 32)).into()),
    ]);
    let none = Array2::zeros((2, 0));
    let slow = predict(&network, &parameters, Rows::new(none.view(), &others), &[]).unwrap();
    for i in 0..2 {
        assert!(1.0 - cosine(found.row(i), slow.row(i)) < 1e-9);
    }
}

#[test]
fn a_vector_does_not_depend_on_other_texts_or_threads() {
    for name in ["bert", "mpnet"] {
        let encoder = SentenceEncoder::open(&golden(name)).unwrap();
        let (texts, _) = known(name);
        let alone: Vec<Array1<f32>> = texts
            .iter()
            .map(|t| encoder.vectors(std::slice::from_ref(t), &Silent).unwrap().rows.row(0).to_owned())
            .collect();
        let many: Vec<String> = (0..700)
            .map(|i| {
                if i % 3 == 0 {
                    texts[i / 3 % texts.len()].clone()
                } else {
                    format!("wine {i} {}", "road ".repeat(i % 19))
                }
            })
            .collect();
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| encoder.vectors(&many, &Silent).unwrap())
        };
        let (one, three) = (with(1), with(3));
        assert_eq!(one.rows, three.rows);
        for i in (0..many.len()).step_by(3) {
            assert_eq!(one.rows.row(i), alone[i / 3 % texts.len()], "{name}, text {i}");
        }
    }
}

#[test]
fn a_folder_of_transformers_gives_means_and_says_so() {
    let copy = Copy::of("bert", "plain");
    for gone in ["modules.json", "sentence_bert_config.json"] {
        fs::remove_file(copy.0.join(gone)).unwrap();
    }
    let (texts, want) = known("bert");
    let encoder = SentenceEncoder::open(&copy.0).unwrap();
    let found = encoder.encode(&texts[..5], Seed(0), &Silent).unwrap();
    assert!(found.notes.len() == 1 && found.notes[0].contains("mean"), "{:?}", found.notes);
    for (got, want) in found.rows.rows().into_iter().zip(want.rows()) {
        assert!(1.0 - cosine(got, want) < 1e-9 && (got.dot(&got) - 1.0).abs() > 1e-3);
    }
    assert_eq!(encoder.longest(), 32, "as many as there are positions");
    assert!(encoder.encode(&[], Seed(0), &Silent).is_err());
}

#[test]
fn a_default_prompt_and_lower_case_come_before_the_text() {
    let copy = Copy::of("roberta", "prompt");
    let prompts = json!({ "prompts": { "query": "The Road " }, "default_prompt_name": "query" });
    fs::write(copy.0.join("config_sentence_transformers.json"), prompts.to_string()).unwrap();
    fs::write(copy.0.join("sentence_bert_config.json"), json!({ "do_lower_case": true }).to_string()).unwrap();
    let with = SentenceEncoder::open(&copy.0).unwrap().vectors(&["GOES on".to_owned()], &Silent).unwrap();
    let plain = SentenceEncoder::open(&golden("roberta")).unwrap();
    assert_eq!(with.rows, plain.vectors(&["the road goes on".to_owned()], &Silent).unwrap().rows);
}

#[test]
fn what_does_not_fit_is_named_with_its_file() {
    let gone = SentenceEncoder::open(Path::new("no/such/folder")).unwrap_err().to_string();
    assert!(gone.contains("no/such/folder") && gone.contains("no such folder"), "{gone}");
    let bad = |test: &str, spoil: &dyn Fn(&Copy), parts: &[&str]| {
        let copy = Copy::of("bert", test);
        spoil(&copy);
        let message = copy.refused();
        for part in parts {
            assert!(message.contains(part), "{test}: {message}");
        }
    };
    for (file, hint) in
        [("config.json", "transformers"), ("model.safetensors", "AutoModel"), ("tokenizer.json", "AutoTokenizer")]
    {
        bad("gone", &|copy| fs::remove_file(copy.0.join(file)).unwrap(), &[&format!("has no {file}"), hint]);
    }
    let config =
        |key: &'static str, value: Value| move |copy: &Copy| copy.change("config.json", |c| c[key] = value.clone());
    bad("kind", &config("model_type", json!("llama")), &["config.json", "`llama`", "bert, distilbert, roberta"]);
    bad("act", &config("hidden_act", json!("swish")), &["config.json", "`swish`", "gelu_new"]);
    bad("places", &config("position_embedding_type", json!("relative_key")), &["relative_key", "absolute"]);
    bad("heads", &config("num_attention_heads", json!(5)), &["config.json", "5 heads"]);
    bad("word", &config("hidden_size", json!("wide")), &["config.json", "invalid type"]);
    bad(
        "shape",
        &config("intermediate_size", json!(48)),
        &["model.safetensors", "intermediate.dense.weight", "[40, 32]"],
    );
    bad(
        "short",
        &config("num_hidden_layers", json!(1)),
        &["model.safetensors", "encoder.layer.1", "and 15 more", "no part"],
    );
    bad("deep", &config("num_hidden_layers", json!(3)), &["`encoder.layer.2.attention.self.query.weight` is missing"]);
    bad("vocabulary", &config("vocab_size", json!(80)), &["tokenizer.json", "has no vector", "80"]);
    bad(
        "pool",
        &|c| c.change("1_Pooling/config.json", |p| p["pooling_mode"] = json!("attention")),
        &["`attention`", "lasttoken"],
    );
    let prompt = |c: &Copy| {
        c.change("1_Pooling/config.json", |p| p["include_prompt"] = json!(false));
        let prompts = json!({ "prompts": { "query": "find: " }, "default_prompt_name": "query" });
        fs::write(c.0.join("config_sentence_transformers.json"), prompts.to_string()).unwrap();
    };
    bad("prompt", &prompt, &["1_Pooling", "include_prompt"]);
    let module = |kind: &'static str| {
        move |c: &Copy| {
            c.change("modules.json", |m| m[1]["type"] = json!(format!("sentence_transformers.models.{kind}")))
        }
    };
    bad("module", &module("LSTM"), &["modules.json", "LSTM", "Pooling"]);
    bad(
        "length",
        &|c| c.change("sentence_bert_config.json", |s| s["max_seq_length"] = json!(2)),
        &["2 special tokens", "no room"],
    );
    bad(
        "tokenizer",
        &|c| c.change("tokenizer.json", |t| drop(t.as_object_mut().unwrap().remove("model"))),
        &["tokenizer.json", "no tokenizer"],
    );
    let cut = |c: &Copy| {
        let path = c.0.join("model.safetensors");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    };
    bad("cut", &cut, &["model.safetensors", "promised"]);
    let nan = |c: &Copy| {
        let path = c.0.join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let start = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        // The shift of the first normalisation.
        bytes[start..start + 4 * 32].fill(0xff);
        fs::write(&path, bytes).unwrap();
    };
    let copy = Copy::of("bert", "nan");
    nan(&copy);
    let encoder = SentenceEncoder::open(&copy.0).unwrap();
    let message = encoder.vectors(&known("bert").0, &Silent).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("model.safetensors") && message.contains("not finite"), "{message}");
}

#[test]
fn a_second_time_costs_nothing_and_a_damaged_cache_nothing_but_time() {
    let root = std::env::temp_dir().join(format!("quadrat-encoder-cache-{}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    let (texts, _) = known("bert");
    let open = || SentenceEncoder::open(&golden("bert")).unwrap().cached_in(root.clone()).unwrap();
    let first = open().vectors(&texts, &Silent).unwrap();
    assert!(first.cached == 0 && first.tokens > 0 && first.cut == 1);
    let more: Vec<String> = texts.iter().cloned().chain(["table".to_owned(), "wine".to_owned()]).collect();
    let second = open().vectors(&more, &Silent).unwrap();
    assert_eq!((second.cached, second.tokens, second.cut), (texts.len() + 1, 3, 1));
    assert_eq!(second.rows.slice(s![..texts.len(), ..]), first.rows);
    let other = Copy::of("bert", "cached");
    other.change("config.json", |c| c["hidden_act"] = json!("relu"));
    let other =
        SentenceEncoder::open(&other.0).unwrap().cached_in(root.clone()).unwrap().vectors(&texts, &Silent).unwrap();
    assert!(other.cached == 0 && other.rows != first.rows, "another model");
    for model in fs::read_dir(&root).unwrap() {
        for block in fs::read_dir(model.unwrap().path()).unwrap() {
            let path = block.unwrap().path();
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.len() - 50;
            bytes[end] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let third = open().vectors(&texts, &Silent).unwrap();
    assert_eq!((third.cached, &third.rows), (0, &first.rows));
    assert!(third.notes.iter().any(|note| note.contains("damaged")), "{:?}", third.notes);
    let file = root.join("a file");
    fs::write(&file, "").unwrap();
    let unkept =
        SentenceEncoder::open(&golden("bert")).unwrap().cached_in(file).unwrap().vectors(&texts, &Silent).unwrap();
    assert!(unkept.rows == first.rows && unkept.notes.iter().any(|note| note.contains("not kept")));
    fs::remove_dir_all(&root).unwrap();
}
