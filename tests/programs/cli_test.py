"""Drives the built `starling` from outside: every bad input ends with exit code 2 and one clear message, and leaves nothing behind.

usage: cli_test.py DIRECTORY_OF_THE_PROGRAMS [unittest arguments]
"""

import os
import random
import re
import shutil
import struct
import subprocess
import unittest

from case import STARLING, QuietCase
from tiny import make_text

EXPERIMENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "experiments")

EXPERIMENT = """\
name = "tiny"

[budget]
evaluations = 6

[task]
kind = "language-model"
files = ["text/*.txt"]
sequence_length = 32

[model]
depth = 4
width = 32

[search]
population = 4

[training]
tokens = 2048
batch_tokens = 256
"""


class Program(QuietCase):
    def test_it_loads_no_libtorch(self):
        libraries = subprocess.run(["ldd", STARLING], capture_output=True, text=True, check=True).stdout
        self.assertIn("libstdc++", libraries)
        self.assertNotRegex(libraries, r"libtorch|libc10|openblas")

    def test_version_and_help_are_results(self):
        self.assertRegex(self.output("--version"), r"^starling \d+\.\d+\.\d+\n$")
        text = self.output("--help")
        for command in ["run", "check", "show", "front", "classes", "describe", "doctor"]:
            self.assertRegex(text, rf"(?m)^  {command} ")
            self.assertIn("Exit codes: 0 done", self.output(command, "--help"))

    def test_without_a_command_it_tells_how_it_is_used(self):
        result = self.starling()
        self.assertEqual((result.returncode, result.stdout), (2, ""))
        self.assertIn("Usage: starling", result.stderr)

    def test_wrong_arguments_are_told_with_the_nearest_name(self):
        self.assert_refused(["chek"], "unknown command 'chek' (did you mean 'check'?); see 'starling --help'")
        self.assert_refused(["--versoin"], "unknown option '--versoin' (did you mean '--version'?)")
        self.assert_refused(["run", "x.toml", "--ouT=d"], "unknown option '--ouT' (did you mean '--out'?); see 'starling run --help'")
        self.assert_refused(["front", "a", "b"], "unexpected argument 'b'; see 'starling front --help'")
        self.assert_refused(["run"], "experiment is required; see 'starling run --help'")
        self.assert_refused(["check"], "experiment is required")
        self.assert_refused(["show", "a", "first"], "first", "see 'starling show --help'")
        self.assert_refused(["describe", "transformer++", "--width", "96", "--depth", "4"], "--length is required")
        self.assert_refused(["describe", "transformer++", "--width", "wide", "--depth", "4", "--length", "8"], "wide")
        self.assert_refused(["describe", "transformer++", "--width", "96", "--depth", "-4", "--length", "8"], "-4")

    def test_a_number_that_is_none_is_refused(self):
        takers = {"--temperature": ["generate", "x.h5"], "--top-p": ["generate", "x.h5"], "--tflops": ["run", "x.toml", "--dry-run"],
                  "--validation": ["data", "pack", "x", "--tokenizer", "bytes", "--out", "y"],
                  "--test": ["data", "pack", "x", "--tokenizer", "bytes", "--out", "y"]}
        for option, command in takers.items():
            for value in ["nan", "-nan", "inf", "-inf", "1e999", "-1", "much"]:
                self.assert_refused([*command, f"{option}={value}"], option, value)

    def test_a_seed_is_a_whole_number(self):
        for command in [["generate", "x.h5"], ["data", "pack", "x", "--tokenizer", "bytes", "--out", "y"],
                        ["tokenizer", "train", "x", "--vocabulary", "300", "--out", "y.model"]]:
            for value in ["-1", "18446744073709551616", "1.5", "one"]:
                self.assert_refused([*command, f"--seed={value}"], "--seed", value)
            self.assertNotIn("--seed", self.assert_refused([*command, f"--seed={2**64 - 1}"]))

    def test_a_result_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run([STARLING, "classes"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(result.returncode, 1)
        self.assertIn("starling: ", result.stderr)

    def test_it_works_with_closed_streams_and_in_the_c_locale(self):
        command = f'exec 0<&- ; LC_ALL=C "{STARLING}" describe transformer++ --width 96 --depth 4 --length 64'
        result = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60)
        self.assertEqual((result.returncode, result.stderr), (0, b""))

    def test_doctor_without_the_worker_program_says_what_is_missing(self):
        alone = self.path("starling")
        shutil.copy(STARLING, alone)
        result = subprocess.run([alone, "doctor"], capture_output=True, text=True, timeout=60)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn(self.path("starling-worker") + ": No such file or directory", result.stderr)

    def test_doctor_passes_on_what_the_worker_program_prints_and_its_exit_code(self):
        alone = self.path("starling")
        shutil.copy(STARLING, alone)
        worker = alone + "-worker"
        with open(worker, "w") as file:
            file.write('#!/bin/sh\necho "got $*"\nexit 5\n')
        os.chmod(worker, 0o755)
        link = self.path("link")
        os.symlink(alone, link)
        result = subprocess.run([link, "doctor", "--json"], capture_output=True, text=True, timeout=60)
        self.assertEqual((result.returncode, result.stdout), (5, "got doctor --json\n"))
        with open(worker, "w") as file:
            file.write("#!/bin/sh\nkill -9 $$\n")
        result = subprocess.run([alone, "doctor"], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 1)
        self.assertIn("ended by signal 9", result.stderr)


class BadExperiment(QuietCase):
    """`run` and `check` refuse the same files with the same words."""

    def refuse(self, content, *parts):
        name = self.write("x.toml", content)
        message = self.assert_refused(["run", name], *parts)
        self.assertEqual(self.assert_refused(["check", name], *parts), message)
        self.assertEqual(self.assert_refused(["run", name, "--dry-run"], *parts), message)

    def replace(self, old, new):
        self.assertIn(old, EXPERIMENT)
        return EXPERIMENT.replace(old, new)

    def test_unknown_key(self):
        self.refuse(self.replace("population", "populaton"),
                    "starling: x.toml:16: unknown key 'search.populaton' (did you mean 'search.population'?)\n")

    def test_wrong_type(self):
        self.refuse(self.replace("depth = 4", "depth = '4'"), 'x.toml:12: \'model.depth\' is the string "4", expected an integer (2 … 512)')

    def test_impossible_value(self):
        self.refuse(self.replace("evaluations = 6", "evaluations = -6"), "x.toml:4: 'budget.evaluations' is -6, expected an integer (1 … ")

    def test_missing_key(self):
        self.refuse(self.replace("tokens = 2048\n", ""), "x.toml:18: 'training.tokens' is missing, expected in section [training]")

    def test_empty_file(self):
        self.refuse("", "x.toml: 'budget.evaluations' is missing", "x.toml: 'task.kind' is missing", "x.toml: 'training.tokens' is missing")

    def test_broken_toml(self):
        self.refuse(self.replace("[model]", "[model"), "x.toml:11: not TOML: ")

    def test_random_bytes(self):
        source = random.Random(1)
        for _ in range(10):
            self.refuse(bytes(source.randrange(256) for _ in range(300)), "starling: x.toml:")

    def test_width_that_no_head_fits(self):
        self.refuse(self.replace("width = 32", "width = 100"), "x.toml:13: 'model.width' is 100: ")

    def test_batch_that_is_no_whole_number_of_sequences(self):
        self.refuse(self.replace("batch_tokens = 256", "batch_tokens = 250"), "x.toml:20: 'training.batch_tokens' is 250, expected a multiple")

    def test_several_findings_at_once(self):
        message = "\n".join([
            "starling: x.toml:1: 'name' is the integer 3,",
            "starling: x.toml:12: unknown key 'model.dpth'",
        ])
        self.refuse(self.replace("depth", "dpth").replace('"tiny"', "3"), *message.split("\n"))

    def test_missing_file(self):
        self.assert_refused(["run", "none.toml"], "none.toml: there is no such file")
        self.assert_refused(["check", "none.toml"], "none.toml: there is no such file")

    def test_directory_instead_of_a_file(self):
        os.mkdir(self.path("d.toml"))
        self.assert_refused(["run", "d.toml"], "d.toml: is a directory")

    def test_wrong_overrides(self):
        name = self.write("x.toml", EXPERIMENT)
        self.assert_refused(["run", name, "serch.population=5"],
                            "starling: command line: unknown key 'serch.population' (did you mean 'search.population'?)\n")
        self.assert_refused(["run", name, "workers"], "command line: 'workers' is no override, expected key=value")
        self.assert_refused(["run", name, "training.precision=fp64"],
                            "command line: 'training.precision' is \"fp64\", expected f32 | bf16")
        self.assert_refused(["run", name, "training.tokens=1e400"], "command line: 'training.tokens' is the string \"1e400\"")

    def test_task_files_that_match_nothing(self):
        self.assert_refused(["run", self.write("x.toml", EXPERIMENT)], "text/*.txt")


class Check(QuietCase):
    def test_a_sound_file_is_summarised(self):
        text = self.output("check", self.write("x.toml", EXPERIMENT), "search.objectives=['parameters']")
        self.assertTrue(text.startswith("x.toml: ok\n"), text)
        self.assertIn("4 LIVs × 32 channels", text)
        self.assertIn("minimises parameters,", text)

    def test_json_is_the_resolved_experiment(self):
        data = self.json("check", self.write("x.toml", EXPERIMENT), "workers=7")
        self.assertTrue(data["ok"])
        experiment = data["experiment"]
        self.assertEqual(experiment["workers"], 7)
        self.assertEqual(experiment["task"]["files"], ["text/*.txt"])
        self.assertEqual(experiment["training"]["learning_rate"], 8e-4)
        self.assertEqual(experiment["task"]["vocabulary"], 257)
        self.assertNotIn("training_sequences", experiment["task"])

    def test_token_shards_need_a_vocabulary_that_everything_counts_with(self):
        self.write("x.toml", EXPERIMENT)
        os.mkdir(self.path("tokens"))
        self.write("tokens/a.bin", struct.pack("<256i", 20240520, 1, 5000, *[0] * 253) + bytes(10000))
        files = "task.files=['tokens/*.bin']"
        self.assert_refused(["check", "x.toml", files], "'task.vocabulary' is missing", "GPT-2")
        self.assert_refused(["run", "x.toml", files, "--dry-run"], "'task.vocabulary' is missing")
        arguments = ["x.toml", files, "task.vocabulary=50257"]
        self.assertEqual(self.json("check", *arguments)["experiment"]["task"]["vocabulary"], 50257)
        plan = self.json("run", *arguments, "--dry-run")
        bytes_plan = self.json("run", "x.toml", "--dry-run")
        for tokens, of_bytes in zip(plan["baselines"], bytes_plan["baselines"]):
            self.assertEqual(tokens["parameters"] - of_bytes["parameters"], (50257 - 257) * 32)
        self.write("tokens/b.bin", struct.pack("<256i", 20240520, 1, 5000, *[0] * 253) + bytes(9998))
        self.assert_refused(["check", *arguments], "b.bin", "truncated")

    def test_keys_list_what_a_file_may_hold(self):
        rows = {row["key"]: row for row in self.json("check", "--keys")}
        self.assertEqual(rows["search.population"]["default"], "16")
        self.assertIsNone(rows["training.tokens"]["default"])
        text = self.output("check", "--keys")
        for key in rows:
            self.assertIn(key + "\n", text)

    def test_the_experiments_that_come_with_starling_are_sound(self):
        names = [name for name in os.listdir(EXPERIMENTS) if name.endswith(".toml")]
        self.assertIn("quickstart.toml", names)
        # Data that is not on every machine is made by the command that the file tells.
        with open(os.path.join(EXPERIMENTS, "series.toml")) as file:
            command = re.search(r"awk '.*?' > waves\.csv", file.read().replace("\n#", "\n"), re.DOTALL)[0]
        subprocess.run(command, shell=True, check=True, cwd=self.cwd, timeout=60)
        self.pack_data()
        for name in names:
            self.output("check", os.path.join(EXPERIMENTS, name))

    def test_the_experiments_of_the_paper_have_its_sizes(self):
        self.pack_data()
        for name, objectives in (("quality", ["quality"]), ("quality_size", ["quality", "parameters"]),
                                 ("quality_cache", ["quality", "cache"])):
            file = os.path.join(EXPERIMENTS, f"star_125m_{name}.toml")
            experiment = self.json("check", file)["experiment"]
            self.assertEqual(experiment["search"]["objectives"], objectives)
            self.assertEqual(experiment["search"]["population"], 16)
        plan = self.json("run", file, "--dry-run", "--tflops", "300", 'devices=["cuda:0"]')
        self.assertEqual(plan["evaluations"], 288)
        self.assertEqual(plan["steps_per_candidate"], 4960)  # of a quarter of a million tokens, 1.3 billion in all
        transformer = plan["baselines"][0]
        self.assertEqual((transformer["name"], transformer["parameters"]), ("transformer++", 84_934_656 + 19_200 + 257 * 768))
        self.assertEqual(transformer["cache_bytes"], 2 * 12 * 2 * 768 * 4096)
        # Six FLOPs per parameter and token, and attention.
        attention = 3 * 12 * 4 * 768 * 4097 // 2
        self.assertEqual(transformer["training_flops_per_token"], 6 * (84_934_656 + 257 * 768) + attention)
        memory = plan["memory_bytes"]
        self.assertEqual(memory["optimizer"], 2 * memory["weights"])
        self.assertEqual(memory["copies"], memory["weights"] // 2)
        self.assertLess(memory["least"], 80e9, "a sequence at a time fits one GPU")
        self.assertGreater(memory["most"], 80e9, "a batch at once does not")
        # 291 trainings at 300 TFLOP/s.
        self.assertTrue(100 < plan["hours"] < 2000, plan["hours"])
        eight = ", ".join(f'"cuda:{i}"' for i in range(8))
        self.assertAlmostEqual(self.json("run", file, "--dry-run", "--tflops", "300", f"devices=[{eight}]")["hours"], plan["hours"] / 8)
        hour = self.json("run", os.path.join(EXPERIMENTS, "star_1h_gpu.toml"), "task.vocabulary=32768", "--dry-run", "--tflops", "60")
        self.assertTrue(0.5 < hour["hours"] < 1.2, hour["hours"])

    def pack_data(self):
        """Where the experiments look for tokens."""
        make_text(self.cwd)
        self.output("data", "pack", "text/*.txt", "--tokenizer", "bytes", "--out", "data/star")


class Plan(QuietCase):
    def test_print_config_reads_back_as_the_same_experiment(self):
        first = self.output("run", self.write("x.toml", EXPERIMENT), "--print-config", "seed=9")
        self.assertIn("seed = 9\n", first)
        self.assertEqual(self.output("run", self.write("resolved.toml", first), "--print-config"), first)
        self.assertEqual(self.json("run", "resolved.toml", "--print-config"), self.json("check", "resolved.toml")["experiment"])

    def test_dry_run_counts_and_leaves_nothing(self):
        name = self.write("x.toml", EXPERIMENT)
        plan = self.json("run", name, "--dry-run", "training.tokens=2049")
        self.assertEqual(plan["steps_per_candidate"], 9)
        self.assertEqual(plan["tokens_per_candidate"], 9 * 256)
        described = self.json("describe", "transformer++", "--width", "32", "--depth", "4", "--length", "32")
        baseline = plan["baselines"][0]
        self.assertEqual(baseline["name"], "transformer++")
        self.assertEqual(baseline["parameters"], described["parameters"]["total"])
        self.assertEqual(baseline["cache_bytes"], described["cache"]["bytes"])
        self.assertEqual(plan["training_flops"]["baselines"],
                         sum(b["training_flops_per_token"] for b in plan["baselines"]) * 9 * 256)
        for measure in ["parameters", "cache_bytes", "training_flops_per_token"]:
            spread = plan["random_genomes"][measure]
            self.assertTrue(spread["least"] <= spread["median"] <= spread["most"])
        flops = plan["random_genomes"]["training_flops"]
        self.assertEqual(flops["most"], plan["random_genomes"]["training_flops_per_token"]["most"] * 9 * 256)
        memory = plan["memory_bytes"]
        # Of the embedding three gradients: from the output, scaled, and from the input.
        embedding = 4 * 257 * 32
        self.assertEqual((memory["gradients"], memory["optimizer"], memory["copies"]),
                         (memory["weights"] + 2 * embedding, 2 * memory["weights"], 0))
        self.assertEqual((memory["logits_of_a_sequence"], memory["logits_of_a_batch"]), (4 * 257 * 32, 4 * 257 * 256))
        state = memory["weights"] + memory["gradients"] + memory["optimizer"]
        self.assertEqual((memory["least"], memory["most"]),
                         (state + memory["activations_of_a_sequence"] + memory["logits_of_a_sequence"],
                          state + memory["activations_of_a_batch"] + memory["logits_of_a_batch"]))
        per_token = (memory["activations_of_a_batch"] - memory["activations_of_a_sequence"]) / (256 - 32)
        self.assertGreater(per_token, 4 * 32 * 4 * 4, "four LIVs keep more than four activations of 32 channels")
        self.assertIn("9 steps, 2,304 tokens", self.output("run", name, "--dry-run", "training.tokens=2049"))
        self.assertEqual(os.listdir(self.cwd), [name])

    def test_dry_run_says_how_long_it_takes_at_which_speed(self):
        name = self.write("x.toml", EXPERIMENT)
        stated = self.json("run", name, "--dry-run", "--tflops", "0.5", "workers=3")
        flops = sum(stated["training_flops"].values())
        self.assertAlmostEqual(stated["hours"], flops / (3 * 0.5e12) / 3600, delta=1e-9 * stated["hours"])
        self.assertIn("--tflops", stated["throughput"]["from"])
        measured = self.json("run", name, "--dry-run")
        self.assertGreater(measured["throughput"]["flops_per_second"], 1e8)
        self.assertIn("matrix product", measured["throughput"]["from"])
        text = self.output("run", name, "--dry-run", "--tflops", "0.5")
        for words in ("memory ", "time ", "500.0 GFLOP/s", "disk "):
            self.assertIn(words, text)
        self.assert_refused(["run", name, "--tflops", "1"], "--dry-run")

    def validation(self, *arguments):
        """Tokens, and what they cost in trainings."""
        plan = self.json("run", *arguments, "--dry-run", "--tflops", "1")
        flops = plan["training_flops"]
        return plan["validation_tokens_per_candidate"], flops["validation"] / (flops["search"] + flops["baselines"])

    def assert_validated(self, arguments, tokens, trained=2048):
        counted, trainings = self.validation(*arguments)
        self.assertEqual(counted, tokens)
        self.assertAlmostEqual(trainings, tokens / trained / 3)

    def test_dry_run_counts_the_validation_of_text(self):
        name = self.write("x.toml", EXPERIMENT)
        self.assertEqual(self.validation(name), (None, 0))
        self.assertIn("validation      not counted", self.output("run", name, "--dry-run", "--tflops", "1"))
        make_text(self.cwd)
        size, _ = self.validation(name)
        packed = self.json("data", "pack", "text/*.txt", "--tokenizer", "bytes", "--out", "packed")["parts"]["validation"]["tokens"]
        self.assertEqual(size, -(-(packed - 1) // 32) * 32)
        self.assert_validated([name], size)
        self.assert_validated([name, "task.validation_tokens=1_000_000_000"], size)
        self.assert_validated([name, "task.validation_tokens=2048"], 2048)
        self.assertIn(f"{size:,} tokens of each candidate", self.output("run", name, "--dry-run", "--tflops", "1"))
        self.assert_validated([name, "task.files=['packed/*.bin']"], size)
        self.assert_validated([name, "task.files=['packed/*.bin']", "task.validation_tokens=1024"], 1024)

        self.output("tokenizer", "train", "text/*.txt", "--vocabulary", "300", "--out", "words.model")
        pieces = self.json("data", "pack", "text/*.txt", "--tokenizer", "words.model", "--out", "pieces")["parts"]["validation"]["tokens"]
        self.assertAlmostEqual(self.validation(name, "task.tokenizer=words.model")[0], pieces, delta=0.1 * pieces)

    def test_dry_run_counts_the_validation_of_shards_without_an_index(self):
        os.mkdir(self.path("tokens"))
        self.write("tokens/a.bin", bytes(2 * 50_000))
        files = ["task.files=['tokens/*.bin']", "task.vocabulary=300"]
        self.assert_validated([self.write("x.toml", EXPERIMENT), *files], -(-4999 // 32) * 32)

    def test_dry_run_counts_the_validation_of_series(self):
        for number, rows in enumerate([1000, 500]):
            self.write(f"{number}.csv", "a,b\n" + "".join(f"{row % 7},{row % 11}\n" for row in range(rows)))
        name = self.write("x.toml", EXPERIMENT.replace('"language-model"', '"series"').replace("text/*.txt", "*.csv"))
        self.assert_validated([name], 4 * 32 + 2 * 32)  # of 100 and 50 rows all but the first of each are predicted
        self.assert_validated([name, "task.validation_tokens=64"], 64)

    def test_dry_run_counts_the_validation_of_mad_tasks(self):
        recall = os.path.join(EXPERIMENTS, "mad_recall.toml")
        self.assertEqual(self.validation(recall, "task.test_sequences=100", "task.sequence_length=128")[0], 100 * 127)

    def test_dry_run_counts_the_logits_and_gradients_of_a_large_vocabulary(self):
        os.mkdir(self.path("tokens"))
        self.write("tokens/a.bin", bytes(2 * 50_000))
        arguments = ["run", self.write("x.toml", EXPERIMENT), "task.files=['tokens/*.bin']", "--dry-run", "--tflops", "1"]
        small, large = (self.json(*arguments, f"task.vocabulary={rows}")["memory_bytes"] for rows in (1024, 65_536))
        grown = 4 * (65_536 - 1024) * 32
        self.assertEqual(large["gradients"] - small["gradients"], 3 * grown)
        self.assertEqual((large["logits_of_a_sequence"], large["logits_of_a_batch"]), (4 * 65_536 * 32, 4 * 65_536 * 128))
        gpu = self.json(*arguments, "task.vocabulary=65_536", 'devices=["cuda:0"]')["memory_bytes"]
        self.assertEqual(gpu["logits_of_a_batch"], 4 * 65_536 * 256)

    def test_dry_run_of_a_recall_task_counts_the_positions_that_are_predicted(self):
        recall = os.path.join(EXPERIMENTS, "mad_recall.toml")
        plan = self.json("run", recall, "--dry-run", "training.tokens=100000", "training.batch_tokens=2048", "task.sequence_length=128")
        self.assertEqual(plan["steps_per_candidate"], 49)  # of 16 sequences, of which 127 tokens are trained on
        self.assertEqual(plan["tokens_per_candidate"], 49 * 16 * 127)


class Show(QuietCase):
    def test_what_is_no_run_directory_is_refused(self):
        os.mkdir(self.path("empty"))
        for command in ["show", "front"]:
            self.assert_refused([command, "none"], "none: no such run directory")
            self.assert_refused([command, "empty"], "not a run directory")

    def test_a_journal_that_is_none_is_refused(self):
        os.mkdir(self.path("run"))
        self.write("run/journal", b"not a journal at all, but long enough")
        for command in ["show", "front"]:
            self.assert_refused([command, "run"], "journal")


if __name__ == "__main__":
    unittest.main(verbosity=2)
