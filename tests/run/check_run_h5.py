"""Reads run.h5 and a checkpoint as a user would: h5py, pandas, PyTables, h5dump. Argument: the program write_sample_run."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
import warnings

import h5py
import numpy as np
import pandas as pd

PROGRAM = None

# The columns of format 1.0, in order: the documentation in a form that can fail.
COLUMNS = {
    "candidates": "candidate_id created_seq origin generation_equiv n_parents genome_hash n_params repaired name "
                  "width matched_to",
    "evaluations": "evaluation_id candidate_id seq status attempt fidelity steps tokens started_utc duration_s obj_quality obj_cache loss "
                   "bits_per_byte accuracy parameters cache_bytes peak_mem_bytes seed worker curve_start curve_count",
    "objectives": "name column unit direction",
    "curves": "evaluation_id step tokens train_loss val_loss lr grad_norm elapsed_s",
    "lineage": "child_id parent_id slot origin n_changed_genes",
    "archive": "candidate_id entered_seq left_seq replaced_by",
    "population": "candidate_id entered_seq left_seq replaced_by",
    "checkpoints": "candidate_id step seq bytes crc32c has_optimizer path",
    "devices": "worker host device pid joined_utc left_utc reason busy_s",
    "events": "seq time_utc type candidate_id detail_json",
    "tests": "candidate_id seq loss bits_per_byte accuracy worker duration_s",
    "retrainings": "evaluation_id candidate_id seq status attempt fidelity steps tokens started_utc duration_s obj_quality obj_cache loss "
                   "bits_per_byte accuracy parameters cache_bytes peak_mem_bytes seed worker curve_start curve_count asked_tokens "
                   "test_loss test_bits_per_byte test_accuracy",
}
ENUMS = {
    ("candidates", "origin"): ["random", "crossover", "mutation", "baseline", "user"],
    ("lineage", "origin"): ["random", "crossover", "mutation", "baseline", "user"],
    ("evaluations", "status"): ["ok", "diverged", "infeasible", "killed", "superseded"],
}


def write_run(directory, candidates=80, points=20, every=3):
    subprocess.run([PROGRAM, directory, str(candidates), str(points), str(every)], check=True)
    return os.path.join(directory, "run.h5")


def contents(path):
    """Every dataset and attribute but the time of publishing."""
    found = {}

    def visit(name, node):
        for key, value in node.attrs.items():
            if key not in ("DIMENSION_LIST", "REFERENCE_LIST"):  # addresses within the file
                found[name, key] = value
        if isinstance(node, h5py.Dataset):
            found[name, ""] = node[()]

    with h5py.File(path, "r") as f:
        visit("", f)
        f.visititems(visit)
    del found["", "published_utc"]
    return found


class RunFile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.path = write_run(cls.directory.name)
        cls.file = h5py.File(cls.path, "r")

    @classmethod
    def tearDownClass(cls):
        cls.file.close()
        cls.directory.cleanup()

    def frame(self, name):
        return pd.DataFrame(self.file[name][:])

    def labels(self, table, column):
        names = {v: k for k, v in h5py.check_enum_dtype(self.file[table].dtype[column]).items()}
        return [names[v] for v in self.file[table][column]]

    def test_root_attributes(self):
        attributes = self.file.attrs
        self.assertEqual(attributes["format"], "starling-run")
        self.assertEqual(attributes["format_version"].tolist(), [1, 0])
        self.assertEqual(attributes["format_version"].dtype, np.int32)
        self.assertEqual(attributes["run_uuid"], "7d9f2f6e-52c4-4a87-9b7a-1f0f3f6b2d11")
        self.assertEqual(attributes["created_utc"], "2026-01-31T12:34:56.789Z")
        self.assertRegex(attributes["published_utc"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(attributes["complete"], 1)
        self.assertEqual(attributes["journal_next_seq"], self.file["events"]["seq"][-1] + 1)

    def test_tables_have_the_columns_of_the_format(self):
        for table, columns in COLUMNS.items():
            dataset = self.file[table]
            self.assertEqual(list(dataset.dtype.names), columns.split(), table)
            self.assertEqual(dataset.attrs["CLASS"], b"TABLE")
            for i, column in enumerate(columns.split()):
                self.assertEqual(dataset.attrs[f"FIELD_{i}_NAME"].decode(), column)
                self.assertEqual(dataset.dtype[column].shape, (), "sub-arrays break data frames")
            self.assertIsNotNone(dataset.chunks)
            self.assertEqual((dataset.compression, dataset.compression_opts, dataset.shuffle), ("gzip", 1, True))
        for (table, column), labels in ENUMS.items():
            enum = h5py.check_enum_dtype(self.file[table].dtype[column])
            self.assertEqual(enum, {label: i for i, label in enumerate(labels)})

    def test_data_frames(self):
        for table, columns in COLUMNS.items():
            frame = self.frame(table)
            self.assertEqual(list(frame.columns), columns.split())
            self.assertGreater(len(frame), 0, table)

    def test_read_hdf(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for table in COLUMNS:
                frame = pd.read_hdf(self.path, table)
                mine = self.frame(table)
                self.assertEqual(len(frame), len(mine))
                self.assertEqual(list(frame.columns), list(mine.columns))
                for column in mine.columns:
                    theirs = [v.decode() if isinstance(v, bytes) else v for v in mine[column]]
                    np.testing.assert_array_equal(frame[column].to_numpy(), np.array(theirs), err_msg=f"{table}.{column}")

    def test_h5dump_and_h5ls(self):
        header = subprocess.run(["h5dump", "-H", self.path], check=True, capture_output=True, text=True).stdout
        for table in COLUMNS:
            self.assertIn(f'DATASET "{table}"', header)
        subprocess.run(["h5dump", self.path], check=True, stdout=subprocess.DEVNULL)
        self.assertIn("evaluations", subprocess.run(["h5ls", self.path], check=True, capture_output=True, text=True).stdout)

    def test_curves_lie_where_evaluations_say(self):
        curves, evaluations, retrainings = self.file["curves"][:], self.file["evaluations"][:], self.file["retrainings"][:]
        self.assertEqual(evaluations["curve_count"].sum() + retrainings["curve_count"].sum(), len(curves))
        ids = np.concatenate([evaluations["evaluation_id"], retrainings["evaluation_id"]])
        self.assertEqual(len(set(ids)), len(ids), "a curve belongs to one training")
        for row in [*evaluations, *(row for row in retrainings if row["curve_count"] > 0)]:
            mine = curves[row["curve_start"]:row["curve_start"] + row["curve_count"]]
            self.assertTrue((mine["evaluation_id"] == row["evaluation_id"]).all())
            self.assertEqual(mine["step"].tolist(), list(range(1, 21)))
            self.assertTrue(np.isnan(mine["val_loss"][:-1]).all())
            self.assertEqual(mine["val_loss"][-1], mine["train_loss"][-1] + 0.125)

    def test_objectives_name_their_columns(self):
        for row in self.file["objectives"][:]:
            self.assertIn(row["column"].decode(), self.file["evaluations"].dtype.names)
        self.assertEqual([n.decode() for n in self.file["objectives"]["name"]], ["quality", "cache"])

    def test_objectives_are_there_where_the_status_is_ok(self):
        evaluations = self.frame("evaluations")
        status = np.array(self.labels("evaluations", "status"))
        self.assertTrue(np.isfinite(evaluations["obj_quality"][status == "ok"]).all())
        self.assertTrue((evaluations["obj_quality"][status == "ok"] == evaluations["loss"][status == "ok"]).all())
        failed = np.isin(status, ["diverged", "killed"])
        self.assertGreater(failed.sum(), 0)
        self.assertTrue(evaluations["obj_quality"][failed].isna().all())

    def test_archive_is_what_nothing_dominates(self):
        evaluations = self.frame("evaluations")
        evaluations["status"] = self.labels("evaluations", "status")
        baselines = {c for c, o in zip(self.file["candidates"]["candidate_id"], self.labels("candidates", "origin")) if o == "baseline"}
        rows = evaluations[(evaluations.status == "ok") & ~evaluations.candidate_id.isin(baselines)]
        points = rows[["obj_quality", "obj_cache"]].to_numpy()
        front = [c for c, p in zip(rows.candidate_id, points) if not any((q <= p).all() and (q < p).any() for q in points)]
        archive = self.frame("archive")
        self.assertEqual(sorted(archive[archive.left_seq == -1].candidate_id), sorted(front))
        gone = archive[archive.left_seq != -1]
        self.assertGreater(len(gone), 0)
        self.assertTrue((gone.left_seq > gone.entered_seq).all())
        # Who left did so when the result of the one that replaced it came in.
        arrival = dict(zip(rows.candidate_id, rows.seq))
        self.assertEqual(gone.left_seq.tolist(), [arrival[c] for c in gone.replaced_by])
        self.assertEqual(archive.entered_seq.tolist(), [arrival[c] for c in archive.candidate_id])

    def test_population_has_its_size_and_no_failure(self):
        population = self.frame("population")
        self.assertEqual((population.left_seq == -1).sum(), 8)
        for seq in range(int(self.file.attrs["journal_next_seq"])):
            inside = (population.entered_seq <= seq) & ((population.left_seq == -1) | (population.left_seq > seq))
            self.assertLessEqual(inside.sum(), 8)
        evaluations = self.frame("evaluations")
        evaluations["status"] = self.labels("evaluations", "status")
        ok = set(evaluations[evaluations.status == "ok"].candidate_id)
        self.assertLessEqual(set(population.candidate_id), ok)

    def test_genomes_have_scales_and_text(self):
        genomes = self.file["genomes"]
        values = genomes["values"]
        self.assertEqual(values.dtype, np.int16)
        self.assertEqual(values.shape, (80, 6 * 42))
        self.assertEqual(values.dims[0][0][:].tolist(), self.file["candidates"]["candidate_id"].tolist())
        names = values.dims[1][0].asstr()[:].tolist()
        self.assertEqual(names[:6], ["1.class", "1.featurizer_group", "1.featurizer_strategy", "1.feature_group", "1.feature_strategy",
                                     "2.class"])
        later = [f"{liv}.{gene}" for liv in range(1, 7) for gene in ("path", "route")]
        self.assertLess(set(later), set(names[30:]))
        self.assertIn("1.operator_channel_mixing", names)
        self.assertIn("6.group5_repeat", names)
        shapes = set()
        for genes, text in zip(values[:], genomes["text"].asstr()[:]):
            by_name = dict(zip(names, genes.tolist()))
            for number, liv in enumerate(text.split("-"), 1):
                fields = [field.split(".") if "." in field else list(field) for field in liv.split(":")]
                fields = [[int(gene) for gene in field] for field in fields]
                shapes.add(tuple(len(field) for field in fields))
                columns = [name for name in names if name.startswith(f"{number}.")]
                groups = ["class featurizer_group featurizer_strategy feature_group feature_strategy path route".split(),
                          [f"operator_{gene}" for gene in "featurizer token_mixing sparsity nonlinearity channel_mixing".split()]]
                groups += [[f"group{group}_{gene}" for gene in "token_mixing sparsity nonlinearity channel_mixing expansion repeat".split()]
                           for group in range(1, 6)]
                self.assertEqual(set(columns), {f"{number}.{gene}" for group in groups for gene in group})
                fields += [[]] * (len(groups) - len(fields))
                expected = {gene: value for group, field in zip(groups, fields)
                            for gene, value in zip(group, field + [0] * (len(group) - len(field)))}
                self.assertEqual({gene: by_name[f"{number}.{gene}"] for gene in expected}, expected)
        self.assertEqual(shapes, {(5,), (7,), (5, 5), (5, 0, 0, 0, 6)})

    def test_lineage_names_earlier_candidates(self):
        lineage = self.frame("lineage")
        self.assertTrue((lineage.parent_id < lineage.child_id).all())
        parents = lineage.groupby("child_id").size()
        candidates = self.frame("candidates").set_index("candidate_id")
        self.assertEqual(candidates.n_parents[candidates.n_parents > 0].to_dict(), parents.to_dict())
        values = dict(zip(self.file["candidates"]["candidate_id"], self.file["genomes/values"][:]))
        second = lineage[lineage.slot == 1]
        self.assertGreater(len(second), 0)
        for row in second.itertuples():
            self.assertEqual(row.n_changed_genes, (values[row.child_id] != values[row.parent_id]).sum())

    def test_events_hold_json_that_is_never_cut(self):
        for row, kind in zip(self.file["events"][:], self.labels("events", "type")):
            detail = json.loads(row["detail_json"])
            if kind == "evaluation_failed":
                self.assertTrue(detail["reason"].startswith("loss is not finite at step 7"))
                self.assertRegex(row["time_utc"].decode(), r"^2026-01-31T12:35:0[56]\.\d{3}Z$")
            if kind == "run_ended":
                self.assertEqual(detail, {"reason": "budget", "wall_s": 364.5, "busy_s": 700.25, "worker_s": 729.0})

    def test_devices_and_checkpoints_follow_changes(self):
        devices = self.frame("devices")
        self.assertEqual(devices.left_utc.tolist(), [b"", b"2026-01-31T12:40:00.000Z"])
        self.assertEqual(devices.reason.tolist(), [b"", b"signal 9"])
        work = pd.concat([self.frame("evaluations"), self.frame("retrainings"), self.frame("tests")])
        for row in devices.itertuples():
            self.assertAlmostEqual(row.busy_s, work.duration_s[work.worker == row.worker].sum())
        (given_up,) = [row for row, kind in zip(self.file["events"][:], self.labels("events", "type")) if kind == "device_given_up"]
        self.assertEqual(json.loads(given_up["detail_json"]), {"device": "cuda:0", "reason": "5 candidates lost an attempt there"})
        checkpoints = self.frame("checkpoints")
        self.assertEqual((checkpoints.path != b"").sum(), 4)
        self.assertGreater((checkpoints.path == b"").sum(), 0)

    def test_retrainings_have_what_the_test_part_says(self):
        rows = self.frame("retrainings")
        self.assertEqual(self.labels("retrainings", "status"), ["killed", "ok", "superseded"])
        self.assertTrue((rows.asked_tokens == 40960).all())
        self.assertEqual(rows.fidelity[1], 4)
        self.assertEqual(rows.obj_quality[1], rows.loss[1])
        self.assertEqual((rows.test_loss[1], rows.test_bits_per_byte[1]), (1.5, 2.5))
        self.assertTrue(np.isnan([rows.test_loss[0], rows.test_loss[2], rows.test_accuracy[1]]).all())
        self.assertNotIn(1.5, self.frame("tests").loss.tolist(), "the search's own weights have other numbers")
        self.assertEqual(self.labels("events", "type")[-2:], ["extension_started", "extension_ended"])

    def test_provenance(self):
        provenance = self.file["provenance"]
        self.assertEqual(provenance.asstr()[()], 'name = "sample"\n# größer als ASCII\n[search]\npopulation = 8\n')
        self.assertEqual(provenance.attrs["device"], "cpu, cuda:0")
        self.assertEqual(provenance.attrs["seed"], 7)
        for name in ("starling_version", "hdf5_version", "git_commit", "command_line", "host"):
            self.assertTrue(provenance.attrs[name], name)

    def test_published_bit_by_bit_is_the_same_as_rebuilt(self):
        published = contents(self.path)
        for every in (0, 1, 17):
            with tempfile.TemporaryDirectory() as directory:
                other = contents(write_run(directory, every=every))
            self.assertEqual(published.keys(), other.keys())
            for key, value in published.items():
                if isinstance(value, np.ndarray) and not value.dtype.hasobject:
                    self.assertEqual(value.tobytes(), other[key].tobytes(), key)
                else:
                    np.testing.assert_array_equal(value, other[key], err_msg=str(key))

    def test_opens_at_every_moment(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "run.h5")
            writer = subprocess.Popen([PROGRAM, directory, "60", "50", "1"])
            last = -1
            while True:
                running = writer.poll() is None
                if os.path.exists(path):
                    with h5py.File(path, "r") as f:
                        now = f.attrs["journal_next_seq"]
                        self.assertGreaterEqual(now, last)
                        last = now
                        evaluations = f["evaluations"][:]
                        self.assertEqual(evaluations["curve_count"].sum() + f["retrainings"]["curve_count"].sum(), len(f["curves"]))
                        self.assertTrue((evaluations["seq"] < now).all())
                if not running:
                    break
            self.assertEqual(writer.returncode, 0)
            self.assertGreater(last, 0)

    def test_checkpoint(self):
        with h5py.File(os.path.join(self.directory.name, "checkpoints", "00000007.h5"), "r") as f:
            self.assertEqual(f.attrs["format"], "starling-checkpoint")
            self.assertEqual(f.attrs["format_version"].tolist(), [1, 0])
            self.assertEqual((f.attrs["candidate_id"], f.attrs["genome"], f.attrs["step"]), (7, "21211-31112", 100))
            self.assertEqual(f["experiment"].asstr()[()], 'name = "sample"\n')
            weights = f["weights"]
            self.assertEqual(set(weights), {"livs.0.bank.q", "livs.0.z", "lambda"})
            np.testing.assert_array_equal(weights["livs.0.bank.q"][:], np.arange(6, dtype=np.float32).reshape(2, 3) + 0.5)
            np.testing.assert_array_equal(weights["livs.0.z"][:], np.array([-0.0, np.inf, np.nan], np.float32))
            self.assertEqual(weights["lambda"][()], 0.5)
            for dataset in weights.values():
                self.assertEqual(dataset.dtype, np.float32)
                self.assertIsNone(dataset.chunks)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=1)
