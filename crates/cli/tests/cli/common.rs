//! The real binary in a folder of its own, and small files to feed it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder that goes away with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("quadrat-cli-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The names of all files in the folder.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// A small sentence encoder in the folder `minilm`.
    pub fn write_encoder(&self) {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nn/tests/golden/encoder/bert");
        let to = self.path("minilm");
        fs::create_dir_all(to.join("1_Pooling")).unwrap();
        for file in [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "modules.json",
            "sentence_bert_config.json",
            "1_Pooling/config.json",
        ] {
            fs::copy(golden.join(file), to.join(file)).unwrap();
        }
    }

    /// Where the program keeps what it may need again.
    pub fn cache(&self) -> PathBuf {
        self.0.with_extension("cache")
    }

    /// Runs a line as a shell would: `quadrat list "two words"`.
    pub fn run(&self, line: &str) -> Output {
        quadrat(self, line)
    }

    /// Runs a line that must succeed, and returns what it printed.
    pub fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}\n{text}\n{errors}");
        text
    }

    /// Runs a line that must fail with exit code 2 and leave the folder as it was; returns the message.
    pub fn fails(&self, line: &str) -> String {
        let before = self.files();
        let output = self.run(line);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}\n{message}");
        assert_eq!(self.files(), before, "{line}");
        message
    }

    /// Runs a line whose standard output must be one JSON value.
    pub fn json(&self, line: &str) -> serde_json::Value {
        serde_json::from_str(&self.ok(line)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        let _ = fs::remove_dir_all(self.cache());
    }
}

fn quadrat(folder: &Folder, line: &str) -> Output {
    let mut words = shell_words(line).into_iter();
    assert_eq!(words.next().as_deref(), Some("quadrat"), "{line}");
    let mut program = Command::new(env!("CARGO_BIN_EXE_quadrat"));
    program.args(words).current_dir(&folder.0).env("XDG_CACHE_HOME", folder.cache()).output().unwrap()
}

/// Words with double quotes taken off; a comment ends the line.
fn shell_words(line: &str) -> Vec<String> {
    let line = line.split(" #").next().unwrap_or(line);
    line.split('"')
        .enumerate()
        .flat_map(|(i, part)| match i % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// A stream of numbers in [0, 1) for test files.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// `rows` rows of two measures and a class; one row in five is `rare`, shifted by 2 in both measures.
pub fn train_csv(rows: usize) -> String {
    let mut numbers = Numbers::new(1);
    let mut text = String::from("id,width,height,label\n");
    for i in 0..rows {
        let (shift, label) = if i % 5 == 0 { (2.0, "rare") } else { (0.0, "common") };
        let (a, b) = (numbers.next() + shift, 10.0 * numbers.next() + shift);
        text.push_str(&format!("r{i},{a:.4},{b:.3},{label}\n"));
    }
    text
}

/// Like [`train_csv`], with two nominal columns.
pub fn mixed_csv(rows: usize) -> String {
    let mut numbers = Numbers::new(2);
    let mut text = String::from("age,city,member,y\n");
    for i in 0..rows {
        let label = if i % 5 == 0 { "yes" } else { "no" };
        let city = ["Oslo", "Rome", "\"Bath, UK\""][(3.0 * numbers.next()) as usize];
        let member = numbers.next() < 0.5;
        text.push_str(&format!("{:.2},{city},{member},{label}\n", 20.0 + 60.0 * numbers.next()));
    }
    text
}

/// A tall numeric table for regression.
pub fn rows_csv(rows: usize) -> String {
    let mut numbers = Numbers::new(3);
    let mut text = String::from("a,b,c\n");
    for _ in 0..rows {
        let heavy = 1.0 / (numbers.next() + 0.01);
        text.push_str(&format!("{:.5},{:.5},{:.5}\n", numbers.next() - 0.5, heavy, numbers.next()));
    }
    text
}

/// Instructions and answers with a quality.
pub fn pool_jsonl(rows: usize) -> String {
    let topics =
        ["sort a list in rust", "boil an egg", "prove a small theorem", "plan a trip to the sea", "fix a bike"];
    let mut numbers = Numbers::new(4);
    (0..rows)
        .map(|i| {
            let topic = topics[(5.0 * numbers.next()) as usize];
            let quality = numbers.next();
            format!(
                "{{\"instruction\": \"How do I {topic}? Case {i}.\", \"response\": \"First you {topic}, then rest {}.\", \"quality\": {quality:.3}, \"extra\": {{\"n\": {i}}}}}\n",
                i % 7
            )
        })
        .collect()
}
