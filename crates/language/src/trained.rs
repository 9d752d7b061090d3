//! Transformers that can be trained: those made here, and checkpoints of the usual layout that are trained on.
//!
//! They have Llama's form, and are kept as its checkpoints are: a folder with `config.json` and `model.safetensors` under the names that
//! other programs use. So what is trained here runs in them, and what they made is trained on here.

use crate::Llama;
use quadrat_core::{Error, Progress, Result, Seed, write_atomic_bytes};
use quadrat_nn::ops::Rotary;
use quadrat_nn::{
    Epoch, LLAMA, Loss, Optimizer, Parameters, Schedule, Source, TokenWindows, Trainer, Training, Transformer,
    initialise, load_named, save_named,
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The configuration in a checkpoint's folder.
pub const CONFIG: &str = "config.json";
/// The parameters in a checkpoint's folder.
pub const WEIGHTS: &str = "model.safetensors";

/// A transformer of Llama's form with its parameters.
#[derive(Debug, Clone)]
pub struct Trained {
    /// Its sizes.
    pub network: Transformer,
    /// Its parameters.
    pub parameters: Parameters,
}

/// How a transformer is trained on a text: next-token cross-entropy of windows over it.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// How often all windows are visited, at most.
    pub epochs: usize,
    /// The mean training loss of an epoch below which it was the last.
    pub until: Option<f64>,
    /// Windows of a step.
    pub batch: usize,
    /// The largest learning rate.
    pub rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// Decoupled weight decay.
    pub decay: f64,
    /// The longest gradient that is not shortened.
    pub clip: Option<f32>,
}

impl Trained {
    /// Fresh parameters of a network.
    ///
    /// # Errors
    /// Sizes that do not fit each other.
    pub fn new(network: Transformer, seed: Seed) -> Result<Self> {
        let parameters = initialise(&network, seed.stream("parameters"))?;
        Ok(Trained { network, parameters })
    }

    /// Windows over a text of this vocabulary, of `length` tokens every `stride`: what [`Trained::fit`] trains on.
    ///
    /// # Errors
    /// A token outside the vocabulary, or a text shorter than a window and the token after it.
    pub fn windows(&self, tokens: &[u32], length: usize, stride: usize) -> Result<TokenWindows> {
        let vocabulary = self.network.vocabulary;
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= vocabulary) {
            return Err(Error::input("token", token, format!("below {vocabulary}, the vocabulary's size")));
        }
        TokenWindows::new(tokens.to_vec(), length, stride)
    }

    /// Trains on windows, which need not be as long as the context; of each epoch the mean loss of a token is told, that of the windows
    /// held back beside it. With a `checkpoint` the state after each epoch is kept there, and a run that finds one goes on from it, with
    /// the same bits.
    ///
    /// Cost: six multiply-adds a parameter and token; memory for four copies of the parameters and a step's activations.
    ///
    /// # Errors
    /// A loss that is not finite; a checkpoint of another run; the user's cancelling.
    pub fn fit(
        &mut self,
        course: &Course,
        (train, held_back): (&TokenWindows, Option<&TokenWindows>),
        checkpoint: Option<&Path>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<Epoch>> {
        let network = Transformer { context: train.outputs(), ..self.network.clone() };
        let trainer = Trainer {
            epochs: course.epochs,
            batch: course.batch,
            rate: course.rate,
            schedule: course.schedule.clone(),
            optimizer: Optimizer::adamw(course.decay),
            loss: Loss::Tokens { vocabulary: network.vocabulary },
            clip: course.clip,
            seed,
            ..Trainer::default()
        };
        let mut methods = [];
        let mut training = Training::begin(&trainer, &network, self.parameters.clone(), train, &mut methods)?;
        if let Some(path) = checkpoint.filter(|path| path.exists()) {
            training.restore(path)?;
        }
        let steps = train.len().div_ceil(course.batch);
        progress.begin("training", Some((course.epochs * steps) as u64));
        progress.advance((training.epochs_done() * steps) as u64);
        let reached = |epoch: &Epoch| course.until.is_some_and(|loss| epoch.train_loss < loss);
        while !training.is_done() && !training.curve().last().is_some_and(reached) {
            training.epoch(held_back.map(|windows| windows as &dyn Source), progress)?;
            if let Some(path) = checkpoint {
                training.save(path)?;
            }
        }
        let fit = training.finish()?;
        self.parameters = fit.parameters;
        Ok(fit.curve)
    }

    /// Writes `config.json` and `model.safetensors` into a folder. `end` is the token that ends a text, and stands before the first one.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn save(&self, folder: &Path, end: Option<u32>) -> Result<()> {
        let config = Config::of(&self.network, end);
        let text = serde_json::to_string_pretty(&config).map_err(|e| Error::numeric("config.json", e.to_string()))?;
        write_atomic_bytes(&folder.join(CONFIG), format!("{text}\n").as_bytes())?;
        let each = config.hidden_size / config.num_attention_heads.max(1);
        let keys = each * config.num_key_value_heads.unwrap_or(config.num_attention_heads);
        save_named(&folder.join(WEIGHTS), LLAMA, &[config.hidden_size, keys, keys], &self.parameters)
    }

    /// What it has become, to draw from and to score with. It passes through a folder, which is gone when this returns: running and
    /// training lay parameters out in different ways, and the folder's is what both know.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn model(&self) -> Result<Llama> {
        let folder = tempfile::tempdir().map_err(|e| Error::io(std::env::temp_dir(), e))?;
        self.save(folder.path(), None)?;
        Llama::from_folder(folder.path())
    }

    /// Reads a folder of the usual layout.
    ///
    /// # Errors
    /// A file that is missing or damaged; a form that is not trained here (other heads than width / heads, scaled rotations, biases); an
    /// array that is missing, too many, or of another shape: by name.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(CONFIG);
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        let wrong = |why: String| Error::data(path.display().to_string(), None, why);
        let config: Config = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        let network = config.network().map_err(|e| wrong(e.to_string()))?;
        let mut trained = Trained::new(network, Seed(0))?;
        load_named(&[folder.join(WEIGHTS)], LLAMA, &mut trained.parameters)?;
        Ok(trained)
    }
}

