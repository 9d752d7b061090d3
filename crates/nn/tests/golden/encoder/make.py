"""Makes the folders beside this file: small models with random weights, and what sentence-transformers makes of TEXTS.

pip install sentence-transformers==6.2.0 transformers==5.24.0 torch==2.15.0; python make.py
"""

import json
import pathlib
import shutil

import tokenizers
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig, BertModel, DistilBertConfig, DistilBertModel, MPNetConfig, MPNetModel, PreTrainedTokenizerFast,
    RobertaConfig, RobertaForMaskedLM,
)

HERE = pathlib.Path(__file__).parent
TEXTS = [
    "the red wine is on the table",
    "A white wine, and a long road!",
    "",
    "Naïve café ... 日本 don't",
    "wine",
    "the long road to the sea goes on and on and on and on and on and on and on and on and on and on and on and on "
    "and on and on and on and on and on and on and on and on and on and on and on and on",
]
WORDS = "the red wine is on table a white and long road to sea goes naive cafe don t , . ! ' 日 本 in ##s ##e ##ed".split()


def word_pieces(special, before, after):
    """A tokenizer of words, those in `special` first."""
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)] + ["##" + chr(c) for c in range(ord("a"), ord("z") + 1)]
    words = list(dict.fromkeys(special + WORDS + letters))[:100]
    own = tokenizers.Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    own.normalizer = normalizers.BertNormalizer(lowercase=True)
    own.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    own.add_special_tokens(special)
    own.post_processor = processors.TemplateProcessing(
        single=f"{before} $A {after}", special_tokens=[(before, words.index(before)), (after, words.index(after))])
    return own


def byte_pairs():
    own = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(vocab_size=280, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    own.train_from_iterator(TEXTS, trainer)
    own.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return own


def make(name, model, tokenizer, special, steps, dtype, longest):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(len(name))
    with torch.no_grad():
        for key, value in model.named_parameters():
            one = 1.0 if "orm.weight" in key else 0.0
            spread = 0.2 if value.dim() == 1 else 0.5 if "embeddings" in key else value.shape[1] ** -0.5 * 1.5
            # Numbers that the file's precision holds.
            value.copy_((one + spread * torch.randn_like(value)).to(dtype).to(torch.float32))
    plain = HERE / "plain"
    model.eval().save_pretrained(plain)
    # Its own idea of lengths, which sentence-transformers does not follow.
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **special).save_pretrained(plain)
    tokenizer.save(str(plain / "tokenizer.json"))
    modules = [Transformer(str(plain), max_seq_length=longest), *steps]
    encoder = SentenceTransformer(modules=modules, device="cpu")
    encoder.save(str(folder), create_model_card=False)
    shutil.copy(plain / "tokenizer.json", folder)
    shutil.copy(plain / "model.safetensors", folder)  # With the head, where there is one.
    arrays = load_file(folder / "model.safetensors")
    save_file({key: value.to(dtype) for key, value in arrays.items()}, folder / "model.safetensors")
    if name == "bert":
        # As older versions wrote it.
        pool = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
                "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False}
        (folder / "1_Pooling/config.json").write_text(json.dumps(pool))
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": longest, "do_lower_case": False}))
        (folder / "config_sentence_transformers.json").unlink()
        (folder / "tokenizer_config.json").unlink()
    vectors = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    golden = {"texts": TEXTS, "vectors": [[float(v) for v in row] for row in vectors]}
    (folder / "golden.json").write_text(json.dumps(golden, ensure_ascii=False) + "\n")
    for extra in ["README.md", "special_tokens_map.json"]:
        (folder / extra).unlink(missing_ok=True)
    shutil.rmtree(plain)


def main():
    cls = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    s = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
    bert = dict(cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]")
    roberta = dict(bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>", pad_token="<pad>")
    sizes = dict(hidden_size=16, num_attention_heads=2, num_hidden_layers=2, intermediate_size=24)
    make("bert",
         BertModel(BertConfig(vocab_size=100, hidden_size=32, num_attention_heads=4, num_hidden_layers=2,
                              intermediate_size=40, max_position_embeddings=32)),
         word_pieces(cls, "[CLS]", "[SEP]"), bert, [Pooling(32, "mean"), Normalize()], torch.float32, 24)
    make("distilbert",
         DistilBertModel(DistilBertConfig(vocab_size=100, dim=16, n_heads=2, n_layers=2, hidden_dim=24,
                                          max_position_embeddings=40)),
         word_pieces(cls, "[CLS]", "[SEP]"), bert,
         [Pooling(16, "cls"), Dense(16, 8, activation_function=torch.nn.Tanh()), Normalize()], torch.bfloat16, 40)
    make("roberta",
         RobertaForMaskedLM(RobertaConfig(vocab_size=280, max_position_embeddings=42, type_vocab_size=1,
                                          hidden_act="gelu_new", layer_norm_eps=1e-5, **sizes)),
         byte_pairs(), roberta, [Pooling(16, ["max", "mean_sqrt_len_tokens"])], torch.float32, 40)
    make("mpnet",
         MPNetModel(MPNetConfig(vocab_size=100, max_position_embeddings=62, **sizes)),
         word_pieces(s, "<s>", "</s>"), dict(roberta, unk_token="[UNK]"), [Pooling(16, "mean"), Normalize()],
         torch.float16, 60)


main()
