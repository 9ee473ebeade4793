"""Drives the built programs from outside: whole searches, and what lies in the run directory afterwards.

usage: search_test.py DIRECTORY_OF_THE_PROGRAMS [unittest arguments]
"""

import json
import os
import re
import signal
import stat
import subprocess
import unittest

import h5py
import numpy as np
import pandas as pd

from case import STARLING, Case
from tiny import EXPERIMENT, make_text


class Search(Case):
    def setUp(self):
        super().setUp()
        make_text(self.cwd)
        self.write("tiny.toml", EXPERIMENT)

    def test_classes_of_the_experiment_itself_are_trained_and_shown(self):
        rows = [f'[[class]]\nid = {100 + i}\nname = "Own-{i}"\noperator = [1, 2, {1 + i % 3}, {1 + i % 5}, 3]\ndifferential = {str(i % 7 == 0).lower()}\n'
                for i in range(60)]
        with open(self.path("own.toml"), "w") as file:
            file.write(EXPERIMENT.replace("width = 32", "width = 32\nband = 8") + "\n".join(rows))
        result = self.starling("run", "own.toml", "search.baselines=[]")
        self.assertEqual(result.returncode, 0, result.stderr)
        trained = 0
        for candidate in range(1, 7):
            shown = self.starling("show", "runs/tiny-1", str(candidate), "--json")
            self.assertEqual(shown.returncode, 0, shown.stderr)
            data = json.loads(shown.stdout)
            trained += re.search(r"(^|-)1\d\d\.", data["genome"]) is not None and data["status"] == "ok"
            text = self.starling("show", "runs/tiny-1", str(candidate))
            self.assertRegex(text.stdout, r"strip +[ARCM]{4} ")
        self.assertGreater(trained, 0)

    def test_a_search_ends_with_a_front_and_a_run_directory_that_h5py_and_pandas_open(self):
        result = self.starling("run", "tiny.toml")
        self.assertEqual(result.returncode, 0, result.stderr)
        for name in ("transformer++", "striped-mamba", "unigram", "bigram", "perplexity"):
            self.assertIn(name, result.stdout.lower())
        self.assertRegex(result.stdout, r"busy \d+\.\d %")
        # elsewhere than on a terminal: one plain line per evaluation
        lines = [line for line in result.stderr.splitlines() if re.search(r"\d+/6  #\d+", line)]
        self.assertEqual(len(lines), 8, result.stderr)
        self.assertNotIn("\x1b", result.stderr)

        run = self.path("runs", "tiny-1")
        self.assertEqual(stat.S_IMODE(os.stat(run).st_mode), 0o700)
        with open(os.path.join(run, "experiment.toml")) as file:
            self.assertIn("mutation = 0.1", file.read())
        with h5py.File(os.path.join(run, "run.h5"), "r") as file:
            self.assertTrue(file.attrs["complete"])
            evaluations = pd.DataFrame(file["evaluations"][:])
            candidates = pd.DataFrame(file["candidates"][:])
            curves = pd.DataFrame(file["curves"][:])
            lineage = pd.DataFrame(file["lineage"][:])
            genomes = file["genomes/values"][:]
            devices = pd.DataFrame(file["devices"][:])
            checkpoints = pd.DataFrame(file["checkpoints"][:])
            tests = pd.DataFrame(file["tests"][:])
        self.assertEqual(len(evaluations), 8)
        self.assertEqual(len(candidates), 8)
        self.assertEqual(genomes.shape, (8, 20))
        # A search of seconds may be over before the second worker has read the text.
        self.assertIn(len(devices), (1, 2))
        self.assertLessEqual(set(evaluations["worker"]), set(devices["worker"]))
        self.assertTrue(np.isfinite(evaluations["obj_quality"]).all())
        self.assertEqual(len(curves), int(evaluations["curve_count"].sum()))
        bred = candidates[candidates["n_parents"] > 0]
        self.assertTrue(set(bred["candidate_id"]) == set(lineage["child_id"]))
        self.assertEqual(candidates["genome_hash"].iloc[2:].nunique(), 6, "no genome is evaluated twice")
        # the cross-check of quality: the last point of a curve carries the validation loss
        front = json.loads(self.starling("front", run, "--json").stdout)
        kept = {candidate["id"]: candidate for candidate in front["front"] + front["baselines"]}
        self.assertEqual(set(tests["candidate_id"]), set(kept), "the front and the baselines are tested, and nobody else")
        for _, test in tests.iterrows():
            self.assertEqual(kept[test["candidate_id"]]["test_loss"], test["loss"])
            self.assertNotEqual(kept[test["candidate_id"]]["loss"], test["loss"])
        self.assertIn("on test", result.stdout)
        row = evaluations.iloc[0]
        last = curves.iloc[int(row["curve_start"] + row["curve_count"] - 1)]
        self.assertEqual(last["val_loss"], row["loss"])
        self.assertTrue((pd.read_hdf(os.path.join(run, "run.h5"), "evaluations")["candidate_id"] == evaluations["candidate_id"]).all())

        # checkpoints: those of the front and of the baselines, and no other file
        front = json.loads(self.starling("front", run, "--json").stdout)
        kept = {member["id"] for member in front["front"]} | {member["id"] for member in front["baselines"]}
        self.assertEqual(set(checkpoints[checkpoints["path"] != b""]["candidate_id"]), kept, "the path of a dropped one is empty")
        self.assertEqual(sorted(os.listdir(os.path.join(run, "checkpoints"))), sorted(f"{id:08d}.h5" for id in kept))
        with h5py.File(os.path.join(run, "checkpoints", f"{min(kept):08d}.h5"), "r") as file:
            self.assertEqual(file["weights/embedding"].shape, (257, 32))

    def test_two_runs_get_two_directories(self):
        for number in (1, 2):
            self.assertEqual(self.starling("run", "tiny.toml", "budget.evaluations=4", "search.baselines=[]").returncode, 0)
            self.assertTrue(os.path.exists(self.path("runs", f"tiny-{number}", "run.h5")))

    def test_results_on_standard_output_are_json_on_request(self):
        result = self.starling("run", "tiny.toml", "budget.evaluations=4", "--json", "--out", "there")
        self.assertEqual(result.returncode, 0, result.stderr)
        data = json.loads(result.stdout)
        self.assertEqual(data["run"], self.path("there"))
        self.assertEqual(len(data["baselines"]), 2)
        self.assertTrue(data["front"])

    def test_a_quiet_search_says_nothing_but_its_result(self):
        result = self.starling("run", "tiny.toml", "budget.evaluations=4", "search.baselines=[]", "--quiet")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "")
        self.assertIn("perplexity", result.stdout.lower())

    def test_nobody_need_listen_to_the_messages(self):
        """Standard error that is closed, or a pipe whose reader is gone, must neither stop a search nor get into its files."""
        reader, gone = os.pipe()
        os.close(reader)
        for name, options in (("closed", {"preexec_fn": lambda: [os.close(number) for number in (0, 2)]}), ("gone", {"stderr": gone})):
            with self.subTest(name):
                command = [STARLING, "run", "tiny.toml", "budget.evaluations=4", "search.baselines=[]", "--out", name]
                result = subprocess.run(command, cwd=self.cwd, stdout=subprocess.PIPE, text=True, timeout=300, **options)
                self.assertEqual(result.returncode, 0)
                self.assertIn("perplexity", result.stdout.lower())
                self.assertEqual(self.starling("show", name).returncode, 0)
        os.close(gone)

    def test_a_parent_that_ignores_the_end_of_children_does_not_keep_a_search_from_ending(self):
        result = self.starling("run", "tiny.toml", "budget.evaluations=4", "search.baselines=[]",
                                   preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_quality_and_genomes_do_not_depend_on_which_worker_trains(self):
        qualities = []
        for out in ("a", "b"):
            result = self.starling("run", "tiny.toml", "search.algorithm=random", "workers=" + ("1" if out == "a" else "2"), "--out", out)
            self.assertEqual(result.returncode, 0, result.stderr)
            with h5py.File(self.path(out, "run.h5"), "r") as file:
                table = pd.DataFrame(file["evaluations"][:]).set_index("candidate_id").sort_index()
            qualities.append(table["loss"].to_numpy())
        np.testing.assert_array_equal(qualities[0], qualities[1])

    def test_paths_routes_and_empty_livs_are_searched_where_they_are_asked_for(self):
        keys = ["search.paths=true", "search.routes=true", "search.variable_depth=true"]
        result = self.starling("run", "tiny.toml", "budget.evaluations=16", "model.depth=6", "training.tokens=512", *keys)
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(self.path("runs", "tiny-1", "run.h5"), "r") as file:
            genomes = file["genomes/values"][:]
            names = file["genomes/gene"].asstr()[:].tolist()
            texts = file["genomes/text"].asstr()[:].tolist()
            status = file["evaluations"]["status"]
        self.assertEqual(names[:2] + names[30:33], ["1.class", "1.featurizer_group", "1.path", "1.route", "2.path"])
        self.assertTrue((status == 0).all())
        paths, routes = genomes[:, 30::2], genomes[:, 31::2]
        self.assertGreater((paths > 0).sum(), 0)
        self.assertGreater((routes > 0).sum(), 0)
        self.assertGreater((genomes[2:, 0:30:5] == 0).sum(), 0)
        self.assertEqual(texts[0], "11111-81111-11111-81111-11111-81111", "baselines are plain")

    def test_segments_evolve_where_they_are_asked_for_and_everything_reads_their_genomes(self):
        keys = ["search.segments=['backbone', 'operator', 'featurizer']", "search.baselines=[]",
                "search.objectives=['quality', 'cache', 'parameters']"]
        result = self.starling("run", "tiny.toml", "budget.evaluations=24", "training.tokens=512", "--out", "evolved", *keys)
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(self.path("evolved", "run.h5"), "r") as file:
            values = file["genomes/values"][:]
            names = file["genomes/gene"].asstr()[:].tolist()
            texts = dict(zip(file["candidates"]["candidate_id"], file["genomes/text"].asstr()[:]))
            self.assertTrue((file["evaluations"]["status"] == 0).all())
            repaired = file["candidates"]["repaired"]
        for segment in ("operator_", "group"):
            columns = [i for i, name in enumerate(names) if name.split(".")[1].startswith(segment)]
            self.assertGreater((values[:, columns] > 0).sum(), 0, segment)
        self.assertGreater(repaired.sum(), 0)
        self.assertGreater(len([text for text in texts.values() if ":" in text]), 12)
        front = json.loads(self.starling("front", "evolved", "--json").stdout)
        evolved = [row for row in front["front"] if ":" in row["genome"]]
        self.assertGreater(len(evolved), 0)
        for row in evolved:
            number = row["id"]
            self.assertEqual(row["genome"], texts[number])
            kinds = row["repairs_by_kind"]
            self.assertEqual(sum(kinds.values()), row["repairs"])
            self.assertIn("illegal_featurizer", kinds)
            shown = self.starling("show", "evolved", str(number))
            self.assertEqual(shown.returncode, 0, shown.stderr)
            self.assertIn(row["genome"], shown.stdout)
            self.assertIn("* has ", shown.stdout)
            described = self.starling("describe", row["genome"], "--experiment", "evolved/experiment.toml", "--width", "32", "--length", "32",
                                          "--vocabulary", "257", "--json")
            self.assertEqual(described.returncode, 0, described.stderr)
            described = json.loads(described.stdout)
            self.assertEqual(described["canonical"], row["genome"])
            self.assertEqual(described["parameters"]["total"], row["parameters"])
            self.assertEqual(described["cache"]["bytes"], row["cache_bytes"])
            self.assertTrue(any(liv.get("differs_from_class") for liv in described["livs"]))
            checkpoint = self.path("evolved", "checkpoints", f"{number:08d}.h5")
            generated = self.starling("generate", checkpoint, "--prompt", "the ", "--tokens", "8", "--json")
            self.assertEqual(generated.returncode, 0, generated.stderr)
            self.assertEqual(json.loads(generated.stdout)["genome"], row["genome"])

    def test_the_flops_of_training_are_an_objective(self):
        result = self.starling("run", "tiny.toml", 'search.objectives=["quality", "flops"]')
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(self.path("runs", "tiny-1", "run.h5"), "r") as file:
            flops = pd.DataFrame(file["evaluations"][:]).set_index("candidate_id")["obj_flops"]
            genomes = dict(zip(file["candidates"]["candidate_id"], file["genomes/text"].asstr()[:]))
        for candidate, genome in genomes.items():
            described = self.starling("describe", genome, "--width", "32", "--length", "32", "--tokens", "2048", "--json")
            self.assertEqual(flops[candidate], json.loads(described.stdout)["training_flops"])
        self.assertGreater(flops.nunique(), 2)

    def test_every_mad_task_is_scored_by_accuracy(self):
        for name in "in-context-recall noisy-recall fuzzy-recall selective-copying compression memorisation".split():
            with self.subTest(name):
                self.run_mad_task(name)

    def run_mad_task(self, name):
        with open(self.path("mad.toml"), "w") as file:
            file.write(f'name = "mad"\nworkers = 1\n[budget]\nevaluations = 4\n[task]\nkind = "mad"\nname = "{name}"\n'
                       'sequence_length = 34\ntest_sequences = 64\n[model]\ndepth = 4\nwidth = 32\n[search]\npopulation = 3\n'
                       '[training]\ntokens = 2048\nbatch_tokens = 272\n')
        result = self.starling("run", "mad.toml", "search.baselines=['transformer++']", "--out", name)
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(self.path(name, "run.h5"), "r") as file:
            table = pd.DataFrame(file["evaluations"][:])
        np.testing.assert_allclose(table["obj_quality"], 1 - table["accuracy"])
        self.assertTrue(((table["accuracy"] >= 0) & (table["accuracy"] <= 1)).all())
        # Eight sequences in a batch, also where their last token is not trained on.
        self.assertTrue((table["steps"] == 8).all(), table["steps"])
        for checkpoint in os.listdir(self.path(name, "checkpoints")):
            with h5py.File(self.path(name, "checkpoints", checkpoint), "r") as file:
                self.assertEqual(file.attrs["step"], 8)

    # --- what cannot work

    def test_an_output_directory_in_use_is_refused_and_left_alone(self):
        os.mkdir(self.path("used"))
        with open(self.path("used", "precious"), "w") as file:
            file.write("data")
        result = self.starling("run", "tiny.toml", "--out", "used")
        self.assertEqual(result.returncode, 2)
        self.assertIn("used", result.stderr)
        self.assertEqual(os.listdir(self.path("used")), ["precious"])

    def test_text_that_is_too_short_is_refused_and_leaves_nothing_behind(self):
        os.mkdir(self.path("short"))
        with open(self.path("short", "a.txt"), "w") as file:
            file.write("ab")
        result = self.starling("run", "tiny.toml", 'task.files=["short/*.txt"]')
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual([name for name in os.listdir(self.cwd) if name.startswith("runs") and os.listdir(self.path(name))], [])
        os.mkdir(self.path("mine"))
        result = self.starling("run", "tiny.toml", 'task.files=["short/*.txt"]', "--out", "mine")
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(os.listdir(self.path("mine")), [], "a directory of the user's stays, empty as it was")

    def test_files_that_are_not_there_are_refused_before_anything_is_made(self):
        result = self.starling("run", "tiny.toml", 'task.files=["nowhere/*.txt"]')
        self.assertEqual(result.returncode, 2)
        self.assertIn("nowhere/*.txt", result.stderr)
        self.assertFalse(os.path.exists(self.path("runs")))

    def test_a_training_that_diverges_everywhere_is_no_valid_result(self):
        result = self.starling("run", "tiny.toml", "budget.evaluations=4", "training.learning_rate=10", "training.gradient_clip=1e6", "training.tokens=16384",
                                   "search.baselines=[]", "--out", "run")
        self.assertEqual(result.returncode, 3, result.stderr)
        with h5py.File(self.path("run", "run.h5"), "r") as file:
            table = pd.DataFrame(file["evaluations"][:])
            status = h5py.check_enum_dtype(file["evaluations"].dtype["status"])
        self.assertTrue((table["status"] == status["diverged"]).all())

    def test_how_candidates_are_trained_is_what_the_file_says(self):
        def train(out, *keys):
            result = self.starling("run", "tiny.toml", "budget.evaluations=3", "search.algorithm=random", "search.baselines=[]", "evaluation.test=false",
                                       "workers=1", "--out", out, *keys)
            self.assertEqual(result.returncode, 0, result.stderr)
            with h5py.File(self.path(out, "run.h5"), "r") as file:
                curves = pd.DataFrame(file["curves"][:])
            shown = [json.loads(self.starling("show", out, str(i), "--json").stdout) for i in (1, 2, 3)]
            return curves, shown

        linear = ["training.schedule=linear", "training.final_learning_rate=0.5", "training.dropout=0.2"]
        curves, shown = train("plain", *linear)
        first = curves[curves["evaluation_id"] == 1]
        np.testing.assert_allclose(first["lr"], 3e-3 * np.array([1] + [1 - 0.5 * i / 7 for i in range(1, 8)]), rtol=1e-12)
        self.assertEqual([one["micro_batch_tokens"] for one in shown], [256] * 3)
        again, shown = train("again", *linear, "training.recompute=true")
        np.testing.assert_array_equal(again["train_loss"], curves["train_loss"])
        parts, shown = train("parts", *linear, "training.micro_batch_tokens=64")
        self.assertEqual([one["micro_batch_tokens"] for one in shown], [64] * 3)
        np.testing.assert_allclose(parts["train_loss"], curves["train_loss"], atol=1e-3)
        undropped, _ = train("undropped", *linear[:2])
        self.assertGreater(np.abs(undropped["train_loss"] - curves["train_loss"]).max(), 1e-3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