/// What of a checkpoint's configuration counts, under the names that others give it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Config {
    #[serde(default)]
    architectures: Vec<String>,
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_dim: Option<usize>,
    max_position_embeddings: usize,
    rms_norm_eps: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rope_theta: Option<f64>,
    /// Where transformers 5 says it.
    #[serde(default, skip_serializing)]
    rope_parameters: Option<RopeParameters>,
    #[serde(default, skip_serializing)]
    rope_scaling: Option<serde_json::Value>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default = "silu")]
    hidden_act: String,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    bos_token_id: Option<u32>,
    /// One token, or a list of them.
    #[serde(default)]
    eos_token_id: serde_json::Value,
}

#[derive(Debug, Clone, Deserialize)]
struct RopeParameters {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

fn silu() -> String {
    "silu".to_owned()
}

impl Config {
    fn of(network: &Transformer, end: Option<u32>) -> Self {
        let style = &network.style;
        Config {
            architectures: vec!["LlamaForCausalLM".to_owned()],
            model_type: "llama".to_owned(),
            vocab_size: network.vocabulary,
            hidden_size: network.width,
            intermediate_size: style.units.unwrap_or(4 * network.width),
            num_hidden_layers: network.layers,
            num_attention_heads: network.heads,
            num_key_value_heads: Some(style.groups.unwrap_or(network.heads)),
            head_dim: None,
            max_position_embeddings: network.context,
            rms_norm_eps: style.epsilon,
            rope_theta: style.rotary.map(|rotary| rotary.base),
            rope_parameters: None,
            rope_scaling: None,
            attention_bias: false,
            mlp_bias: false,
            hidden_act: silu(),
            tie_word_embeddings: network.tied,
            bos_token_id: end,
            eos_token_id: end.into(),
        }
    }

