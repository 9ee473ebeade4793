"""The floors of the house are real: what each one is compiled with, what its files include, and that an include which points up the house
does not compile.

usage: floors_test.py SOURCE_DIRECTORY BUILD_DIRECTORY [unittest arguments]
"""

import functools
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(sys.argv.pop(1)).resolve()
BUILD = Path(sys.argv.pop(1)).resolve()
VIEWS = BUILD / "include"

# Floor: its folder and the floors it knows, which know others in turn. Lowest first.
FLOORS = {
    "base": ("src/base", []),
    "genome": ("src/genome", ["base"]),
    "search": ("src/search", ["genome"]),
    "run": ("src/run", ["search"]),
    "experiment": ("src/experiment", ["search", "run"]),
    "kernels": ("kernels", []),
    "operators": ("operators", ["kernels", "base"]),
    "model": ("src/model", ["operators", "genome"]),
    "tasks": ("src/tasks", ["base"]),
    "training": ("src/training", ["model", "tasks"]),
    "actors": ("actors", ["run", "experiment"]),
}
# On top of the house. Of `tasks`, `starling` uses what makes tokens of text, which needs no LibTorch.
PROGRAMS = {
    "starling": ("tools/starling", ["actors", "tasks"]),
    "worker": ("tools/worker", ["actors", "training"]),
    "tools": ("tools", ["training"]),
}
PARTS = FLOORS | PROGRAMS

# Library: its headers, and who may include them, directly or through a header of the house.
LIBRARIES = {
    "LibTorch": (r"(torch|ATen|c10|caffe2)/", {"operators", "model", "tasks", "training", "worker", "tools"}),
    "CAF": (r"caf/", {"actors", "starling", "worker"}),
    "HDF5": (r"(hdf5|H5[A-Z])", {"base", "run", "tasks"}),
    "SentencePiece": (r"sentencepiece", {"tasks"}),
    "Boost": (r"boost/", {"starling"}),
}
# All that the headers of the floors with LibTorch may hold of it.
TORCH_IN_HEADERS = {"ATen/core/Tensor.h"}

SOURCES = {".c", ".cc", ".cpp", ".cxx", ".cu"}
HEADERS = {".h", ".hh", ".hpp", ".hxx", ".inl", ".inc", ".cuh"}


@functools.cache
def known(part):
    """A floor or program and all that is below it."""
    return {part}.union(*(known(below) for below in PARTS[part][1]))


def part_of(path):
    """The floor or program of a file of the tree; of the folders that hold it, the innermost counts."""
    path = Path(path)
    if not path.is_relative_to(SOURCE):
        return None
    folders = {SOURCE / folder: part for part, (folder, _) in PARTS.items()}
    return next((folders[parent] for parent in path.parents if parent in folders), None)


def short(path):
    return str(Path(path).relative_to(SOURCE))


@functools.cache
def tree():
    """Every source and header of the house, by part."""
    files = {part: [] for part in PARTS}
    for top in ["src", "kernels", "operators", "actors", "tools"]:
        for path in sorted((SOURCE / top).rglob("*")):
            if path.suffix in SOURCES | HEADERS and part_of(path):
                files[part_of(path)].append(path)
    return files


@functools.cache
def includes(path):
    """What a file includes, as spelt, with its bracket: '<fmt/format.h>', '"cli.hpp"'."""
    return re.findall(r'^\s*#\s*(?:include|import)\s*([^\s].*?)\s*(?://.*|/\*.*)?$', path.read_text(encoding="utf-8"), re.MULTILINE)


def in_the_tree(path, include):
    """The file of the house that an include means, or None."""
    name = include[1:-1]
    if include[0] == '"':
        return (path.parent / name).resolve()
    parts = name.split("/", 2)
    if parts[0] == "starling" and len(parts) == 3 and parts[1] in FLOORS:
        return (SOURCE / FLOORS[parts[1]][0] / parts[2]).resolve()
    return None


@functools.cache
def reach(path):
    """Everything from outside the house that a file includes, at whatever remove: header, and the files on the way to it."""
    found, seen, open_ = {}, {path}, [(path, (path,))]
    while open_:
        file, way = open_.pop()
        for include in includes(file):
            inner = in_the_tree(file, include)
            if inner is None:
                found.setdefault(include[1:-1], way)
            elif inner not in seen and inner.is_file():
                seen.add(inner)
                open_.append((inner, (*way, inner)))
    return found, seen


