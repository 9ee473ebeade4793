"""Drives the built `starling` from outside: what `describe` and `classes` say of architectures.

usage: architectures_test.py DIRECTORY_OF_THE_PROGRAMS [unittest arguments]
"""

import unittest

from case import QuietCase
from tiny import EXPERIMENT


class Describe(QuietCase):
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


class Classes(QuietCase):
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
        experiment = EXPERIMENT.replace("width = 32", "width = 96\nband = 16").replace("sequence_length = 32", "sequence_length = 64")
        path = self.write("own.toml", experiment + '''
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


if __name__ == "__main__":
    unittest.main(verbosity=2)
