use super::*;
use crate::Tree;
use crate::gguf::tests::{Writer, plain};
use quadrat_core::Seed;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Sizes of the models that these tests write: tokens, width, blocks, heads, groups, units.
const SIZES: [usize; 6] = [11, 24, 2, 6, 2, 20];
const HEAD: usize = SIZES[1] / SIZES[3];

type Array = (Vec<usize>, Vec<f32>);

/// Weights by transformers' names.
fn weights(tied: bool) -> BTreeMap<String, Array> {
    let [tokens, width, layers, _, groups, units] = SIZES;
    let keys = groups * HEAD;
    let mut shapes = vec![("model.embed_tokens".to_owned(), vec![tokens, width]), ("model.norm".into(), vec![width])];
    if !tied {
        shapes.push(("lm_head".into(), vec![tokens, width]));
    }
    for layer in 0..layers {
        for (name, shape) in [
            ("input_layernorm", vec![width]),
            ("self_attn.q_proj", vec![width, width]),
            ("self_attn.k_proj", vec![keys, width]),
            ("self_attn.v_proj", vec![keys, width]),
            ("self_attn.o_proj", vec![width, width]),
            ("post_attention_layernorm", vec![width]),
            ("mlp.gate_proj", vec![units, width]),
            ("mlp.up_proj", vec![units, width]),
            ("mlp.down_proj", vec![width, units]),
        ] {
            shapes.push((format!("model.layers.{layer}.{name}"), shape));
        }
    }
    let arrays = shapes.into_iter().enumerate().map(|(i, (name, shape))| {
        let mut rng = Seed(5).rng(i as u64);
        let values = (0..shape.iter().product::<usize>()).map(|_| 0.4 * rng.normal() as f32).collect();
        (format!("{name}.weight"), (shape, values))
    });
    arrays.collect()
}