def reached(path, library):
    """What of a library a file includes, each with its way there, to be read."""
    pattern = LIBRARIES[library][0]
    return {header: " → ".join([*map(short, way), header]) for header, way in reach(path)[0].items() if re.match(pattern, header)}


@functools.cache
def cheapest_header(floor):
    """A header that is compiled quickly: it reaches no large library, and little of the house."""
    headers = [path for path in tree()[floor] if path.suffix in HEADERS and not any(reached(path, library) for library in LIBRARIES)]
    best = min(headers, key=lambda path: (len(reach(path)[1]), path))
    return f"starling/{floor}/{best.relative_to(SOURCE / FLOORS[floor][0])}"


@functools.cache
def commands():
    """Every command of the build that compiles a file of the house: (file, arguments, where it is run), by part."""
    result = {part: [] for part in PARTS}
    with open(BUILD / "compile_commands.json", encoding="utf-8") as file:
        for entry in json.load(file):
            path = (Path(entry["directory"]) / entry["file"]).resolve()
            arguments = entry.get("arguments") or shlex.split(entry["command"])
            if part_of(path):
                result[part_of(path)].append((path, arguments, entry["directory"]))
            elif path.is_relative_to(SOURCE) and not path.is_relative_to(BUILD) and not path.is_relative_to(SOURCE / "tests"):
                raise AssertionError(f"{short(path)} is compiled, but belongs to no floor that this test knows")
    return result


def include_directories(arguments, directory):
    found, following = [], iter(arguments)
    for argument in following:
        match = re.match(r"-(?:I|isystem|iquote|idirafter)(.*)", argument)
        if match:
            found.append((Path(directory) / (match[1] or next(following))).resolve())
    return found


def torch_directories():
    """Where the build finds LibTorch: where operators look and kernels, on which they stand, do not."""
    looks = [{folder for _, arguments, directory in commands()[floor] for folder in include_directories(arguments, directory)}
             for floor in ["operators", "kernels"]]
    return {folder for folder in looks[0] - looks[1] if not folder.is_relative_to(VIEWS)}


def probe(floor, folder, *headers):
    """Compiles a file that includes these headers as a source of the floor is compiled; returns the exit code and what was said."""
    path, arguments, directory = min(commands()[floor])
    file = Path(folder) / "probe.cpp"
    file.write_text("".join(f"#include <{header}>\n" for header in headers))
    flags, following = [], iter(arguments)
    for argument in following:
        if argument == "-o":
            next(following)
        elif argument != "-c" and (Path(directory) / argument).resolve() != path:
            flags.append(argument)
    result = subprocess.run([*flags, "-fsyntax-only", str(file)], cwd=directory, capture_output=True, text=True, timeout=120,
                            env=os.environ | {"LC_ALL": "C"})
    return result.returncode, result.stderr


