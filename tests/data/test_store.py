"""Preparing a corpus: what is stored, when it is found again, and how it fails."""

import errno
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from difflaw.data import DataConfig, SyntheticConfig, TokenStore, make_chain, prepare
from difflaw.data import store as store_module
from difflaw.data.corpora import Source
from difflaw.errors import InputError

from .conftest import make_texts, write_jsonl


def config_for(corpus, **settings) -> DataConfig:
    return DataConfig(**{"corpus": str(corpus), "vocab_size": 300, "validation_fraction": 0.1, **settings})


def documents_in(store: TokenStore, side: str) -> list[str]:
    text = store.decode(getattr(store, side)(), keep_special=True)
    return text.split("<|end_of_text|>")[:-1]


def test_text_comes_back_split_in_two_without_overlap(corpus, tmp_path):
    store = prepare(config_for(corpus), tmp_path / "cache")
    train, validation = documents_in(store, "train"), documents_in(store, "validation")
    assert sorted(train + validation) == sorted(make_texts(400))
    assert not set(train) & set(validation)
    assert store.split == "documents"
    assert (store.train_documents, store.validation_documents) == (len(train), len(validation))
    assert 20 <= len(validation) <= 80


def test_numbers_are_those_of_the_files(corpus, tmp_path):
    store = prepare(config_for(corpus), tmp_path / "cache")
    train, validation = store.train(), store.validation()
    assert isinstance(train, np.memmap)
    assert not train.flags.writeable
    assert train.dtype == np.dtype("<u2")
    assert train.shape == (store.train_tokens,)
    assert validation.shape == (store.validation_tokens,)
    assert store.validation_bytes == sum(len(t.encode()) for t in documents_in(store, "validation"))
    assert store.bytes_per_token == store.validation_bytes / store.validation_tokens
    log_p = np.log((np.bincount(train, minlength=300) + 1) / (len(train) + 300))
    assert store.unigram_entropy == pytest.approx(-log_p[validation].mean())
    assert store.vocab_size == store.tokenizer().get_vocab_size() == 300
    assert (store.entropy_rate, store.entropy_floor(8)) == (None, None)
    assert json.loads(json.dumps(store.summary()))["key"] == store.key


def test_same_corpus_is_reused_and_other_content_or_settings_are_not(corpus, tmp_path):
    lines = []
    config = config_for(corpus)
    first = prepare(config, tmp_path / "cache")
    assert prepare(config, tmp_path / "cache", lines.append) == first
    assert lines == [f"reusing {first.folder}"]
    keys = {first.key}
    for changed in ({"seed": 1}, {"vocab_size": 301}, {"max_bytes": 150_000}, {"validation_fraction": 0.11}):
        keys.add(prepare(config_for(corpus, **changed), tmp_path / "cache").key)
    write_jsonl(corpus, [*make_texts(399), make_texts(400)[399] + "."])
    keys.add(prepare(config, tmp_path / "cache").key)
    write_jsonl(corpus, make_texts(400)[::-1])
    keys.add(prepare(config, tmp_path / "cache").key)
    assert len(keys) == 7


def test_place_and_form_of_the_text_do_not_matter(corpus, tmp_path):
    first = prepare(config_for(corpus), tmp_path / "cache")
    moved = write_jsonl(tmp_path / "moved.jsonl", make_texts(400), key="body")
    again = prepare(config_for(moved, text_key="body"), tmp_path / "cache")
    assert again.key == first.key
    assert again.corpus == str(moved)


def test_two_preparations_give_the_same_bytes(corpus, tmp_path):
    stores = [prepare(config_for(corpus), tmp_path / place) for place in ("a", "b")]
    for name in ("train.bin", "validation.bin", "tokenizer.json"):
        assert (stores[0].folder / name).read_bytes() == (stores[1].folder / name).read_bytes()


@pytest.mark.parametrize("name", ["train.bin", "validation.bin", "tokenizer.json", "meta.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_cache_is_made_again(corpus, tmp_path, name, damage):
    config = config_for(corpus)
    store = prepare(config, tmp_path / "cache")
    file = store.folder / name
    whole = file.read_bytes()
    file.unlink() if damage == "gone" else file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=name):
        TokenStore.load(store.folder)
    lines = []
    assert prepare(config, tmp_path / "cache", lines.append) == store
    assert lines[0].startswith("making again")
    assert file.read_bytes() == whole
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [store.key]


def test_several_at_once_agree(corpus, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: prepare(config_for(corpus), tmp_path / "cache"), range(4)))
    assert all(store == stores[0] for store in stores)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [stores[0].key]
    assert TokenStore.load(stores[0].folder) == stores[0]


def test_one_long_document_gives_its_tail_to_validation(tmp_path):
    (tmp_path / "book.txt").write_text(text := "".join(make_texts(200)))
    lines = []
    store = prepare(config_for(tmp_path / "book.txt"), tmp_path / "cache", lines.append)
    (train,), (validation,) = documents_in(store, "train"), documents_in(store, "validation")
    assert train + validation == text
    assert len(validation) == pytest.approx(0.1 * len(text), abs=200)
    assert store.split == "tails"
    assert any("the last 10% of each" in line for line in lines)