/// What llama.cpp's converter calls an array, with its rows where the file has them.
fn converted(name: &str, array: &Array) -> (String, Array) {
    let own = [
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers", "blk"),
        ("input_layernorm", "attn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("post_attention_layernorm", "ffn_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
    ];
    let renamed = own.iter().fold(name.to_owned(), |name, (theirs, own)| name.replace(theirs, own));
    let (shape, values) = array;
    if !renamed.contains("attn_q") && !renamed.contains("attn_k") {
        return (renamed, array.clone());
    }
    let rows: Vec<&[f32]> = values.chunks(shape[1]).collect();
    let order = (0..shape[0]).map(|row| row / HEAD * HEAD + row % HEAD / 2 + row % 2 * HEAD / 2);
    (renamed, (shape.clone(), order.flat_map(|row| rows[row].to_vec()).collect()))
}

/// The same model as a GGUF file.
pub(crate) fn gguf(tied: bool) -> Writer {
    let [tokens, width, layers, heads, groups, units] = SIZES.map(|n| n as u32);
    let names: Vec<String> = (0..tokens).map(|token| format!("t{token}")).collect();
    let settings = Writer::default()
        .text("general.architecture", "llama")
        .u32("llama.embedding_length", width)
        .u32("llama.block_count", layers)
        .u32("llama.attention.head_count", heads)
        .u32("llama.attention.head_count_kv", groups)
        .u32("llama.feed_forward_length", units)
        .u32("llama.context_length", 16)
        .f32("llama.rope.freq_base", 1000.0)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
        .u32("tokenizer.ggml.eos_token_id", 3)
        .texts("tokenizer.ggml.tokens", &names.iter().map(String::as_str).collect::<Vec<_>>());
    let all = weights(tied);
    let arrays = all.iter().map(|(name, array)| converted(name, array));
    arrays.fold(settings, |file, (name, (shape, values))| file.tensor(&name, &shape, 0, plain(&values)))
}

/// A folder of its own with a model as transformers writes it; `changed` is merged into `config.json`.
fn folder(name: &str, arrays: &BTreeMap<String, Array>, tied: bool, changed: serde_json::Value) -> PathBuf {
    use ::safetensors::tensor::{Dtype, TensorView, serialize};
    let [tokens, width, layers, heads, groups, units] = SIZES;
    let path = std::env::temp_dir().join(format!("quadrat-llama-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    let mut config = serde_json::json!({
        "model_type": "llama", "vocab_size": tokens, "hidden_size": width, "num_hidden_layers": layers,
        "num_attention_heads": heads, "num_key_value_heads": groups, "intermediate_size": units,
        "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": tied,
        "rope_parameters": { "rope_theta": 1000.0, "rope_type": "default" }, "eos_token_id": [3, 4],
    });
    for (key, value) in changed.as_object().unwrap() {
        config[key] = value.clone();
    }
    std::fs::write(path.join("config.json"), config.to_string()).unwrap();
    let arrays: Vec<_> = arrays.iter().map(|(name, (shape, values))| (name, shape.clone(), plain(values))).collect();
    let views = arrays.iter().map(|(name, shape, b)| (name, TensorView::new(Dtype::F32, shape.clone(), b).unwrap()));
    std::fs::write(path.join("model.safetensors"), serialize(views.collect::<Vec<_>>(), None).unwrap()).unwrap();
    path
}

/// The model written down once more from the papers, in double precision and without a cache; scores after the last token.
fn reference(arrays: &BTreeMap<String, Array>, tokens: &[usize]) -> Vec<f64> {
    let [_, width, layers, heads, groups, _] = SIZES;
    let wide = |name: &str| -> Vec<f64> { arrays[&format!("{name}.weight")].1.iter().map(|v| f64::from(*v)).collect() };
    let times = |name: &str, x: &[f64]| -> Vec<f64> {
        wide(name).chunks(x.len()).map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum()).collect()
    };
    let norm = |name: &str, x: &[f64]| -> Vec<f64> {
        let size = (x.iter().map(|x| x * x).sum::<f64>() / width as f64 + 1e-5).sqrt();
        x.iter().zip(wide(name)).map(|(x, scale)| x / size * scale).collect()
    };
    let turn = |rows: &mut [f64], at: usize| {
        for head in rows.chunks_mut(HEAD) {
            for i in 0..HEAD / 2 {
                let angle = at as f64 * 1000_f64.powf(-2.0 * i as f64 / HEAD as f64);
                let (a, b) = (head[i], head[i + HEAD / 2]);
                head[i] = a * angle.cos() - b * angle.sin();
                head[i + HEAD / 2] = b * angle.cos() + a * angle.sin();
            }
        }
    };
    let embedding = wide("model.embed_tokens");
    let mut x: Vec<Vec<f64>> = tokens.iter().map(|token| embedding[token * width..][..width].to_vec()).collect();
    for layer in 0..layers {
        let of = |name: &str| format!("model.layers.{layer}.{name}");
        let (mut keys, mut values): (Vec<Vec<f64>>, Vec<Vec<f64>>) = Default::default();
        for (at, x) in x.iter_mut().enumerate() {
            let h = norm(&of("input_layernorm"), x);
            let [mut q, mut k] = ["self_attn.q_proj", "self_attn.k_proj"].map(|name| times(&of(name), &h));
            turn(&mut q, at);
            turn(&mut k, at);
            keys.push(k);
            values.push(times(&of("self_attn.v_proj"), &h));
            let mut seen = Vec::new();
            for head in 0..heads {
                let own = head / (heads / groups) * HEAD;
                let dot = |k: &Vec<f64>| (0..HEAD).map(|i| q[head * HEAD + i] * k[own + i]).sum::<f64>();
                let shares: Vec<f64> = keys.iter().map(|k| (dot(k) / (HEAD as f64).sqrt()).exp()).collect();
                let all: f64 = shares.iter().sum();
                seen.extend(
                    (0..HEAD).map(|i| shares.iter().zip(&values).map(|(s, v)| s / all * v[own + i]).sum::<f64>()),
                );
            }
            let back = times(&of("self_attn.o_proj"), &seen);
            x.iter_mut().zip(back).for_each(|(x, more)| *x += more);
            let h = norm(&of("post_attention_layernorm"), x);
            let gate = times(&of("mlp.gate_proj"), &h).into_iter().zip(times(&of("mlp.up_proj"), &h));
            let units: Vec<f64> = gate.map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect();
            let more = times(&of("mlp.down_proj"), &units);
            x.iter_mut().zip(more).for_each(|(x, more)| *x += more);
        }
    }
    let head = if arrays.contains_key("lm_head.weight") { "lm_head" } else { "model.embed_tokens" };
    times(head, &norm("model.norm", &x[tokens.len() - 1]))
}

