"""Drawings, episodes, and where they come from: made up, Omniglot, a folder of the user's."""

import struct
import zipfile
import zlib

import numpy as np
import pytest
from helpers.drawn import folder_of_images

from maml_numpy.batch import Batch
from maml_numpy.tasks import (Drawings, Episodes, characters, images, made_up, nearest_neighbour, omniglot, parts_of,
                              turned)


def drawings(counts=(4, 5, 6, 4), size=3):
    first = np.concatenate([[0], np.cumsum(counts)])
    pixels = np.arange(first[-1] * size * size, dtype=np.uint8).reshape(first[-1], size * size)
    return Drawings(pixels, first, tuple("abcdefgh"[:len(counts)]), size)


def png(rows):
    """A grey PNG of one bit for each pixel."""
    height, width = rows.shape
    packed = np.packbits(rows, axis=1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), packed], axis=1).tobytes()

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def test_a_task_has_different_classes_and_disjoint_drawings(rng):
    data = drawings()
    support, query = Episodes(data, 3, 2, 2, rotate=False).sample(rng, 200)
    assert support.x.shape == (200, 6, 9) and query.y.shape == (200, 6) and support.x.dtype == np.float32
    row = np.rint(255 * np.concatenate([support.x, query.x], axis=1)[:, :, 0]).astype(int) // 9
    of_class = np.searchsorted(data.first, row, side="right") - 1
    labels = np.concatenate([support.y, query.y], axis=1)
    for t in range(200):
        assert len(set(row[t])) == 12 and len(set(of_class[t])) == 3
        assert len(set(zip(of_class[t], labels[t]))) == 3
    assert set(of_class.ravel()) == {0, 1, 2, 3} and set(row.ravel()) == set(range(19))


def test_turns_are_of_a_class_and_all_alike(rng):
    data = Drawings(np.tile(np.arange(9, dtype=np.uint8), (8, 1)), np.array([0, 4, 8]), ("a", "b"), 3)
    support, query = Episodes(data, 2, 2, 2).sample(rng, 100)
    x = np.rint(255 * np.concatenate([support.x.reshape(100, 2, 2, 9), query.x.reshape(100, 2, 2, 9)], axis=2))
    assert (x == x[:, :, :1]).all()
    assert {tuple(image) for image in x.reshape(-1, 9).astype(int)} == {
        tuple(np.rot90(np.arange(9).reshape(3, 3), k).ravel()) for k in range(4)}


def test_turned_turns_each_image():
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 9)
    found = turned(pixels, np.array([1, 3]), 3).reshape(2, 3, 3)
    assert (found[0] == np.rot90(pixels[0].reshape(3, 3))).all()
    assert (found[1] == np.rot90(pixels[1].reshape(3, 3), 3)).all()


@pytest.mark.parametrize("numbers, words", [
    ({"ways": 5}, "ways must be at most the number of classes, 4, got 5"), ({"ways": 0}, "ways must be at least 1"),
    ({"shots": 3, "queries": 2}, "class a has 4 drawings, fewer than shots [+] queries, 3 [+] 2"),
    ({"queries": 0}, "queries must be at least 1")])
def test_impossible_episodes_are_one_line(numbers, words):
    with pytest.raises(ValueError, match=words):
        Episodes(drawings(), **{"ways": 3, **numbers})


@pytest.mark.parametrize("change, words", [
    ({"pixels": np.zeros((19, 8), np.uint8)}, "pixels must be"), ({"pixels": np.zeros((19, 9))}, "uint8"),
    ({"first": np.array([0, 4, 4, 9, 19])}, "class b has no drawing"),
    ({"first": np.array([0, 4, 9, 15])}, "5 integers"),
    ({"first": np.array([0, 4, 9, 15, 18])}, "19 drawings")])
def test_drawings_that_do_not_fit_are_one_line(change, words):
    data = drawings()
    with pytest.raises(ValueError, match=words):
        Drawings(**{"pixels": data.pixels, "first": data.first, "names": data.names, "size": 3, **change})


def test_some_classes_keep_their_drawings():
    some = drawings().some([2, 0])
    assert some.names == ("c", "a") and some.counts.tolist() == [6, 4]
    assert (some.pixels == drawings().pixels[[*range(9, 15), *range(4)]]).all()
    with pytest.raises(ValueError, match="classes must be from 0 to 3"):
        drawings().some([4])


def test_nearest_neighbours(rng):
    x = rng.random((2, 5, 7))
    support, y = Batch(x, np.array([[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]])), [3, 0, 4]
    query = Batch(1.01 * x[:, y], support.y[:, y])
    for cosine in (False, True):
        assert (nearest_neighbour(support, query, cosine) == query.y).all()


def test_made_up_characters_are_the_same_for_a_seed():
    one, again, other = (made_up(6, 4, seed) for seed in (1, 1, 2))
    assert (one.pixels == again.pixels).all() and (one.pixels != other.pixels).any()
    assert len(one) == 6 and one.counts.tolist() == [4] * 6 and one.pixels.any(axis=1).all()
    calm = made_up(6, 4, 1, jitter=0).pixels.reshape(6, 4, -1).astype(int)
    wild = made_up(6, 4, 1).pixels.reshape(6, 4, -1).astype(int)
    assert np.abs(calm - calm[:, :1]).mean() < 0.2 * np.abs(wild - wild[:, :1]).mean()
    with pytest.raises(ValueError, match="classes must be at least 1"):
        made_up(0)