def test_given_validation(corpus, tmp_path):
    held = [*make_texts(20, seed=1), make_texts(1)[0]]
    validation = write_jsonl(tmp_path / "validation.jsonl", held)
    lines = []
    store = prepare(config_for(corpus, validation=str(validation)), tmp_path / "cache", lines.append)
    assert documents_in(store, "validation") == held
    assert documents_in(store, "train") == make_texts(400)[1:]
    assert store.split == "given"
    assert store.skipped == {"training document that is also in validation": 1}
    assert any(line.startswith("1 documents of the corpus are also in validation") for line in lines)
    with pytest.raises(InputError, match="no training text"):
        prepare(config_for(corpus, validation=str(corpus)), tmp_path / "cache")


def test_hostile_text_never_becomes_a_special_token(tmp_path):
    texts = [text + "<|mask|><|end_of_text|>" for text in make_texts(300)]
    store = prepare(config_for(write_jsonl(tmp_path / "c.jsonl", texts)), tmp_path / "cache")
    counts = np.bincount(store.train(), minlength=4)
    assert counts[[store.bos_id, store.pad_id, store.mask_id]].sum() == 0
    assert counts[store.eos_id] == store.train_documents


def test_a_pinned_corpus_is_recognised_without_reading(tmp_path, monkeypatch):
    reads = []

    def documents(skipped):
        reads.append(1)
        return iter(make_texts(300))

    monkeypatch.setattr(store_module, "find_sources", lambda *_: [Source("hf:x", "hf:x@1", documents)])
    config = config_for("hf:x")
    first = prepare(config, tmp_path / "cache")
    assert len(reads) == 2
    assert prepare(config, tmp_path / "cache") == first
    assert len(reads) == 2


def test_a_corpus_that_changes_while_it_is_read(tmp_path, monkeypatch):
    versions = iter([make_texts(300), make_texts(301)])
    source = Source("moving", None, lambda skipped: iter(next(versions)))
    monkeypatch.setattr(store_module, "find_sources", lambda *_: [source])
    with pytest.raises(InputError, match="changed while it was read"):
        prepare(config_for("moving"), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(corpus, tmp_path, monkeypatch):
    def full(self, ids_N, text_bytes):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module.TokenFile, "write", full)
    with pytest.raises(InputError, match=r"disk full while writing to .*cache: up to [\d,]+ bytes"):
        prepare(config_for(corpus), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_too_large_a_vocabulary_leaves_nothing_behind(corpus, tmp_path):
    with pytest.raises(InputError, match="ask for at most"):
        prepare(config_for(corpus, vocab_size=50_000), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_not_a_store(tmp_path):
    with pytest.raises(InputError, match="not a complete token store"):
        TokenStore.load(tmp_path)
    (tmp_path / "meta.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="format 99"):
        TokenStore.load(tmp_path)
    (tmp_path / "meta.json").write_text("[]")
    with pytest.raises(InputError, match="damaged"):
        TokenStore.load(tmp_path)


def test_synthetic(tmp_path):
    settings = SyntheticConfig(symbols=5, tokens=200_000, seed=2)
    config = DataConfig(corpus="synthetic", synthetic=settings, validation_fraction=0.1)
    store = prepare(config, tmp_path)
    chain = make_chain(settings)
    assert store.vocab_size == 9
    assert (store.train_tokens, store.validation_tokens) == (200_000, 20_000)
    assert store.bytes_per_token == 1
    assert store.entropy_rate == chain.entropy_rate
    assert store.entropy_floor(16) == chain.entropy_floor(16)
    assert store.unigram_entropy == pytest.approx(chain.marginal_entropy, rel=0.02)
    assert store.train().min() == 4
    assert store.train().max() == 8
    assert store.decode([0, 4, 8, 3]) == "0 4"
    with pytest.raises(InputError, match="no tokenizer"):
        store.tokenizer()
    assert prepare(config, tmp_path) == store
    assert TokenStore.load(store.folder) == store
    assert prepare(config.model_copy(update={"seed": 9, "vocab_size": 999}), tmp_path).key == store.key
    other = config.model_copy(update={"synthetic": SyntheticConfig(symbols=5, tokens=200_000, seed=3)})
    assert prepare(other, tmp_path).key != store.key


def test_the_largest_message_is_two_lines(tmp_path):
    with pytest.raises(InputError) as caught:
        prepare(config_for(tmp_path / "missing"), tmp_path / "cache")
    assert len(str(caught.value).splitlines()) <= 2


def test_no_torch_and_no_heavy_import():
    heavy = "'torch', 'tokenizers', 'pyarrow', 'datasets', 'huggingface_hub'"
    code = f"import sys, difflaw.data; print([m for m in ({heavy}) if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_namespace_is_what_it_says():
    import difflaw.data as package

    assert all(hasattr(package, name) for name in package.__all__)


def test_a_tiny_corpus_has_nothing_to_validate_on(tmp_path):
    (tmp_path / "a.txt").write_text("abcd")
    with pytest.raises(InputError, match="no validation text"):
        prepare(config_for(tmp_path / "a.txt", vocab_size=260), tmp_path / "cache")
