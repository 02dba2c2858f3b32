"""Streams of symbols: chains have their law, Bayes is the best, ciphers keep what follows what."""

import numpy as np
import pytest

from maml_numpy.experiments import find
from maml_numpy.experiments.stream import Config, parts
from maml_numpy.tasks.streams import Enciphered, MarkovChains, transitions


def test_chains_differ_and_follow_a_law(rng):
    chains = MarkovChains(4, 0.3)
    one = chains.sample(rng, 2, 20_000)
    assert one.shape == (2, 20_001) and one.min() == 0 and one.max() == 3
    counts = np.zeros((2, 2, 4, 4))
    for t in range(2):
        for half in range(2):
            piece = one[t, half * 10_000:(half + 1) * 10_000 + 1]
            np.add.at(counts[t, half], (piece[:-1], piece[1:]), 1)
    shares = counts / 10_000
    assert np.abs(shares[0, 0] - shares[0, 1]).max() < 0.05 < np.abs(shares[0, 0] - shares[1, 0]).max()


def test_bayes_counts(rng):
    chains = MarkovChains(3, 0.5)
    found = chains.bayes(np.array([[0, 1, 0, 1, 0]]))
    assert np.allclose(np.exp(-found), [[1 / 3, 1 / 3, 1.5 / 2.5, 1.5 / 2.5]])
    symbols = chains.sample(rng, 400, 60)
    uniform = np.log(3)
    assert chains.bayes(symbols).mean() < uniform and chains.bayes(symbols)[:, -10:].mean() < 0.8 * uniform


def test_ciphers_are_one_to_one_and_differ(rng):
    text = Enciphered("The cat, the hat!  A bat and a rat sat on the mat.")
    plain = "".join("abcdefghijklmnopqrstuvwxyz "[i] for i in text.codes())
    assert plain == "the cat the hat a bat and a rat sat on the mat"
    streams = text.sample(rng, 5, 30)
    assert streams.shape == (5, 31) and len({tuple(stream) for stream in streams}) == 5
    codes = text.codes()
    for stream in streams:
        fits = [start for start in range(len(codes) - 30)
                if len(set(zip(codes[start:start + 31].tolist(), stream.tolist()))) == len(set(stream.tolist()))
                == len(set(codes[start:start + 31].tolist()))]
        assert fits


def test_transitions_are_one_hot_and_labels():
    x, y = transitions(np.array([[2, 0, 1]]), 3)
    assert x.dtype == np.float32 and x.tolist() == [[[0, 0, 1], [1, 0, 0]]] and y.tolist() == [[0, 1]]


def test_texts_are_read_from_files_and_folders(tmp_path):
    (tmp_path / "a.md").write_text("abc")
    (tmp_path / "b.md").write_text("def")
    (tmp_path / "c.txt").write_text("xyz")
    assert Enciphered.read(tmp_path).text == "abc def" and Enciphered.read(tmp_path / "c.txt").text == "xyz"


@pytest.mark.parametrize("call, words", [
    (lambda path: MarkovChains(1), "k must be at least 2, got 1"),
    (lambda path: MarkovChains(2, 0.0), "concentration must be above 0, got 0.0"),
    (lambda path: Enciphered("123"), "the text has no letters"),
    (lambda path: Enciphered("short").sample(np.random.default_rng(0), 1, 10), "the text has 5 letters and spaces"),
    (lambda path: Enciphered.read(path / "none"), "there is no text .*none; name a file with --data"),
    (lambda path: Enciphered.read(path / "binary"), "binary is not text in UTF-8"),
    (lambda path: Config(b=7), "length must be two or more whole mini-batches of b = 7, got 256"),
    (lambda path: find("stream").check(Config(source="text", data=str(path / "none")), ["second"]), "there is no text"),
])
def test_mistakes_are_named(tmp_path, call, words):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ValueError, match=words):
        call(tmp_path)


@pytest.mark.parametrize("length", [2, 16, 48, 256, 1000])
def test_parts_of_a_stream_make_it_whole(length):
    places = parts(length)
    assert [i for place in places for i in range(place.start, place.stop)] == list(range(length))
