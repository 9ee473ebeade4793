"""Vocabularies, packed tokens and runs on them, from outside.

usage: data_test.py DIRECTORY_OF_THE_PROGRAMS [unittest arguments]
"""

import glob
import gzip
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import time
import unittest

import h5py

from case import PROGRAMS, STARLING, Case
from tiny import EXPERIMENT, make_text


def read_shard(path):
    """An llm.c shard, read as llm.c reads it."""
    with open(path, "rb") as file:
        content = file.read()
    header = struct.unpack("<256i", content[:1024])
    assert header[:2] == (20240520, 1), header[:2]
    tokens = struct.unpack(f"<{(len(content) - 1024) // 2}H", content[1024:])
    assert len(tokens) == header[2]
    return list(tokens)


class DataCase(Case):
    def setUp(self):
        super().setUp()
        make_text(self.cwd)
        self.write("tiny.toml", EXPERIMENT)

    def train(self, vocabulary=300, name="words.model", **options):
        arguments = [word for key, value in options.items() for word in ("--" + key, value)]
        return self.json("tokenizer", "train", "text/*.txt", "--vocabulary", str(vocabulary), "--out", name, *arguments)


class Programs(DataCase):
    def test_one_loads_the_tokenizer_the_other_libtorch(self):
        # Both bring a protobuf; in one process they would mix.
        libraries = {name: subprocess.run(["ldd", os.path.join(PROGRAMS, name)], capture_output=True, text=True, check=True).stdout
                     for name in ["starling", "starling-worker"]}
        self.assertIn("libsentencepiece", libraries["starling"])
        self.assertNotIn("libtorch", libraries["starling"])
        self.assertNotIn("libsentencepiece", libraries["starling-worker"])
        self.assertIn("libtorch", libraries["starling-worker"])


class Tokenizer(DataCase):
    def test_is_learned_from_text(self):
        for model in ["bpe", "unigram"]:
            self.assertEqual(self.train(name=f"{model}.model", model=model), {"model": f"{model}.model", "vocabulary": 300, "separator": 1})

    def test_wrong_wishes_are_refused(self):
        self.train()
        train = ["tokenizer", "train", "text/*.txt", "--vocabulary"]
        self.assert_refused([*train, "300", "--out", "words.model"], "is there already")
        self.assert_refused([*train, "300", "--out", "words.spm"], "ends in .model")
        self.assert_refused([*train, "60000", "--out", "x.model"], "too high")
        self.assert_refused([*train, "100", "--out", "x.model"], "--vocabulary")
        self.assert_refused(["tokenizer", "train", "nothing/*", "--vocabulary", "300", "--out", "x.model"], "FILES: no file matches")
        self.assert_refused(["tokenizer"], "starling tokenizer --help")
        self.assert_refused(["tokenizer", "train", "text/*.txt", "--vocabulari", "300"], "did you mean '--vocabulary'?")


