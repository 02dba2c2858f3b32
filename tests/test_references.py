"""What leads from note to note: bibliography, index of terms, symbols, the order of reading and of labels."""

import re

import pytest
from helpers.notes import FENCE, NOTES, ROOT, defined, maths, symbols

from maml_numpy.gradcheck.notes import labels

FOLDER = ROOT / "derivations"
NUMBERED = [path for path in NOTES if path.name[0].isdigit()]
LISTS = ("README.md", "bibliography.md", "index.md")  # of what stands elsewhere
SOURCE = re.compile(r"\[(?:arXiv|doi):([^]]+)\]\(https://(?:arxiv\.org/abs|doi\.org)/([^)]+)\)"
                    r"|\]\(https://(?:arxiv\.org/abs|doi\.org)/([^)]+)\)")


def sources(text):
    """The identifiers, arXiv or doi, that some text links to."""
    return {found[1] or found[2] for found in SOURCE.findall(text)}


def items(name):
    """The items of a list, each on one line."""
    return [" ".join(item.split()) for item in re.findall(r"^- (.*?)(?=^- |^\*\*|\Z)", (FOLDER / name).read_text(),
                                                          re.M | re.S)]


def test_the_bibliography_has_every_source_and_who_cites_it():
    cited: dict = {}
    for path in NOTES:
        if path.name not in LISTS:
            for source in sources(path.read_text()):
                cited.setdefault(source, set()).add(path.name)
    listed = {source: set(re.findall(r"\]\((\w+\.md)\)", item)) for item in items("bibliography.md")
              for source in sources(item)}
    assert listed == cited


def test_an_identifier_is_printed_as_it_is_linked():
    for path in NOTES:
        for printed, linked, _ in SOURCE.findall(path.read_text()):
            assert printed == linked, (path.name, printed, linked)
        bare = re.sub(r"\[[^]]*\]\([^)]*\)", "", path.read_text())
        if path.name != "results.md":
            assert not re.search(r"(?:arXiv|doi):\d", bare), f"{path.name} names a source without a link"


def test_the_bibliography_is_in_the_order_of_authors():
    names = [re.sub(r"^von ", "", item).split()[0].strip(",").lower() for item in items("bibliography.md")]
    assert len(names) > 70 and names == sorted(names)


def slug(heading):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()))


def sections(text):
    """anchor -> the section's text, with its heading and those below it."""
    text = FENCE.sub(lambda fence: re.sub(r"^#", " ", fence[0], flags=re.M), text)
    heads = list(re.finditer(r"^(#+) (.*)$", text, re.M))
    found: dict = {}
    for i, head in enumerate(heads):
        end = next((other.start() for other in heads[i + 1:] if len(other[1]) <= max(2, len(head[1]))), len(text))
        anchor = slug(head[2])
        again = sum(slug(other[2]) == anchor for other in heads[:i])
        found[f"{anchor}-{again}" if again else anchor] = text[head.start():end]
    return found


def test_every_place_of_the_index_has_its_term():
    terms = [item.split(": ", 1) for item in items("index.md")]
    names = [term for term, _ in terms]
    assert len(names) > 100 and names == sorted(set(names), key=str.lower)
    for term, places in terms:
        links = re.findall(r"\]\((\w+\.md)#([^)]+)\)", places)
        assert links, term
        for name, anchor in links:
            section = sections((FOLDER / name).read_text())[anchor]
            assert term.lower() in " ".join(section.replace("**", "").split()).lower(), (term, name, anchor)


@pytest.mark.parametrize("path", NOTES, ids=lambda path: path.stem)
def test_links_to_sections_lead_to_one(path):
    for name, anchor in re.findall(r"\]\(([\w/]+\.md)#([^)]+)\)", FENCE.sub("", path.read_text())):
        assert anchor in sections((path.parent / name).read_text()), (name, anchor)


def test_index_and_bibliography_are_linked():
    for text, folder in ((FOLDER / "README.md", ""), (ROOT / "COURSE.md", "derivations/")):
        for name in ("index.md", "bibliography.md"):
            assert f"]({folder}{name})" in text.read_text()


def numbers(text):
    """The notes that a text such as `01 to 03, 07` names."""
    found = set()
    for first, last in re.findall(r"\b(\d\d)\b(?: to (\d\d)\b)?", text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


@pytest.mark.parametrize("path", NUMBERED, ids=lambda path: path.stem)
def test_a_note_needs_earlier_ones_and_the_reading_order_says_which(path):
    own = re.search(r"Before this\s+note:(.*?)[.\n]\s", path.read_text(), re.S)[1]
    row = next(line for line in (FOLDER / "README.md").read_text().splitlines() if f"]({path.name}) |" in line)
    assert numbers(row.split("|")[2]) == numbers(own)
    assert all(number < int(path.name[:2]) for number in numbers(own))


def test_the_reading_list_says_which_notes_need_more_than_the_chain_rule():
    said = numbers(re.search(r'"what else is used":(.*?)\. Read', (FOLDER / "README.md").read_text(), re.S)[1])
    more = {path for path in NUMBERED if "else is used:" in " ".join(path.read_text().split())}
    assert said == {int(path.name[:2]) for path in more} - {1}  # 01 uses a transpose


@pytest.mark.parametrize("path", NUMBERED, ids=lambda path: path.stem)
def test_labels_are_numbered_in_their_order(path):
    found = [int(label.split(".")[1]) for label in labels(path.read_text())]
    assert found == list(range(1, len(found) + 1))


@pytest.mark.parametrize("path", NUMBERED, ids=lambda path: path.stem)
def test_a_note_uses_the_symbols_of_its_own_table(path):
    body, _, own = path.read_text().partition("\n## Symbols of this note\n")
    used = set().union(set(), *(symbols(tex) for tex in maths(body)))
    assert not own or defined(own) <= used, f"not in the note: {sorted(defined(own) - used)}"


def test_a_symbol_of_the_common_table_serves_several_notes():
    common = defined((FOLDER / "00_notation.md").read_text())
    used = [set().union(set(), *(symbols(tex) for tex in maths(path.read_text()))) for path in NOTES[1:]]
    assert all(sum(symbol in one for one in used) > 1 for symbol in common)