fn scores(model: &Llama, tokens: &[u32]) -> Vec<f32> {
    let mut text = model.begin();
    text.push(tokens).unwrap();
    let mut out = vec![0.0; model.vocabulary()];
    text.scores(&mut out).unwrap();
    out
}

#[test]
fn scores_are_those_of_the_papers() {
    for tied in [true, false] {
        let arrays = weights(tied);
        let path = folder(&format!("scores-{tied}"), &arrays, tied, serde_json::json!({}));
        let from_folder = Llama::from_folder(&path).unwrap();
        let from_gguf = Llama::from_gguf(&gguf(tied).open().unwrap()).unwrap();
        std::fs::remove_dir_all(path).unwrap();
        assert_eq!((from_folder.ends(), from_gguf.ends()), (&[3, 4][..], &[3][..]));
        assert_eq!(from_folder.parameters(), arrays.values().map(|(_, values)| values.len()).sum::<usize>());
        for tokens in [&[0][..], &[3, 1, 4, 1, 5, 9, 2, 6, 5, 3]] {
            let want = reference(&arrays, &tokens.iter().map(|t| *t as usize).collect::<Vec<_>>());
            for model in [&from_folder, &from_gguf] {
                for (found, want) in scores(model, tokens).iter().zip(&want) {
                    assert!((f64::from(*found) - want).abs() < 2e-5 * (1.0 + want.abs()), "{found} {want}");
                }
            }
        }
    }
}

/// Bits of the scores at every place of a text.
fn all_bits(model: &Llama, tokens: &[u32]) -> Vec<Vec<u32>> {
    (1..=tokens.len()).map(|n| scores(model, &tokens[..n]).iter().map(|s| s.to_bits()).collect()).collect()
}

#[test]
fn a_text_has_the_same_bits_however_it_came() {
    let model = Llama::from_gguf(&gguf(true).open().unwrap()).unwrap();
    let tokens = [3, 1, 4, 1, 5, 9, 2];
    let want = all_bits(&model, &tokens);
    let bits = |text: &mut BoxedState| {
        let mut out = vec![0.0; model.vocabulary()];
        text.scores(&mut out).unwrap();
        out.iter().map(|s| s.to_bits()).collect::<Vec<_>>()
    };
    let mut one_by_one = model.begin();
    for (token, want) in tokens.iter().zip(&want) {
        one_by_one.push(&[*token]).unwrap();
        assert_eq!(bits(&mut one_by_one), *want);
    }
    // A tree below two tokens that holds the others, others before them and beside them.
    let mut text = model.begin();
    text.push(&tokens[..2]).unwrap();
    let mut tree = Tree::new();
    tree.child(None, 8);
    let (mut parent, mut path) = (None, Vec::new());
    for token in &tokens[2..] {
        tree.child(parent, 10);
        parent = Some(tree.child(parent, *token));
        path.extend(parent);
    }
    let mut out = vec![0.0; tree.len() * model.vocabulary()];
    text.tree(&tree, &mut out).unwrap();
    for (node, want) in path.iter().zip(&want[2..]) {
        let found: Vec<u32> = out[node * 11..][..11].iter().map(|s| s.to_bits()).collect();
        assert_eq!(found, *want, "{node}");
    }
    assert_eq!((text.len(), bits(&mut text)), (2, want[1].clone()));
    let mut fork = text.fork();
    assert!(fork.keep(&path).is_err(), "the tree hangs below the other text");
    text.keep(&path[..3]).unwrap();
    assert_eq!((text.len(), bits(&mut text)), (5, want[4].clone()));
    text.push(&tokens[5..]).unwrap();
    assert_eq!(bits(&mut text), want[6]);
    text.truncate(4);
    assert_eq!(bits(&mut text), want[3]);
    fork.push(&tokens[2..]).unwrap();
    assert_eq!(bits(&mut fork), want[6]);
    // On one thread as on two.
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| all_bits(&model, &tokens)), want);
    }
}