class Packs(DataCase):
    def test_hold_each_document_once_behind_a_separator(self):
        packed = self.json("data", "pack", "text/*.txt", "--tokenizer", "bytes", "--out", "packed")
        self.assertEqual((packed["vocabulary"], packed["separator"]), (257, 256))
        found = []
        for part in ["training", "validation", "test"]:
            tokens = [token for name in packed["parts"][part]["files"] for token in read_shard(self.path("packed", name))]
            self.assertEqual(len(tokens), packed["parts"][part]["tokens"])
            self.assertEqual(tokens[0], 256)
            documents = []
            for token in tokens:
                if token == 256:
                    documents.append(bytearray())
                else:
                    documents[-1].append(token)
            self.assertEqual(sum(map(len, documents)), packed["parts"][part]["bytes"])
            found += documents
        texts = []
        for path in glob.glob(self.path("text", "*.txt")):
            with open(path, "rb") as file:
                texts.append(file.read())
        self.assertEqual(sorted(map(bytes, found)), sorted(texts))

    def test_say_what_is_in_them(self):
        self.train()
        text = self.output("data", "pack", "text/*.txt", "--tokenizer", "words.model", "--out", "packed")
        self.assertIn('task.files = ["packed/*.bin"]', text)
        with open(self.path("packed", "index.json")) as file:
            index = json.load(file)
        self.assertEqual((index["tokenizer"], index["vocabulary"], index["separator"]), ("tokenizer.model", 300, 1))
        for part in index["parts"].values():
            words = part["tokens"] - part["documents"]
            self.assertAlmostEqual(part["bytes_per_token"], part["bytes"] / words)
            self.assertGreater(part["bytes_per_token"], 1.2)
        validation = index["parts"]["validation"]
        self.assertEqual(sum(read_shard(self.path("packed", validation["token_bytes"][0]))), validation["bytes"])

    def test_of_links_are_those_of_the_files(self):
        # As the cache of a hub has it: links with names to blobs without.
        os.mkdir(self.path("blobs"))
        os.mkdir(self.path("snapshot"))
        lines = ""
        for path in sorted(glob.glob(self.path("text", "*.txt"))):
            with open(path) as file:
                text = file.read()
            lines += "".join(json.dumps({"text": text[i:i + 50]}) + "\n" for i in range(0, len(text), 50))
        self.write("plain.jsonl", lines)
        self.write("blobs/1", lines)
        with gzip.open(self.path("blobs", "2"), "wt") as file:
            file.write(lines)
        os.symlink("../blobs/1", self.path("snapshot", "train.jsonl"))
        os.symlink("../blobs/2", self.path("snapshot", "train2.jsonl.gz"))
        packs = [self.json("data", "pack", files, "--tokenizer", "bytes", "--out", out)["parts"]
                 for files, out in [("plain.jsonl", "a"), ("snapshot/train.jsonl", "b"), ("snapshot/*.gz", "c"), ("snapshot/*", "d")]]
        self.assertGreater(packs[0]["training"]["documents"], 20)
        self.assertEqual(packs[0], packs[1])
        self.assertEqual(packs[0], packs[2])
        of_both = [sum(part[what] for part in pack.values()) for pack in packs[::3] for what in ["documents", "bytes"]]
        self.assertEqual(of_both[:2], of_both[2:])
        self.assert_refused(["data", "pack", "blobs/2", "--tokenizer", "bytes", "--out", "e"], "blobs/2' holds gzip data", ".gz")

    def test_tell_of_a_folder_whose_name_is_no_text(self):
        pack = ["data", "pack", "text/*.txt", "--tokenizer", "bytes", "--out", b"pack\xffed", "--json"]
        result = subprocess.run([STARLING, *pack], cwd=self.cwd, capture_output=True, timeout=300)
        self.assertEqual((result.returncode, result.stderr), (0, b""))
        self.assertEqual(json.loads(result.stdout)["folder"], "pack\ufffded")

    def test_that_cannot_be_made_leave_nothing(self):
        pack = ["data", "pack", "text/*.txt", "--tokenizer"]
        self.assert_refused([*pack, "gpt2", "--out", "packed"], "found 'gpt2', expected bytes or a SentencePiece model")
        self.assert_refused([*pack, "none.model", "--out", "packed"], "no such file")
        self.assert_refused([*pack, "bytes", "--validation", "0.6", "--test", "0.5", "--out", "packed"], "leave nothing to train on")
        with open(self.path("text", "9.jsonl"), "w") as file:
            file.write('{"text": "a"}\n{"text": 7}\n')
        self.assert_refused(["data", "pack", "text/*", "--tokenizer", "bytes", "--out", "packed"], "FILES: ", "9.jsonl:2: found a number")
        self.assert_refused([*pack, "bytes", "--out", "text"], "text")

    def test_that_are_interrupted_leave_nothing(self):
        # Enough for a second of work; the signal comes as soon as there is a folder.
        with gzip.open(self.path("text", "noise.txt.gz"), "wb", 1) as file:
            file.write(random.Random(1).randbytes(60_000_000))
        process = subprocess.Popen([STARLING, "data", "pack", "text/*", "--tokenizer", "bytes", "--out", "packed"], cwd=self.cwd,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists(self.path("packed")):
            self.assertIsNone(process.poll())
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), 130)
        self.assertFalse(os.path.exists(self.path("packed")))