    fn network(&self) -> Result<Transformer> {
        let refused = |what: &str, got: String, want: &str| Err(Error::input(what, got, want));
        let each = self.hidden_size / self.num_attention_heads.max(1);
        if self.model_type != "llama" || self.hidden_act != "silu" || self.attention_bias || self.mlp_bias {
            let got = format!("model_type `{}`, hidden_act `{}`", self.model_type, self.hidden_act);
            return refused("architecture", got, "llama with silu and without biases");
        }
        if self.head_dim.is_some_and(|own| own != each) {
            return refused(
                "head_dim",
                format!("{:?}", self.head_dim),
                "hidden_size / num_attention_heads: no other is trained",
            );
        }
        let kind = self.rope_parameters.as_ref().and_then(|rope| rope.rope_type.as_deref()).unwrap_or("default");
        if kind != "default" || self.rope_scaling.as_ref().is_some_and(|scaling| !scaling.is_null()) {
            return refused("rope_type", format!("`{kind}`"), "plain rotations: scaled ones are run, but not trained");
        }
        let theta = self.rope_parameters.as_ref().and_then(|rope| rope.rope_theta).or(self.rope_theta);
        let groups = self.num_key_value_heads.unwrap_or(self.num_attention_heads);
        let heads = [self.num_attention_heads, groups];
        let (context, width, units) = (self.max_position_embeddings, self.hidden_size, self.intermediate_size);
        let mut network = Transformer::llama(self.vocab_size, context, width, heads, units, self.num_hidden_layers);
        network.style.epsilon = self.rms_norm_eps;
        network.style.rotary = Some(Rotary { base: theta.unwrap_or(1e4), ..Rotary::default() });
        network.tied = self.tie_word_embeddings;
        Ok(network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LanguageModel;
    use ndarray::{Array2, array};
    use quadrat_core::Silent;
    use quadrat_nn::{Entries, Others, Rows, predict};
    use std::sync::atomic::{AtomicU64, Ordering};

    fn small() -> Trained {
        let mut network = Transformer::llama(5, 8, 16, [4, 2], 32, 1);
        network.tied = true;
        Trained::new(network, Seed(1)).unwrap()
    }

    fn course() -> Course {
        let (schedule, clip) = (Schedule::Constant, Some(1.0));
        Course { epochs: 3, until: None, batch: 4, rate: 0.01, schedule, decay: 0.0, clip }
    }

    /// 0 1 2 3 4 0 1 ...: what comes next is certain.
    fn circle(model: &Trained, n: u32) -> TokenWindows {
        model.windows(&(0..n).map(|i| i % 5).collect::<Vec<_>>(), 8, 8).unwrap()
    }

    #[test]
    fn a_circle_is_learnt_and_comes_back_from_a_folder() {
        let mut model = small();
        let (text, other) = (circle(&model, 400), circle(&model, 60));
        let course = Course { epochs: 40, until: Some(0.05), ..course() };
        let curve = model.fit(&course, (&text, Some(&other)), None, Seed(1), &Silent).unwrap();
        let last = curve.last().unwrap();
        assert!(curve[0].train_loss > 0.5 && last.train_loss < 0.05 && curve.len() < 40, "{curve:?}");
        assert!(last.validation_loss.unwrap() < 0.05);
        let folder = std::env::temp_dir().join(format!("quadrat-language-trained-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        model.save(&folder, Some(0)).unwrap();
        let again = Trained::load(&folder).unwrap();
        assert_eq!(again.network, model.network);
        check_run(&model);
        assert!(again.parameters.iter().zip(model.parameters.iter()).all(|(a, b)| a.values() == b.values()));
        let config = std::fs::read_to_string(folder.join(CONFIG)).unwrap();
        for (from, to, word) in [
            ("\"llama\"", "\"gpt2\"", "gpt2"),
            ("\"hidden_size\": 16", "\"hidden_size\": 24", "shape"),
            ("\"attention_bias\": false", "\"rope_scaling\": {\"rope_type\": \"llama3\"}", "not trained"),
            ("\"vocab_size\": 5,", "", "vocab_size"),
        ] {
            std::fs::write(folder.join(CONFIG), config.replace(from, to)).unwrap();
            let error = Trained::load(&folder).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// What runs without a graph says what the network says.
    fn check_run(model: &Trained) {
        let network = Transformer { context: 6, ..model.network.clone() };
        let tokens = [0, 1, 2, 3, 4, 0];
        let rows = Others::from([("tokens".to_owned(), Entries::Whole(array![tokens]))]);
        let wanted = predict(&network, &model.parameters, Rows::new(Array2::zeros((1, 0)).view(), &rows), &[]).unwrap();
        let llama = model.model().unwrap();
        let (mut state, mut out) = (llama.begin(), vec![0.0; 5]);
        for (token, wanted) in tokens.iter().zip(wanted.row(0).to_vec().chunks(5)) {
            state.push(&[*token]).unwrap();
            state.scores(&mut out).unwrap();
            assert!(out.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-4), "{out:?} {wanted:?}");
        }
    }

    /// Stops a run after so many steps.
    struct StopAt(u64, AtomicU64);

    impl Progress for StopAt {
        fn begin(&self, _: &str, _: Option<u64>) {}
        fn advance(&self, n: u64) {
            self.1.fetch_add(n, Ordering::Relaxed);
        }
        fn cancelled(&self) -> bool {
            self.1.load(Ordering::Relaxed) >= self.0
        }
    }

    #[test]
    fn a_run_that_was_stopped_goes_on_with_the_same_bits() {
        let path = std::env::temp_dir().join(format!("quadrat-language-stop-{}", std::process::id()));
        let fit = |path: Option<&Path>, seed, progress: &dyn Progress| {
            let mut model = small();
            let text = circle(&model, 200);
            model.fit(&course(), (&text, None), path, Seed(seed), progress).map(|_| model.parameters)
        };
        let whole = fit(None, 1, &Silent).unwrap();
        assert!(matches!(fit(Some(&path), 1, &StopAt(9, AtomicU64::new(0))), Err(Error::Cancelled)));
        let error = fit(Some(&path), 2, &Silent).unwrap_err().to_string();
        assert!(error.contains("seed"), "{error}");
        let again = fit(Some(&path), 1, &Silent).unwrap();
        assert!(whole.iter().zip(again.iter()).all(|(a, b)| a.values() == b.values()));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_cannot_be_trained_on_is_refused() {
        for (text, word) in [(vec![1, 2, 3], "token after the first window"), (vec![5; 40], "below 5")] {
            let error = small().windows(&text, 8, 8).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