#[test]
fn what_a_text_cannot_be_is_said() {
    let model = Llama::from_gguf(&gguf(true).open().unwrap()).unwrap();
    let mut text = model.begin();
    let mut out = vec![0.0; 11];
    assert!(text.scores(&mut out).unwrap_err().to_string().contains("a first token"));
    assert!(text.push(&[1, 11]).unwrap_err().to_string().contains("below 11"));
    assert_eq!(text.len(), 0, "nothing is added");
    text.push(&[1; 15]).unwrap();
    assert!(text.push(&[1, 1]).unwrap_err().to_string().contains("at most 16, the model's context"));
    let mut tree = Tree::new();
    let first = tree.child(None, 1);
    text.tree(&tree, &mut out).unwrap();
    assert!(text.tree(&tree, &mut out[..5]).is_err());
    tree.child(Some(first), 2);
    assert!(text.tree(&tree, &mut [0.0; 22]).unwrap_err().to_string().contains("16"));
    text.tree(&Tree::new(), &mut []).unwrap();
    text.push(&[]).unwrap();
    assert_eq!(text.len(), 15);
}

#[test]
fn files_that_hold_another_model_are_refused_by_name() {
    let refused = |file: Writer| Llama::from_gguf(&file.open().unwrap()).err().unwrap().to_string();
    for (file, words) in [
        (gguf(true).text("general.architecture", "mamba"), "the architecture `mamba`: `llama` is read"),
        (gguf(true).without("llama.block_count"), "`llama.block_count` is missing"),
        (gguf(true).u32("llama.attention.head_count_kv", 4), "heads are a multiple"),
        (gguf(true).u32("llama.expert_count", 8), "`llama.expert_count` is 8"),
        (gguf(true).text("llama.rope.scaling.type", "yarn"), "`llama.rope.scaling.type` is yarn"),
        (gguf(true).u32("llama.rope.dimension_count", 2), "`llama.rope.dimension_count` is 2"),
        (gguf(true).f32("llama.rope.freq_base", 0.0), "positions would turn by inf"),
        (gguf(true).u32("llama.attention.key_length", u32::MAX - 1), "each is from 1 to"),
        (gguf(true).u32("tokenizer.ggml.eos_token_id", 11), "token 11 ends a text"),
        (gguf(true).without("blk.1.ffn_up.weight"), "tensor `blk.1.ffn_up.weight` is missing"),
        (gguf(true).tensor("blk.2.ffn_up.weight", &[1], 0, plain(&[0.0])), "tensor `blk.2.ffn_up.weight` is no part"),
        (
            gguf(true).tensor("blk.0.attn_k.weight", &[24, 8], 0, plain(&[0.0; 192])),
            "tensor `blk.0.attn_k.weight` has shape [24, 8]; by the file's settings it has [8, 24]",
        ),
    ] {
        let message = refused(file);
        assert!(message.contains(words), "{words}: {message}");
    }
    let refused = |name: &str, change: &dyn Fn(&mut BTreeMap<String, Array>), config: serde_json::Value| {
        let mut arrays = weights(true);
        change(&mut arrays);
        let path = folder(name, &arrays, true, config);
        let message = Llama::from_folder(&path).err().unwrap().to_string();
        std::fs::remove_dir_all(path).unwrap();
        message
    };
    let same = |_: &mut BTreeMap<String, Array>| {};
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    for (number, (config, words)) in [
        (r#"{"model_type": "qwen2"}"#, "`model_type` is `qwen2`: `llama` and `mistral` are read"),
        (r#"{"hidden_act": "gelu"}"#, "`hidden_act` is `gelu`"),
        (r#"{"attention_bias": true}"#, "`attention_bias` or `mlp_bias` is true"),
        (r#"{"sliding_window": 8}"#, "`sliding_window` is 8"),
        (r#"{"rope_parameters": {"rope_type": "yarn"}}"#, "`rope_type` is `yarn`"),
        (r#"{"rope_parameters": {"rope_type": "linear"}}"#, "`factor` is missing"),
        (r#"{"num_hidden_layers": 3}"#, "tensor `model.layers.2.input_layernorm.weight` is missing"),
        (r#"{"num_hidden_layers": 1}"#, "tensor `model.layers.1.input_layernorm.weight` and 8 more is no part"),
        (r#"{"intermediate_size": 0}"#, "each is from 1"),
        (r#"{"vocab_size": 12}"#, "`model.embed_tokens.weight` has shape [11, 24]; by config.json it has [12, 24]"),
        (r#"{"vocab_size": "x"}"#, "invalid type"),
        (r#"{"tie_word_embeddings": false}"#, "tensor `lm_head.weight` is missing"),
    ]
    .into_iter()
    .enumerate()
    {
        let message = refused(&format!("config-{number}"), &same, json(config));
        assert!(message.contains(words), "{words}: {message}");
    }
    let extra = |arrays: &mut BTreeMap<String, Array>| drop(arrays.insert("odd".into(), (vec![1], vec![0.0])));
    assert!(refused("extra", &extra, json("{}")).contains("tensor `odd` is no part"));
}

#[test]
fn weights_may_lie_in_several_files() {
    let arrays = weights(false);
    let path = folder("parts", &arrays, false, serde_json::json!({}));
    let whole = Llama::from_folder(&path).unwrap();
    let parts: Vec<BTreeMap<String, Array>> = (0..2)
        .map(|part| {
            arrays.iter().enumerate().filter(|(i, _)| i % 2 == part).map(|(_, (n, a))| (n.clone(), a.clone())).collect()
        })
        .collect();
    let mut places = BTreeMap::new();
    for (number, part) in parts.iter().enumerate() {
        let own = folder(&format!("part-{number}"), part, false, serde_json::json!({}));
        let name = format!("model-{number}.safetensors");
        std::fs::rename(own.join("model.safetensors"), path.join(&name)).unwrap();
        std::fs::remove_dir_all(own).unwrap();
        places.extend(part.keys().map(|key| (key.clone(), name.clone())));
    }
    std::fs::remove_file(path.join("model.safetensors")).unwrap();
    let index = |places: &BTreeMap<String, String>| {
        let text = serde_json::json!({ "weight_map": places }).to_string();
        std::fs::write(path.join("model.safetensors.index.json"), text).unwrap();
        Llama::from_folder(&path)
    };
    assert_eq!(scores(&index(&places).unwrap(), &[1, 2]), scores(&whole, &[1, 2]));
    for (name, file, words) in [
        ("odd", "model-0.safetensors", "tensor `odd` is in none of the files"),
        ("odd", "../model.safetensors", "is no name of a file in this folder"),
        ("odd", "model-2.safetensors", "model-2.safetensors"),
    ] {
        let mut places = places.clone();
        places.insert(name.into(), file.into());
        let message = index(&places).err().unwrap().to_string();
        assert!(message.contains(words), "{words}: {message}");
    }
    std::fs::remove_dir_all(path).unwrap();
}

/// The rule of Llama 3.1: pairs of more than 4 turns in the first training's 64 tokens keep their speed, those of less than one keep an
/// eighth of it, and others are between.
#[test]
fn long_texts_turn_slow_pairs_slower() {
    let mut speeds = [1.0, 0.2, 0.05, 0.001];
    rotation::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 64.0 }.apply(&mut speeds);
    let turns = 64.0 * 0.2 / std::f64::consts::TAU;
    let fast = (turns - 1.0) / 3.0;
    for (found, want) in speeds.iter().zip([1.0, (1.0 - fast) * 0.2 / 8.0 + fast * 0.2, 0.05 / 8.0, 0.001 / 8.0]) {
        assert!((found - want).abs() < 1e-15, "{found} {want}");
    }
}