class Runs(DataCase):
    """Every way to the same tokens gives the same search."""

    SMALL = ["budget.evaluations=1", "search.algorithm=random", "search.baselines=[]", "workers=1"]

    def run_on(self, out, *overrides):
        self.output("run", "tiny.toml", *self.SMALL, *overrides, "--out", out, "--quiet")
        with h5py.File(self.path(out, "run.h5")) as run:
            row = run["evaluations"][0]
            return {name: row[name] for name in ["loss", "bits_per_byte", "parameters"]}

    def test_on_bytes_from_text_and_from_shards_are_the_same(self):
        self.output("data", "pack", "text/*.txt", "--tokenizer", "bytes", "--seed", "5", "--out", "packed")
        self.assertEqual(self.run_on("a"), self.run_on("b", "task.files=['packed/*.bin']"))

    def test_on_links_to_shards_keep_the_division_of_their_index(self):
        self.output("data", "pack", "text/*.txt", "--tokenizer", "bytes", "--seed", "5", "--out", "packed")
        # Links to blobs, the index among them; and links to the shards alone, whose index stands where they lead to.
        for folder in ["blobs", "snapshot", "links"]:
            os.mkdir(self.path(folder))
        for number, name in enumerate(sorted(os.listdir(self.path("packed")))):
            with open(self.path("packed", name), "rb") as old, open(self.path("blobs", f"{number}"), "wb") as new:
                new.write(old.read())
            os.symlink(f"../blobs/{number}", self.path("snapshot", name))
            if name.endswith(".bin"):
                os.symlink(f"../packed/{name}", self.path("links", name))
        of_pack = self.run_on("a", "task.files=['packed/*.bin']")
        self.assertEqual(of_pack, self.run_on("b", "task.files=['snapshot/*.bin']"))
        self.assertEqual(of_pack, self.run_on("c", "task.files=['links/*.bin']"))

    def test_on_shards_that_are_taken_for_text_are_refused(self):
        self.output("data", "pack", "text/*.txt", "--tokenizer", "bytes", "--out", "packed")
        with open(self.path("packed", "training_000000.bin"), "rb") as file, gzip.open(self.path("tr.bin.gz"), "wb") as packed:
            packed.write(file.read())
        for files, named in [("packed/*", "packed/test_000000.bin"), ("packed/training*", "packed/training_000000.bin"),
                             ("tr.bin.gz", "tr.bin.gz")]:
            self.assert_refused(["run", "tiny.toml", f"task.files=['{files}']"], "task.files: '",
                                f"{named}' is a token shard by its name, expected text")
        self.assert_refused(["data", "pack", "packed/*", "--tokenizer", "bytes", "--out", "again"], "FILES: '", "is a token shard")

    def test_on_sentence_piece_from_text_and_from_shards_are_the_same(self):
        self.train()
        self.output("data", "pack", "text/*.txt", "--tokenizer", "words.model", "--seed", "5", "--out", "packed")
        from_text = self.run_on("a", "task.tokenizer=words.model")
        self.assertEqual(from_text, self.run_on("b", "task.files=['packed/*.bin']"))
        self.assertEqual(sorted(name.split(".")[1] for name in os.listdir(self.path("a", "data"))),
                         ["bin", "bin", "bin", "bytes", "bytes", "json", "model"])
        # Perplexity and bits per byte tell the same nats: hand-counted tokens and bytes.
        with open(self.path("a", "data", "index.json")) as file:
            validation = json.load(file)["parts"]["validation"]
        predicted = validation["tokens"] - 1
        self.assertAlmostEqual(from_text["loss"] * predicted / 0.6931471805599453 / validation["bytes"], from_text["bits_per_byte"], places=9)

    def test_can_be_added_to_when_their_text_is_gone_if_they_hold_its_tokens(self):
        self.train()
        self.run_on("a", "task.tokenizer=words.model")
        os.rename(self.path("text"), self.path("moved"))
        os.remove(self.path("words.model"))
        rows = self.json("retrain", "a", "--ids", "1", "--tokens", "4096")["candidates"]
        self.assertEqual([row["retraining"]["status"] for row in rows], ["ok"])

    def test_check_plan_and_workers_agree_on_the_vocabulary(self):
        self.train()
        self.output("data", "pack", "text/*.txt", "--tokenizer", "words.model", "--out", "packed")
        for override in ["task.tokenizer=words.model", "task.files=['packed/*.bin']"]:
            task = self.json("check", "tiny.toml", override)["experiment"]["task"]
            self.assertEqual((task["vocabulary"], task["separator"]), (300, 1))
            plan = self.json("run", "tiny.toml", override, "--dry-run")
            described = self.json("describe", "transformer++", "--width", "32", "--depth", "4", "--length", "32", "--vocabulary", "300")
            self.assertEqual(plan["baselines"][0]["parameters"], described["parameters"]["total"])
        with open(self.path("words.toml"), "w") as file:
            file.write(EXPERIMENT.replace("[task]\n", "[task]\ntokenizer = 'words.model'\n"))
        of_experiment = self.json("describe", "transformer++", "--experiment", "words.toml", "--width", "32", "--depth", "4",
                                  "--length", "32", "--vocabulary", "300")
        self.assertEqual(of_experiment["parameters"], described["parameters"])
        self.assertEqual(self.json("check", "tiny.toml", "task.tokenizer=words.model", "task.vocabulary=304")["experiment"]["task"]["vocabulary"],
                         304)
        self.assert_refused(["check", "tiny.toml", "task.tokenizer=words.model", "task.vocabulary=299"], "'task.vocabulary' is 299",
                            "has 300 tokens")
        self.assert_refused(["check", "tiny.toml", "task.tokenizer=none.model"], "no such file")
        self.assert_refused(["check", "tiny.toml", "task.tokenizer=words.model", "task.separator=300"], "below task.vocabulary = 300")
        self.assert_refused(["check", "tiny.toml", "task.files=['packed/*.bin']", "task.tokenizer=bytes"],
                            "'task.tokenizer' is \"bytes\", but the tokens in task.files are of a SentencePiece model")
        self.assert_refused(["check", "tiny.toml", "task.files=['packed/*.bin']", "task.separator=2"], "'task.separator' is 2")
        self.assert_refused(["check", "tiny.toml", "task.files=['packed/*.bin']", "task.test_fraction=0.2"],
                            "'task.test_fraction' is 0.2, but the tokens in task.files were divided when they were packed")

    def test_on_much_text_map_tokens_instead_of_holding_them(self):
        # Compressed text that may become more than 64 MB, and does not.
        with gzip.open(self.path("text", "noise.txt.gz"), "wb", 1) as file:
            file.write(random.Random(1).randbytes(13_500_000))
        overrides = ["task.files=['text/*']", "task.validation_tokens=4096"]
        packed = self.run_on("a", *overrides)
        with open(self.path("a", "data", "index.json")) as file:
            index = json.load(file)
        self.assertEqual((index["tokenizer"], index["vocabulary"], index["text_files"]), ("bytes", 257, 9))
        # Under this cap, which all of it fits, the workers read the text themselves: the search is the same.
        self.assertEqual(self.run_on("b", *overrides, "task.max_bytes=64_000_000"), packed)
        self.assertFalse(os.path.exists(self.path("b", "data")))

    def test_text_that_cannot_be_packed_leaves_no_run(self):
        self.train()
        with open(self.path("text", "9.jsonl"), "w") as file:
            file.write("no json\n")
        self.assert_refused(["run", "tiny.toml", "task.files=['text/*']", "task.tokenizer=words.model", "--out", "run"], "9.jsonl:1: not JSON")

    def test_generate_speaks_text(self):
        self.train()
        self.run_on("run", "task.tokenizer=words.model", "training.tokens=20000")
        os.remove(self.path("words.model"))  # the run has its own
        checkpoint = glob.glob(self.path("run", "checkpoints", "*.h5"))[0]
        arguments = ["generate", checkpoint, "--prompt", "the quick\nbrown ", "--tokens", "20"]
        text = self.output(*arguments)
        self.assertTrue(text.startswith("the quick\nbrown "), text)
        result = self.json(*arguments)
        self.assertEqual("the quick\nbrown " + result["continuations"][0]["text"] + "\n", text)
        self.assertEqual(result["prompt"], "the quick\nbrown ")
        self.assertLessEqual(result["continuations"][0]["tokens"], 20)
        with open(self.path("prompt"), "w") as file:
            file.write("the quick\nbrown ")
        self.assertEqual(self.output("generate", checkpoint, "--prompt-file", "prompt", "--tokens", "20"), text)

        # As many tokens as no argument of a program holds; a model would take a minute over them.
        os.mkdir(self.path("alone"))
        alone = shutil.copy(STARLING, self.path("alone"))
        with open(alone + "-worker", "w") as file:
            file.write('#!/bin/sh\nwc -c >&2\necho 5 6\n')
        os.chmod(alone + "-worker", 0o755)
        with open(self.path("long"), "w") as file:
            file.write("the quick brown " * 12_500)
        result = subprocess.run([alone, "generate", checkpoint, "--prompt-file", "long"], cwd=self.cwd, capture_output=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(result.stdout.startswith(b"the quick brown " * 12_500))
        self.assertGreater(int(result.stderr), 1 << 17)

        several = ["--prompt", "the ", "--tokens", "12", "--samples", "3"]
        texts = [continuation["text"] for continuation in self.json("generate", checkpoint, *several)["continuations"]]
        self.assertEqual(self.output("generate", checkpoint, *several),
                         "\n".join(f"--- {number}\nthe {text}\n" for number, text in enumerate(texts, 1)))

        # It is read while it is made: nobody waits for a hundred thousand continuations.
        process = subprocess.Popen([STARLING, "generate", checkpoint, "--prompt", "the ", "--tokens", "30", "--samples", "100000"],
                                   cwd=self.cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        heard = b""
        while len(heard) < 500:
            piece = os.read(process.stdout.fileno(), 4096)
            self.assertTrue(piece, "it ended before its time")
            heard += piece
        self.assertIsNone(process.poll())
        self.assertTrue(heard.startswith(b"--- 1\nthe "), heard)
        process.stdout.close()
        self.assertNotEqual(process.wait(timeout=60), 0)
        process.stderr.close()


if __name__ == "__main__":
    unittest.main()