def test_made_up_characters_are_as_hard_in_pixels_as_omniglot(rng):
    """Nearest neighbours name 0.44 of Omniglot's queries, 5-way 1-shot without turning."""
    support, query = Episodes(made_up(150, 10), rotate=False).sample(rng, 1500)
    assert abs((nearest_neighbour(support, query) == query.y).mean() - 0.44) < 0.05


def test_the_parts_of_made_up_characters_have_no_class_in_common(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, value in (("TRAIN", 5), ("VALIDATION", 2), ("TEST", 3), ("DRAWERS", 2)):
        monkeypatch.setattr(characters, name, value)
    parts, again = characters.parts(), characters.parts()
    assert [len(part) for part in parts] == [5, 2, 3]
    assert len({name for part in parts for name in part.names}) == 10
    assert all((one.pixels == other.pixels).all() for one, other in zip(parts, again))
    kept = next((tmp_path / "maml_numpy").iterdir())
    kept.write_bytes(b"damaged")
    assert (characters.parts()[0].pixels == parts[0].pixels).all()


def zips(folder, monkeypatch, damage=None):
    """A small Omniglot: three and two characters of two drawings."""
    monkeypatch.setattr(omniglot, "ZIPS", {"images_background": 3, "images_evaluation": 2})
    rng = np.random.default_rng(0)
    for name, count in omniglot.ZIPS.items():
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            for c in range(count):
                for d in (1, 2):
                    image = np.ones((105, 105), np.uint8)
                    image[rng.integers(100), 10:90] = 0
                    archive.writestr(f"{name}/Alphabet/character{c + 1:02}/{c:04}_{d:02}.png", damage or png(image))


def test_omniglot_is_read_from_its_zips(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    zips(tmp_path, monkeypatch)
    data = omniglot.read_omniglot(tmp_path)
    assert len(data) == 5 and data.counts.tolist() == [2] * 5 and data.size == 28
    share = data.pixels.reshape(10, -1).sum(axis=1) / 255 * (105 / 28) ** 2
    assert np.allclose(share, 80, rtol=0.03)  # the ink of one line of 80 pixels
    assert (omniglot.read_omniglot(tmp_path).pixels == data.pixels).all()


def test_what_is_wrong_with_omniglot_is_one_line_that_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    zips(tmp_path, monkeypatch)
    whole = (tmp_path / "images_evaluation.zip").read_bytes()
    (tmp_path / "images_evaluation.zip").unlink()
    with pytest.raises(ValueError, match="cannot read .*images_evaluation.zip.*download"):
        parts_of(str(tmp_path))
    (tmp_path / "images_evaluation.zip").write_bytes(whole[:len(whole) // 2])
    with pytest.raises(ValueError, match="is damaged, or not fully downloaded.*download"):
        parts_of(str(tmp_path))
    zips(tmp_path, monkeypatch, b"no image")
    with pytest.raises(ValueError, match="is no image, or a damaged one.*download"):
        parts_of(str(tmp_path))


def test_a_folder_of_images_becomes_drawings_with_high_ink(tmp_path):
    folder_of_images(tmp_path)
    found = parts_of(str(tmp_path))
    assert [len(part) for part in found[:3]] == [7, 1, 4]
    assert "colours became grey" in found.note and "28 x 28" in found.note
    assert found.train.pixels.shape == (21, 784) and 0 < found.train.pixels.mean() < 100


def test_a_users_own_task(tmp_path):
    folder_of_images(tmp_path, 3)
    with pytest.raises(ValueError, match="no image beside its folders"):
        images.read_own(tmp_path)
    (tmp_path / "q.png").write_bytes((tmp_path / "class00" / "0.png").read_bytes())
    own = images.read_own(tmp_path)
    assert own.files == ["q.png"] and own.classes.names == ("class00", "class01", "class02")
    assert (own.pixels[0] == own.classes.pixels[0]).all()


@pytest.mark.parametrize("make, words", [
    (lambda folder: (folder / "empty").mkdir(), "empty has no image"),
    (lambda folder: (folder / "class00" / "text.png").write_text("no image"), "text.png is no image"),
    (lambda folder: None, "has 2 folders of images: 10 classes are needed")])
def test_what_is_wrong_with_a_folder_is_one_line(tmp_path, make, words):
    folder_of_images(tmp_path, 2)
    make(tmp_path)
    with pytest.raises(ValueError, match=words):
        parts_of(str(tmp_path))


def test_other_folders_are_one_line(tmp_path):
    with pytest.raises(ValueError, match="neither images_background.zip"):
        parts_of(str(tmp_path))
    with pytest.raises(ValueError, match="cannot read the folder"):
        parts_of(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="vinyals is one of Omniglot's"):
        parts_of("", "vinyals")
