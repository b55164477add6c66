"""The files that the servers serve: four of one size each, and a site of 20 assets with compressed forms.

Everything is made from a fixed seed: two machines with the same compressors serve the same bytes.
"""
import gzip
import os
import random
import shutil
import subprocess
import zlib
from dataclasses import dataclass

SEED = 20261122
MODIFIED = 1_767_225_600  # 2026-01-01, of every file: dates and entity tags do not change
BLOCK = 1 << 20

# In the order in which the load asks for them: roughly that of a page. Images and fonts are compressed
# already and have no second form.
ASSETS = (("/index.html", 14_336), ("/css/main.css", 49_152), ("/css/print.css", 2_150),
          ("/js/vendor.js", 307_200), ("/js/app.js", 180_224), ("/js/menu.js", 920),
          ("/fonts/text.woff2", 38_912), ("/img/logo.svg", 4_300), ("/img/icons.svg", 30_720),
          ("/img/hero.jpg", 245_760), ("/img/photo-1.jpg", 87_040), ("/img/photo-2.jpg", 61_440),
          ("/img/thumb-1.jpg", 12_288), ("/img/thumb-2.jpg", 9_728), ("/img/avatar.png", 7_168),
          ("/img/icon.png", 1_150), ("/data/site.json", 512), ("/data/menu.json", 3_072),
          ("/data/products.json", 92_160), ("/about.html", 6_144))
TEXTS = ("html", "css", "js", "json", "svg")
CODINGS = {"gz": ["gzip", "-9", "-n", "-k"], "br": ["brotli", "-q", "11"], "zst": ["zstd", "-q", "-19"]}
HEADS = {"html": "<!doctype html>\n<html lang=\"en\"><head><title>Site</title></head>\n",
         "css": "@charset \"utf-8\";\n", "js": "\"use strict\";\n", "json": "{\"items\": [\n",
         "svg": "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 1000\">\n"}


@dataclass
class Answer:
    """What a server has to send for a path."""
    path: str
    file: str              # whose bytes these are
    accept: str = None     # Accept-Encoding that the load sends
    coding: str = None     # Content-Encoding
    decoded: str = None    # the file that comes out when the coding is taken off


def paths():
    return [path for path, _ in ASSETS]


def kind(path):
    return path.rpartition(".")[2]


def is_text(path):
    return kind(path) in TEXTS


def answers(root):
    """What the site sends to a client that accepts gzip."""
    return [Answer(path, f"{root}{path}.gz", "gzip", "gzip", f"{root}{path}") if is_text(path)
            else Answer(path, f"{root}{path}", "gzip") for path in paths()]


def vocabulary(chance):
    letters = ("b", "c", "d", "f", "g", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr", "pl")
    return ["".join(chance.choice(letters) + chance.choice("aeiou") for _ in range(chance.randint(1, 4)))
            for _ in range(900)]


def text_line(form, chance, words):
    """A line of a text of that kind, from words that come again as those of a language do."""
    def word():
        return words[min(int(chance.paretovariate(0.7)) - 1, len(words) - 1)]

    def some(low, high):
        return " ".join(word() for _ in range(chance.randint(low, high)))

    number = chance.randint
    return {"html": lambda: f"<p class=\"{word()}\">{some(8, 40)}. <a href=\"/{word()}.html\">{some(1, 4)}</a></p>\n",
            "css": lambda: (f".{word()} .{word()}-{word()} {{ margin: {number(0, 64)}px {number(0, 9)}em; "
                            f"color: #{number(0, 0xffffff):06x}; display: {chance.choice(('flex', 'grid', 'block'))}; }}\n"),
            "js": lambda: (f"function {word()}{number(1, 999)}({word()}, {word()}) {{ const {word()} = {word()}.{word()}"
                           f"({number(0, 4096)}); return {word()} === null ? {word()} : \"{some(1, 5)}\"; }}\n"),
            "json": lambda: (f"{{\"id\": {number(1000, 999999)}, \"name\": \"{some(1, 4)}\", \"price\": {number(100, 99999) / 100}, "
                             f"\"tags\": [\"{word()}\", \"{word()}\"], \"stock\": {number(0, 500)}}},\n"),
            "svg": lambda: (f"<path id=\"{word()}\" d=\"M{number(0, 999)} {number(0, 999)}c{number(0, 99)} {number(0, 99)} "
                            f"{number(0, 99)} {number(0, 99)} {number(0, 99)} {number(0, 99)}z\" fill=\"#{number(0, 0xffffff):06x}\"/>\n"),
            }[form]()


def content(path, size):
    """The bytes of an asset: text that compresses as such text does, or bytes that do not."""
    chance = random.Random(f"{SEED} {path}")
    if not is_text(path):
        return chance.randbytes(size)
    words, lines = vocabulary(random.Random(SEED)), [HEADS[kind(path)]]
    length = len(lines[0])
    while length < size:
        lines.append(text_line(kind(path), chance, words))
        length += len(lines[-1])
    return "".join(lines).encode("ascii")[:size]


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def make_plain(root, name, size):
    """A file of one size. The large ones repeat a MiB: the network does not compress."""
    block = content(f"/{name}.html", min(size, BLOCK))
    with open(root / name, "wb") as file:
        for _ in range(size // len(block)):
            file.write(block)


def compress(path):
    """The compressed forms beside a file. The codings that could not be made."""
    missing = []
    for ending, command in CODINGS.items():
        if shutil.which(command[0]):
            subprocess.run([*command, str(path)], check=True, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL)
        elif ending == "gz":
            write(path.with_name(f"{path.name}.gz"), gzip.compress(path.read_bytes(), 9, mtime=0))
        else:
            missing.append(command[0])
    return missing


def generate(root, plain_files):
    """Makes the whole folder; plain_files are (name, size). Returns the compressors that are missing."""
    missing = set()
    for name, size in plain_files:
        make_plain(root, name, size)
    for path, size in ASSETS:
        file = root / path.removeprefix("/")
        write(file, content(path, size))
        if is_text(path):
            missing.update(compress(file))
    for folder, _, names in os.walk(root):
        for name in names:
            os.utime(os.path.join(folder, name), (MODIFIED, MODIFIED))
    return sorted(missing)


def gunzip(data):
    try:
        return zlib.decompress(data, 31)
    except zlib.error:
        return None
