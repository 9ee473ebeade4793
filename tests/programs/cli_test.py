"""Drives the built `starling` from outside: every bad input ends with exit code 2 and one clear message, and leaves nothing behind.

usage: cli_test.py DIRECTORY_OF_THE_PROGRAMS [unittest arguments]
"""

import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

from tiny import make_text

PROGRAMS = os.path.abspath(sys.argv.pop(1))
STARLING = os.path.join(PROGRAMS, "starling")
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


class Case(unittest.TestCase):
    def setUp(self):
        # A blank in the path: people have them.
        self.root = tempfile.TemporaryDirectory(prefix="starling cli ")
        self.directory = self.root.name
        self.addCleanup(self.root.cleanup)

    def starling(self, *arguments, **options):
        options.setdefault("cwd", self.directory)
        return subprocess.run([STARLING, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                              encoding="utf-8", errors="replace", **options)

    def output(self, *arguments):
        """What a command that succeeds prints."""
        result = self.starling(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stderr, "")
        return result.stdout

    def json(self, *arguments):
        return json.loads(self.output(*arguments, "--json"))

    def write(self, content, name="x.toml"):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return name

    def assert_refused(self, arguments, *parts):
        """Exit code 2, nothing on stdout, every line of the message ours, all parts in it, and no file made."""
        before = sorted(os.listdir(self.directory))
        result = self.starling(*arguments)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertTrue(result.stderr)
        for line in result.stderr.splitlines():
            self.assertTrue(line.startswith("starling: "), result.stderr)
        for part in parts:
            self.assertIn(part, result.stderr)
        self.assertEqual(sorted(os.listdir(self.directory)), before, "something was left behind")
        return result.stderr


class Program(Case):
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
        alone = os.path.join(self.directory, "starling")
        shutil.copy(STARLING, alone)
        result = subprocess.run([alone, "doctor"], capture_output=True, text=True, timeout=60)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn(os.path.join(self.directory, "starling-worker") + ": No such file or directory", result.stderr)

    def test_doctor_passes_on_what_the_worker_program_prints_and_its_exit_code(self):
        alone = os.path.join(self.directory, "starling")
        shutil.copy(STARLING, alone)
        worker = alone + "-worker"
        with open(worker, "w") as file:
            file.write('#!/bin/sh\necho "got $*"\nexit 5\n')
        os.chmod(worker, 0o755)
        link = os.path.join(self.directory, "link")
        os.symlink(alone, link)
        result = subprocess.run([link, "doctor", "--json"], capture_output=True, text=True, timeout=60)
        self.assertEqual((result.returncode, result.stdout), (5, "got doctor --json\n"))
        with open(worker, "w") as file:
            file.write("#!/bin/sh\nkill -9 $$\n")
        result = subprocess.run([alone, "doctor"], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 1)
        self.assertIn("ended by signal 9", result.stderr)


class BadExperiment(Case):
    """`run` and `check` refuse the same files with the same words."""

    def refuse(self, content, *parts):
        name = self.write(content)
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
        os.mkdir(os.path.join(self.directory, "d.toml"))
        self.assert_refused(["run", "d.toml"], "d.toml: is a directory")

    def test_wrong_overrides(self):
        name = self.write(EXPERIMENT)
        self.assert_refused(["run", name, "serch.population=5"],
                            "starling: command line: unknown key 'serch.population' (did you mean 'search.population'?)\n")
        self.assert_refused(["run", name, "workers"], "command line: 'workers' is no override, expected key=value")
        self.assert_refused(["run", name, "training.precision=fp64"],
                            "command line: 'training.precision' is \"fp64\", expected f32 | bf16")
        self.assert_refused(["run", name, "training.tokens=1e400"], "command line: 'training.tokens' is the string \"1e400\"")

    def test_task_files_that_match_nothing(self):
        self.assert_refused(["run", self.write(EXPERIMENT)], "text/*.txt")


class Check(Case):
    def test_a_sound_file_is_summarised(self):
        text = self.output("check", self.write(EXPERIMENT), "search.objectives=['parameters']")
        self.assertTrue(text.startswith("x.toml: ok\n"), text)
        self.assertIn("4 LIVs × 32 channels", text)
        self.assertIn("minimises parameters,", text)

    def test_json_is_the_resolved_experiment(self):
        data = self.json("check", self.write(EXPERIMENT), "workers=7")
        self.assertTrue(data["ok"])
        experiment = data["experiment"]
        self.assertEqual(experiment["workers"], 7)
        self.assertEqual(experiment["task"]["files"], ["text/*.txt"])
        self.assertEqual(experiment["training"]["learning_rate"], 8e-4)
        self.assertEqual(experiment["task"]["vocabulary"], 257)
        self.assertNotIn("training_sequences", experiment["task"])

    def test_token_shards_need_a_vocabulary_that_everything_counts_with(self):
        self.write(EXPERIMENT)
        os.mkdir(os.path.join(self.directory, "tokens"))
        self.write(struct.pack("<256i", 20240520, 1, 5000, *[0] * 253) + bytes(10000), "tokens/a.bin")
        files = "task.files=['tokens/*.bin']"
        self.assert_refused(["check", "x.toml", files], "'task.vocabulary' is missing", "GPT-2")
        self.assert_refused(["run", "x.toml", files, "--dry-run"], "'task.vocabulary' is missing")
        arguments = ["x.toml", files, "task.vocabulary=50257"]
        self.assertEqual(self.json("check", *arguments)["experiment"]["task"]["vocabulary"], 50257)
        plan = self.json("run", *arguments, "--dry-run")
        bytes_plan = self.json("run", "x.toml", "--dry-run")
        for tokens, of_bytes in zip(plan["baselines"], bytes_plan["baselines"]):
            self.assertEqual(tokens["parameters"] - of_bytes["parameters"], (50257 - 257) * 32)
        self.write(struct.pack("<256i", 20240520, 1, 5000, *[0] * 253) + bytes(9998), "tokens/b.bin")
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
        subprocess.run(command, shell=True, check=True, cwd=self.directory, timeout=60)
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
        make_text(self.directory)
        self.output("data", "pack", "text/*.txt", "--tokenizer", "bytes", "--out", "data/star")


class Plan(Case):
    def test_print_config_reads_back_as_the_same_experiment(self):
        first = self.output("run", self.write(EXPERIMENT), "--print-config", "seed=9")
        self.assertIn("seed = 9\n", first)
        self.assertEqual(self.output("run", self.write(first, "resolved.toml"), "--print-config"), first)
        self.assertEqual(self.json("run", "resolved.toml", "--print-config"), self.json("check", "resolved.toml")["experiment"])

    def test_dry_run_counts_and_leaves_nothing(self):
        name = self.write(EXPERIMENT)
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
        self.assertEqual((memory["weights"], memory["gradients"], memory["optimizer"], memory["copies"]),
                         (memory["weights"], memory["weights"], 2 * memory["weights"], 0))
        state = memory["weights"] + memory["gradients"] + memory["optimizer"]
        self.assertEqual((memory["least"], memory["most"]),
                         (state + memory["activations_of_a_sequence"], state + memory["activations_of_a_batch"]))
        per_token = (memory["activations_of_a_batch"] - memory["activations_of_a_sequence"]) / (256 - 32)
        self.assertGreater(per_token, 4 * 32 * 4 * 4, "four LIVs keep more than four activations of 32 channels")
        self.assertIn("9 steps, 2,304 tokens", self.output("run", name, "--dry-run", "training.tokens=2049"))
        self.assertEqual(os.listdir(self.directory), [name])

    def test_dry_run_says_how_long_it_takes_at_which_speed(self):
        name = self.write(EXPERIMENT)
        stated = self.json("run", name, "--dry-run", "--tflops", "0.5", "workers=3")
        flops = sum(stated["training_flops"].values())
        self.assertAlmostEqual(stated["hours"], flops / (3 * 0.5e12) / 3600, delta=1e-9 * stated["hours"])
        self.assertIn("--tflops", stated["throughput"]["from"])
        measured = self.json("run", name, "--dry-run")
        self.assertGreater(measured["throughput"]["flops_per_second"], 1e8)
        self.assertIn("matrix product", measured["throughput"]["from"])
        self.assertEqual(measured["training_flops"]["validation"], 0, "the text has not been read")
        validated = self.json("run", name, "--dry-run", "task.validation_tokens=2048", "--tflops", "1")
        training = validated["training_flops"]["search"] + validated["training_flops"]["baselines"]
        self.assertAlmostEqual(validated["training_flops"]["validation"] / training, 1 / 3)
        text = self.output("run", name, "--dry-run", "--tflops", "0.5")
        for words in ("memory ", "time ", "500.0 GFLOP/s", "disk "):
            self.assertIn(words, text)
        self.assert_refused(["run", name, "--tflops", "1"], "--dry-run")

    def test_dry_run_of_a_recall_task_counts_the_positions_that_are_predicted(self):
        recall = os.path.join(EXPERIMENTS, "mad_recall.toml")
        plan = self.json("run", recall, "--dry-run", "training.tokens=100000", "training.batch_tokens=2048", "task.sequence_length=128")
        self.assertEqual(plan["steps_per_candidate"], 50)  # of 16 sequences of 127
        self.assertEqual(plan["tokens_per_candidate"], 50 * 16 * 127)


class Describe(Case):
    def describe(self, architecture, **options):
        words = [word for key, value in options.items() for word in ("--" + key, str(value))]
        return self.json("describe", architecture, *words)

    def test_the_flops_of_a_training_are_those_of_its_tokens(self):
        d = self.describe("transformer++", width=32, depth=4, length=32, tokens="2_000")
        self.assertEqual(d["training_flops"], 2000 * d["training_flops_per_token"])
        self.assertEqual(3 * d["forward_flops_per_token"], d["training_flops_per_token"])
        self.assertIn("for a training on 2,000 tokens", self.output("describe", "transformer++", "--width", "32", "--depth", "4",
                                                                    "--length", "32", "--tokens", "2000"))

    def test_transformer_has_the_published_numbers(self):
        small = self.describe("transformer++", width=768, depth=24, length=4096)
        self.assertEqual(small["parameters"]["matrices"], 84934656)
        self.assertEqual(small["parameters"]["vectors"], 19200)
        self.assertEqual(small["parameters"]["embedding"], 257 * 768)  # bytes and the separator of documents
        large = self.describe("transformer++", width=2048, depth=48, length=4096, vocabulary=50257)
        self.assertEqual(large["parameters"]["matrices"], 1208352768)
        self.assertEqual(large["parameters"]["vectors"], 100352)
        self.assertEqual(large["parameters"]["embedding"], 50257 * 2048)
        self.assertEqual(large["cache"]["bytes"], 805306368)
        self.assertIn("84,934,656 in matrices", self.output("describe", "transformer++", "--width", "768", "--depth", "24", "--length", "4096"))

    def test_the_parts_add_up(self):
        d = self.describe("striped-mamba", width=96, depth=6, length=256)
        livs = d["livs"]
        self.assertEqual(len(livs), 6)
        self.assertEqual(sum(liv["parameters"]["matrices"] for liv in livs), d["parameters"]["matrices"])
        self.assertEqual(sum(liv["parameters"]["vectors"] for liv in livs) + 96, d["parameters"]["vectors"])  # the final norm
        self.assertEqual(sum(liv["cache"]["bytes"] for liv in livs), d["cache"]["bytes"])
        self.assertEqual(d["cache"]["elements"], 256 * d["cache"]["elements_per_token"] + d["cache"]["elements_fixed"])
        forward = sum(liv["forward_flops_per_token"] for liv in livs) + 2 * 96 * d["vocabulary"]
        self.assertEqual(d["training_flops_per_token"], 3 * forward)

    def test_sharing_is_told_and_subtracted(self):
        # Both attention LIVs share weights in group 1; the second reads k and v of the first.
        d = self.describe("11212-81111-11212-81111", width=96, length=256)
        first, third = d["livs"][0], d["livs"][2]
        self.assertEqual((first["weights_of"], first["reads_from"], first["reads"]), (1, None, ""))
        self.assertEqual((third["weights_of"], third["reads_from"], third["reads"]), (1, 1, "k v"))
        self.assertEqual(third["cache"]["elements"], 0)
        self.assertEqual(third["parameters"]["matrices"], 96 * 96)  # W_o
        text = self.output("describe", "11212-81111-11212-81111", "--width", "96", "--length", "256")
        self.assertRegex(text, r"(?m)^ +3  SA-1 +of 1 +k v of 1 ")
        self.assertIn("AMAM", text)

    def test_paths_routes_and_empty_livs_are_told(self):
        d = self.describe("1111101-8111110-6111111-01111-81111", width=96, length=256)
        plain = self.describe("11111-81111-61111-81111", width=96, length=256)
        livs = d["livs"]
        self.assertEqual((d["depth"], d["empty_livs"], len(livs), d["strip"]), (5, 1, 4, "A~(MC~)M"))
        self.assertEqual([liv["parallel_to"] for liv in livs], [[], [3], [2], []])
        self.assertEqual([liv["routed"] for liv in livs], [True, False, True, False])
        extra = [new["parameters"]["total"] - old["parameters"]["total"] for new, old in zip(livs, plain["livs"])]
        self.assertEqual(extra, [96 + 5, 1 + 1, 96 + 3 + 1, 0])  # gates; weights in the path group, and its scale
        self.assertEqual(d["cache"]["elements_fixed"], plain["cache"]["elements_fixed"] + 2)
        text = self.output("describe", "1111101-8111110-6111111-01111-81111", "--width", "96", "--length", "256")
        self.assertIn("4 LIVs × 96 channels and 1 empty", text)
        self.assertRegex(text, r"(?m)^ +3  GConv-1 +own +– +2 … 3 +yes ")
        self.assertIn("         ─A1~┬M8──M8─\n             └C6~\n", text)
        self.assertNotIn("\x1b", text)

    def test_canonical_form_is_told(self):
        self.assertEqual(self.describe("11211-81111", width=96, length=256)["canonical"], "11111-81111")

    def test_describe_says_in_what_livs_differ_from_their_classes(self):
        genome = "11111:00200:::34.0.4.0.0.0-81111-11111:30000"
        d = self.describe(genome, width=96, length=512, band=64)
        self.assertEqual(d["genome"], genome)
        self.assertEqual(d["canonical"], "11111:00200:::34.0.4.0.0.0-81111-31111")
        first, second, third = d["livs"]
        self.assertEqual(first["class"], "SA-1*")
        self.assertEqual(first["differs_from_class"], [
            {"group": None, "gene": "structured sparsity", "class": "1", "liv": "2"},
            {"group": "v", "gene": "token mixing", "class": "1", "liv": "3 (4 taps)"},
            {"group": "v", "gene": "nonlinearity", "class": "1", "liv": "4"}])
        self.assertEqual(first["class_genomes"]["operator_genome"], [1, 2, 2, 2, 3])
        self.assertEqual(first["class_genomes"]["feature_groups"][2]["kernel"], 4)
        self.assertEqual(first["cache"]["elements"], 2 * 64 * 96 + 3 * 96)
        self.assertNotIn("differs_from_class", second)
        self.assertEqual(third["class"], "SA-3", "the integers are those of SA-3")
        text = self.output("describe", genome, "--width", "96", "--length", "512")
        self.assertIn("LIV 1  SA-1* has structured sparsity 2, not 1; v: token mixing 3 (4 taps), not 1, nonlinearity 4, not 1\n", text)
        self.assertNotIn("LIV 2  ", text)
        self.assert_refused(["describe", "81111:00200-11111", "--width", "96", "--length", "512"],
                            "LIV 1: its segments make no operator of GMemless: structured sparsity 2 (banded)")
        self.assert_refused(["describe", "11111::0000.8-81111", "--width", "96", "--length", "512"], "character 8")
        self.assert_refused(["describe", "11111:::000048:000048-81111", "--width", "96", "--length", "512"],
                            "class 1 'SA-1*': the feature group 'k' is repeated 8 times, but there are 4 heads at width 96")
        self.assertIn("canonical  11111-81111", self.output("describe", "11211-81111", "--width", "96", "--length", "256"))

    def refuse(self, architecture, *parts, **options):
        words = [word for key, value in options.items() for word in ("--" + key, str(value))]
        self.assert_refused(["describe", architecture, *words], *parts)

    def test_bad_architectures(self):
        size = {"width": 96, "length": 256}
        self.refuse("31111-7x111", "LIV 2", **size)
        self.refuse("1111-81111", "LIV 1", **size)
        self.refuse("11111-99.1.1.1.1", "LIV 2", "99", **size)
        self.refuse("11131-81111", "LIV 1", **size)
        self.refuse("11111-81113", "LIV 2", **size)
        self.refuse("transfomer++", "did you mean 'transformer++'?", **size)
        self.refuse("transformer++", "expected --depth", **size)
        self.refuse("11111-81111", "--depth is 3, but the genome has 2 LIVs", depth=3, **size)
        self.refuse("transformer++", "100", width=100, depth=4, length=256)
        self.refuse("transformer++", "liqid", "did you mean 'liquid'?", depth=4, catalogue="liqid", **size)


class Classes(Case):
    def test_the_catalogue_is_listed_with_its_numbers(self):
        data = self.json("classes", "--width", "768", "--length", "4096")
        classes = {c["name"]: c for c in data["classes"]}
        self.assertEqual(set(classes), {
            "SA-1", "SA-2", "SA-3", "SA-4", "SA-5", "Rec-1", "Rec-2", "GConv-1", "GConv-2", "GMemless", "GMemless-2", "GMemless-3",
            "S4-1", "S4-2", "S4-Monarch", "S4-Diff",
            "SA-1-Diff", "SA-2-Diff", "SA-3-Diff", "SA-4-Diff", "SA-5-Diff", "Rec-1-Diff", "Rec-2-Diff", "GConv-1-Diff", "GConv-2-Diff"})
        d = 768
        self.assertEqual(classes["SA-1"]["operator_genome"], [1, 2, 1, 2, 3])
        self.assertEqual(classes["SA-1"]["parameters"]["matrices"], 4 * d * d)
        self.assertEqual(classes["SA-1"]["cache"]["elements"], 4096 * 2 * d)
        self.assertEqual(classes["SA-3"]["parameters"]["matrices"], 5 * d * d // 2)
        self.assertEqual(classes["SA-5"]["cache"]["elements"], 4096 * 2 * d + 6 * d)
        self.assertEqual(classes["Rec-1"]["cache"]["elements"], 19 * d)
        self.assertEqual(classes["Rec-2"]["cache"]["elements"], 2 * d)
        self.assertEqual([g["parametrisation"] for g in classes["Rec-2"]["feature_groups"]], ["input", "input", "decay", "input"])
        self.assertEqual({name for name, c in classes.items() if c["differential"]}, {name for name in classes if name.endswith("-Diff")})
        self.assertEqual(classes["SA-1-Diff"]["operator_genome"], classes["SA-1"]["operator_genome"])
        self.assertEqual(classes["Rec-1-Diff"]["cache"]["elements"], 35 * d)
        self.assertEqual(classes["GConv-1"]["cache"]["elements"], 2 * d)
        self.assertEqual(classes["S4-1"]["cache"]["elements"], 64 * d)
        self.assertEqual([g["name"] for g in classes["GMemless"]["feature_groups"]], ["gate", "value"])
        text = self.output("classes")
        for name, c in classes.items():
            self.assertIn(name, text)
            self.assertIn(c["definition"], text)

    def test_the_catalogue_of_the_paper(self):
        data = self.json("classes", "--catalogue", "star", "--width", "768", "--length", "4096")
        self.assertEqual([c["id"] for c in data["classes"]], list(range(1, 18)))
        names = [c["name"] for c in data["classes"]]
        self.assertEqual(names[:9], ["SA-1", "SA-2", "SA-3", "SA-4", "Rec-1", "Rec-2", "GConv-1", "GConv-2", "GMemless"])
        self.assertEqual(names[9:], [name + "-Diff" for name in names[:8]])
        options = ["--width", "768", "--depth", "24", "--length", "4096"]
        liquid = self.json("describe", "striped-mamba", *options)
        star = self.json("describe", "striped-mamba", "--catalogue", "star", *options)
        self.assertNotEqual(star["genome"], liquid["genome"])
        for number in ["parameters", "cache", "training_flops_per_token", "strip"]:
            self.assertEqual(star[number], liquid[number])

    def test_a_width_without_heads_is_refused(self):
        self.assert_refused(["classes", "--width", "100"], "100")

    def test_the_rows_of_an_experiment_are_listed_with_the_others(self):
        path = os.path.join(self.directory, "own.toml")
        with open(path, "w") as file:
            file.write(EXPERIMENT.replace("width = 32", "width = 96\nband = 16").replace("sequence_length = 32", "sequence_length = 64")
                       + '''
[[class]]
id = 101
name = "Local"
operator = [1, 2, 2, 2, 3]
definition = "the last 16 tokens"
''')
        data = self.json("classes", "--experiment", path)
        local = data["classes"][-1]
        self.assertEqual((data["width"], data["length"], data["band"]), (96, 64, 16))
        self.assertEqual((local["id"], local["name"], local["operator_genome"]), (101, "Local", [1, 2, 2, 2, 3]))
        self.assertEqual(local["cache"]["elements"], 16 * 2 * 96)
        self.assertIn("the last 16 tokens", self.output("classes", "--experiment", path))
        self.assertEqual(self.json("classes", "--experiment", path, "--band", "8")["classes"][-1]["cache"]["elements"], 8 * 2 * 96)
        described = self.json("describe", "101.1.1.1.1-81111", "--experiment", path, "--width", "96", "--length", "256")
        self.assertEqual(described["cache"]["elements"], 16 * 2 * 96)
        self.assert_refused(["describe", "101.1.1.1.1-81111", "--width", "96", "--length", "256"], "class 101 is not in the catalogue")
        plan = self.json("run", path, "--dry-run", "--tflops", "1")
        for row in plan["baselines"]:
            described = self.json("describe", row["name"], "--experiment", path)
            self.assertEqual((described["width"], described["length"], described["depth"]), (96, 64, 4))
            self.assertEqual((described["parameters"]["total"], described["cache"]["bytes"]), (row["parameters"], row["cache_bytes"]))
        self.assertEqual(self.json("describe", "transformer++", "--experiment", path, "--depth", "6", "--width", "64")["depth"], 6)
        checked = self.json("check", path)
        self.assertEqual(checked["experiment"]["class"][0]["name"], "Local")
        self.assertIn("1 of its own: 101 Local", self.output("check", path))
        self.assertIn("class.operator", self.output("check", "--keys"))


class Show(Case):
    def test_what_is_no_run_directory_is_refused(self):
        os.mkdir(os.path.join(self.directory, "empty"))
        for command in ["show", "front"]:
            self.assert_refused([command, "none"], "none: no such run directory")
            self.assert_refused([command, "empty"], "not a run directory")

    def test_a_journal_that_is_none_is_refused(self):
        os.mkdir(os.path.join(self.directory, "run"))
        self.write(b"not a journal at all, but long enough", "run/journal")
        for command in ["show", "front"]:
            self.assert_refused([command, "run"], "journal")


if __name__ == "__main__":
    unittest.main(verbosity=2)
