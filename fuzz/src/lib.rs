//! What every target does with a file: open it and ask for everything. Nothing may panic.
//!
//! ```text
//! cargo +nightly fuzz run csv -- -max_total_time=600
//! ```

use quadrat_data::{Missing, Table};
use quadrat_language::{Gguf, LanguageModel, Llama, Vocabulary, safetensors};
use std::path::Path;
use std::sync::Once;

/// The fuzzer ends at every panic, also at one that the reader of Parquet would catch and turn into an error: those pass.
fn let_caught_panics_pass() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let fatal = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !quadrat_data::panic_becomes_error() {
                fatal(panic);
            }
        }));
    });
}

/// Opens `bytes` as a file called `name` and decodes every column in every way.
pub fn exercise(name: &str, bytes: &[u8]) {
    let_caught_panics_pass();
    let Ok(table) = Table::from_bytes(name, bytes.to_vec(), &[]) else { return };
    for column in table.column_names() {
        let _ = table.numeric(&[column], Missing::Keep);
        let _ = table.strings(column);
        let _ = table.categories(column, Missing::Error);
        let _ = table.labels(column, None);
        let _ = table.embedding(column);
    }
}

/// Puts `bytes` into an empty folder as a file called `name`, and does something with both.
fn in_folder(name: &str, bytes: &[u8], with: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("room for a file");
    with(&path);
}

/// Opens `bytes` as a GGUF file, takes model and vocabulary, and asks both for something.
pub fn gguf(bytes: &[u8]) {
    in_folder("model.gguf", bytes, |path| {
        let Ok(file) = Gguf::open(path) else { return };
        if let Ok(vocabulary) = Vocabulary::from_gguf(&file) {
            let _ = vocabulary.encode("a text").map(|tokens| vocabulary.decode(&tokens));
        }
        if let Ok(model) = Llama::from_gguf(&file) {
            let mut text = model.begin();
            let _ = text.push(&[0]).and_then(|()| text.scores(&mut vec![0.0; model.vocabulary()]));
        }
    });
}

/// Opens `bytes` as a folder's weights and asks for rows of all of them.
pub fn weights(bytes: &[u8]) {
    in_folder("model.safetensors", bytes, |path| {
        let folder = path.parent().expect("a folder");
        let Ok(folder) = safetensors::Folder::open(folder) else { return };
        for name in folder.names() {
            let _ = folder.matrix(name, &[1, 1]).map(|matrix| matrix.row(0, &mut [0.0]));
        }
    });
}

/// Opens `bytes` as a folder's vocabulary, and writes and reads a text. Panics that the reader turns into errors pass; the fuzzer
/// sees those that come through.
pub fn tokenizer(bytes: &[u8]) {
    std::panic::set_hook(Box::new(|_| {}));
    in_folder("tokenizer.json", bytes, |path| {
        let folder = path.parent().expect("a folder");
        let Ok(vocabulary) = Vocabulary::from_folder(folder) else { return };
        let _ = vocabulary.encode("a text").map(|tokens| vocabulary.decode(&tokens));
    });
}