class House(unittest.TestCase):
    def test_is_the_one_that_contributing_describes(self):
        rows = re.findall(r"^\| *(`.*?) *\|.*\| *(.*?) *\|$", (SOURCE / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
        described = {folder: set(re.findall(r"\w+", knows)) & set(FLOORS)
                     for folders, knows in rows for folder in re.findall(r"`(.*?)`", folders)}
        self.assertEqual(set(described), {folder for folder, _ in FLOORS.values()} | {"tools"})
        for floor, (folder, below) in FLOORS.items():
            self.assertLessEqual(described[folder], set(below), f"what {folder} knows, says CONTRIBUTING.md")

    def test_has_no_arrow_without_a_use(self):
        for floor, (folder, below) in PARTS.items():
            used = {in_the_tree(path, include) for path in tree()[floor] for include in includes(path)} - {None}
            self.assertLessEqual(set(below), {part_of(path) for path in used}, f"{folder} knows floors that it does not include")

    def test_shows_each_floor_by_a_view_that_holds_nothing_else(self):
        for floor, (folder, _) in FLOORS.items():
            self.assertEqual(os.listdir(VIEWS / floor), ["starling"])
            self.assertEqual(os.listdir(VIEWS / floor / "starling"), [floor])
            self.assertEqual((VIEWS / floor / "starling" / floor).resolve(), SOURCE / folder)


class Build(unittest.TestCase):
    def test_gives_no_source_a_view_of_what_its_floor_does_not_know(self):
        for part in PARTS:
            self.assertTrue(commands()[part], f"no source of {part} is compiled")
            for path, arguments, directory in commands()[part]:
                looks = include_directories(arguments, directory)
                views = {folder.relative_to(VIEWS).parts[0] for folder in looks if folder != VIEWS and folder.is_relative_to(VIEWS)}
                self.assertLessEqual(views, known(part), f"{short(path)} is compiled with views of floors that {part} does not know")
                self.assertEqual(views & {part}, {part} & set(FLOORS), f"{short(path)} does not see its own floor")
                # A folder of the tree itself, or one that holds several views, would be a way round them.
                others = {folder for folder in looks if SOURCE.is_relative_to(folder) or folder == VIEWS
                          or (folder.is_relative_to(SOURCE) and not folder.is_relative_to(VIEWS))}
                own = {SOURCE / PARTS[part][0]} if part in PROGRAMS else set()
                self.assertLessEqual(others, own, f"{short(path)} is compiled with folders of the tree that are no views")

    def test_gives_libtorch_only_to_the_floors_that_hold_it(self):
        self.assertTrue(torch_directories())
        for part in set(PARTS) - LIBRARIES["LibTorch"][1]:
            for path, arguments, directory in commands()[part]:
                looks = set(include_directories(arguments, directory))
                self.assertFalse(looks & torch_directories(), f"{short(path)} is compiled with the headers of LibTorch")

    def test_refuses_every_include_that_points_up_the_house(self):
        with tempfile.TemporaryDirectory() as folder:
            for lower in FLOORS:
                for upper in set(FLOORS) - known(lower):
                    header = cheapest_header(upper)
                    code, said = probe(lower, folder, header)
                    self.assertNotEqual(code, 0, f"a source of {lower} could include <{header}>")
                    self.assertRegex(said, rf"fatal error: '?{re.escape(header)}('? file not found|: No such file or directory)")

    def test_accepts_every_include_that_points_down(self):
        with tempfile.TemporaryDirectory() as folder:
            for floor in FLOORS:
                code, said = probe(floor, folder, *(cheapest_header(below) for below in FLOORS if below in known(floor)))
                self.assertEqual((code, said), (0, ""), floor)


class Includes(unittest.TestCase):
    def test_are_spelt_so_that_this_test_can_follow_them(self):
        for part, files in tree().items():
            for path in files:
                for include in includes(path):
                    self.assertRegex(include, r'^(<[^<>"]+>|"[^<>"]+")$', short(path))
                    inner = in_the_tree(path, include)
                    self.assertTrue(inner is None or inner.is_file(), f"{short(path)}: there is no {include}")
                    if include[0] == '"':
                        self.assertEqual(part_of(inner), part, f"{short(path)} includes {include}")

    def test_name_only_floors_that_the_including_one_knows(self):
        for part, files in tree().items():
            for path in files:
                named = {match[1] for match in (re.match(r"<starling/([^/>]+)", include) for include in includes(path)) if match}
                self.assertLessEqual(named, known(part), short(path))

    def test_reach_each_library_only_from_where_it_belongs(self):
        for library, (_, allowed) in LIBRARIES.items():
            ways = {part: [way for path in tree()[part] for way in reached(path, library).values()] for part in PARTS}
            self.assertTrue(any(ways[part] for part in allowed), f"nothing includes {library}: is its pattern right?")
            for part in set(PARTS) - allowed:
                self.assertEqual(ways[part], [], f"{part} includes {library}")

    def test_of_libtorch_in_headers_are_its_tensor_alone(self):
        for floor in LIBRARIES["LibTorch"][1] & set(FLOORS):
            for path in tree()[floor]:
                if path.suffix in HEADERS:
                    ways = {header: way for header, way in reached(path, "LibTorch").items() if header not in TORCH_IN_HEADERS}
                    self.assertEqual(ways, {}, f"{short(path)} costs every source that includes it seconds")


if __name__ == "__main__":
    unittest.main()
