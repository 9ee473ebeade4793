"""Searches on several devices, from outside: `starling` itself with worker processes that only pretend to have GPUs (stand_in_worker.cpp).

usage: devices_test.py DIRECTORY_OF_THE_PROGRAMS STAND_IN_WORKER DIRECTORY_OF_A_DRIVER_LIBRARY [unittest arguments]
"""

import json
import os
import shutil
import sys
import tempfile
import unittest

import h5py
import pandas as pd

from case import PROGRAMS, Case
from tiny import EXPERIMENT, make_text

STAND_IN = os.path.abspath(sys.argv.pop(1))
DRIVER = os.path.abspath(sys.argv.pop(1))

TWO = {"gpus": ["cuda:0", "cuda:1"], "why_none": ""}
NONE = {"gpus": [], "why_none": "this Starling is built for the CPU alone"}
ON_TWO = 'devices=["cuda:0", "cuda:1"]'


class Devices(Case):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="starling test ")
        cls.program = shutil.copy(os.path.join(PROGRAMS, "starling"), cls.holder.name)
        shutil.copy(STAND_IN, os.path.join(cls.holder.name, "starling-worker"))

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    def setUp(self):
        super().setUp()
        make_text(self.cwd)
        self.write("tiny.toml", EXPERIMENT)
        self.environment = {"STAND_IN_GPUS": json.dumps(TWO), "STAND_IN_CALLS": self.path("calls")}
        self.write("calls", "")

    def behave(self, text):
        self.environment["STAND_IN_BEHAVIOUR"] = text

    def calls(self):
        with open(self.path("calls")) as file:
            return file.read().splitlines()

    def table(self, run, name):
        with h5py.File(self.path(run, "run.h5"), "r") as file:
            frame = pd.DataFrame(file[name][:])
        for column in frame.columns[frame.dtypes == object]:
            frame[column] = frame[column].str.decode("utf-8")
        return frame

    def search(self, *arguments, code=0):
        """A search into the directory `run`; what it said."""
        result = self.starling("run", "tiny.toml", "--out", "run", *arguments)
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    # --- which devices

    def test_auto_takes_every_gpu_and_the_run_says_which(self):
        self.environment["LD_LIBRARY_PATH"] = DRIVER
        self.behave("cuda:0=after:worker_joined*4 cuda:1=after:worker_joined*4")
        said = self.search("candidates_per_device=2").stderr
        self.assertIn("searching on cuda:0, cuda:1, 2 candidates on each", said)
        devices = self.table("run", "devices").set_index("worker")["device"].to_dict()
        self.assertEqual(devices, {"w0": "cuda:0", "w1": "cuda:1", "w2": "cuda:0", "w3": "cuda:1"})
        with open(self.path("run", "experiment.toml")) as file:
            saved = file.read()
        self.assertIn('\ndevices = ["cuda:0", "cuda:1"]\ncandidates_per_device = 2\n', saved)
        self.assertIn("w0 (cuda:0 on ", self.output("show", "run"))
        self.assertEqual({worker["device"] for worker in self.json("show", "run")["workers"]}, set(devices.values()))

    def test_auto_without_a_gpu_is_the_cpu(self):
        self.environment["LD_LIBRARY_PATH"] = DRIVER
        self.environment["STAND_IN_GPUS"] = json.dumps(NONE)
        self.assertIn("searching on the CPU, 2 workers", self.search().stderr)
        self.assertIn("devices ", self.calls())
        with open(self.path("run", "experiment.toml")) as file:
            self.assertIn('\nworkers = 2\ndevices = ["cpu"]\n', file.read())
        self.assertEqual(set(self.table("run", "devices")["device"]), {"cpu"})

    def test_the_cpu_is_taken_where_it_is_named_and_nobody_is_asked(self):
        self.environment["LD_LIBRARY_PATH"] = DRIVER
        self.search('devices=["cpu"]', "workers=1")
        self.assertEqual(self.calls(), ["worker w0 --device cpu "])

    def test_a_gpu_that_is_not_there_is_refused_before_anything_is_written(self):
        for arguments in (["run", "tiny.toml"], ["baselines", "tiny.toml"], ["run", "tiny.toml", "--dry-run"]):
            self.assert_refused([*arguments, 'devices=["cuda:1", "cuda:2"]'],
                                "tiny.toml: 'devices' names cuda:2, but the GPUs here are cuda:0, cuda:1")
        self.environment["STAND_IN_GPUS"] = json.dumps(NONE)
        self.assert_refused(["run", "tiny.toml", 'devices=["cuda:0"]'],
                            "'devices' names cuda:0, but there is no GPU: this Starling is built for the CPU alone; expected [\"cpu\"]")
        self.assert_refused(["run", "tiny.toml", 'devices=["cuda:0"]', "--dry-run"], "--tflops")
        self.environment["LD_LIBRARY_PATH"] = DRIVER
        self.assert_refused(["run", "tiny.toml", "training.precision=tf32"], "tiny.toml: 'training.precision' is \"tf32\", which GPUs alone have, and there is none here")

    def test_the_worker_itself_says_what_it_cannot_train_on(self):
        self.program = os.path.join(PROGRAMS, "starling-worker")
        there = json.loads(self.output("devices"))
        self.assertEqual(there["gpus"] == [], there["why_none"] != "")
        self.assertIn("device 'cuda:99': expected one of cpu", self.starling("worker", "w0", "--device", "cuda:99").stderr)
        if there["gpus"]:
            return
        self.program = os.path.join(PROGRAMS, "starling")
        self.assert_refused(["run", "tiny.toml", 'devices=["cuda:0"]'], "there is no GPU: ")

    def test_what_is_added_to_a_run_is_trained_on_its_devices_unless_others_are_named(self):
        self.search('devices=["cuda:1"]')
        self.write("calls", "")
        self.output("retrain", "run", "--front", "--tokens", "4096")
        self.assertEqual({call for call in self.calls() if "worker" in call}, {"worker w0 --device cuda:1 "})
        self.write("calls", "")
        self.output("retrain", "run", "--ids", "4,5,6", "--tokens", "8192", "--devices", "cpu", "--workers", "1")
        self.assertEqual({call for call in self.calls() if "worker" in call}, {"worker w0 --device cpu "})
        self.write("calls", "")
        self.output("baselines", "run", "--names", "striped-hyena", "--match-front", "--devices", "cuda:0", "--workers", "2")
        self.assertEqual({call for call in self.calls() if "worker" in call}, {"worker w0 --device cuda:0 ", "worker w1 --device cuda:0 "})
        self.assert_refused(["retrain", "run", "--front", "--tokens", "512", "--devices", "cuda:7"], "'devices' names cuda:7")
        self.assert_refused(["retrain", "run", "--front", "--tokens", "512", "--devices", "gpu"], "'devices' is \"gpu\", expected")

    def test_a_plan_counts_gpus_and_what_shares_their_memory(self):
        one = self.json("run", "tiny.toml", "--dry-run", 'devices=["cuda:0"]', "--tflops", "2")
        two = self.json("run", "tiny.toml", "--dry-run", ON_TWO, "candidates_per_device=3", "--tflops", "2", "workers=8")
        self.assertEqual(two["hours"], one["hours"] / 2)
        self.assertEqual((two["throughput"]["of"], two["throughput"]["count"]), ("GPU", 2))
        memory = two["memory_bytes"]
        self.assertEqual(memory["of_a_device"], {"candidates": 3, "least": 3 * memory["least"], "most": 3 * memory["most"]})
        self.assertEqual(one["memory_bytes"]["of_a_device"]["most"], memory["most"])
        self.assertEqual(self.calls(), [], "what is stated need not be measured")
        measured = self.json("run", "tiny.toml", "--dry-run", ON_TWO, "training.precision=bf16")["throughput"]
        self.assertEqual(measured["flops_per_second"], 0.5 * 600e12, "half of what the slower one reaches")
        text = self.output("run", "tiny.toml", "--dry-run", ON_TWO, "candidates_per_device=3", "--tflops", "2")
        self.assertRegex(text, r"3 candidates at once on each GPU: .* to ")
        self.assertRegex(text, r"time +about .* on 2 GPUs at 2\.0 TFLOP/s each, as --tflops says")

    # --- devices that fail

    def lost(self):
        """What the attempts that were lost in `run` tell, in their order."""
        events = self.table("run", "events")
        with h5py.File(self.path("run", "run.h5"), "r") as file:
            kinds = {number: name for name, number in h5py.check_enum_dtype(file["events"].dtype["type"]).items()}
        return [json.loads(row.detail_json) for row in events.itertuples() if kinds[row.type] == "attempt_lost"]

    def assert_all_is_well(self, workers):
        """Every candidate has its result, from these workers, and lost no more than one attempt."""
        evaluations = self.table("run", "evaluations")
        self.assertEqual(sorted(evaluations["candidate_id"]), list(range(1, 9)))
        self.assertTrue((evaluations["status"] == 0).all())
        self.assertLessEqual(evaluations["attempt"].max(), 2)
        self.assertLessEqual(set(evaluations["worker"]), workers)
        return evaluations.set_index("candidate_id")

    def test_a_worker_that_crashes_costs_one_attempt_and_is_replaced_on_its_device(self):
        self.behave("cuda:1=crash-once cuda:0=after:worker_joined*3")
        said = self.search(ON_TWO)
        evaluations = self.assert_all_is_well({"w0", "w1"})
        devices = self.table("run", "devices")
        self.assertEqual(devices[["worker", "device"]].values.tolist().count(["w1", "cuda:1"]), 2)
        self.assertEqual(devices[devices["worker"] == "w1"]["reason"].iloc[0], "killed by signal 9")
        self.assertEqual([(lost["worker"], lost["reason"]) for lost in self.lost()], [("w1", "worker lost")])
        self.assertEqual((evaluations["attempt"] == 2).sum(), 1)
        use = {row["device"]: row for row in self.json("show", "run")["ended"]["devices"]}
        for device, worker in (("cuda:0", "w0"), ("cuda:1", "w1")):
            self.assertEqual(use[device]["workers"], 1)
            self.assertAlmostEqual(use[device]["busy_s"], evaluations[evaluations["worker"] == worker]["duration_s"].sum())
            self.assertAlmostEqual(devices[devices["worker"] == worker]["busy_s"].sum(), use[device]["busy_s"])
            self.assertIn(f"  {device} ", said.stdout)
        self.assertRegex(self.output("show", "run"), r"occupancy +\S+ % \(cuda:0 \S+ %, cuda:1 \S+ %\)")

    def test_a_worker_whose_device_failed_is_replaced_and_the_error_recorded(self):
        self.behave("cuda:1=error-once cuda:0=after:worker_joined*3")
        self.search(ON_TWO)
        self.assert_all_is_well({"w0", "w1"})
        error = "CUDA error: an illegal memory access was encountered"
        self.assertEqual([lost["reason"] for lost in self.lost()], [error])
        devices = self.table("run", "devices")
        self.assertEqual(devices[devices["worker"] == "w1"]["reason"].iloc[0], error + ", killed by signal 9")
        self.assertEqual(devices[devices["worker"] == "w1"]["device"].tolist(), ["cuda:1"] * 2)

    def test_a_device_that_finishes_nothing_is_given_up_and_the_others_go_on(self):
        for behaviour, reason in (("crash", "worker lost"), ("full", "CUDA out of memory")):
            with self.subTest(behaviour):
                self.behave(f"cuda:1={behaviour} cuda:0=after:device_given_up")
                said = self.search(ON_TWO, "evaluation.give_up_after=2").stderr
                self.assert_all_is_well({"w0"})
                lost = [(each["worker"], each["reason"]) for each in self.lost()]
                self.assertEqual(lost[:2], [("w1", reason)] * 2)
                self.assertEqual({worker for worker, _ in lost}, {"w1"}, "more of them where it is quicker than the kill")
                why = f"2 candidates lost an attempt there, with nothing finished in between; the last: {reason}"
                self.assertIn(f"cuda:1 is given up: {why}", said)
                self.assertRegex(self.output("show", "run"), rf"(?m)^given up +cuda:1 at .*: {why}$")
                self.assertEqual([each["device"] for each in self.json("show", "run")["devices_given_up"]], ["cuda:1"])
                shutil.rmtree(self.path("run"))

    def test_a_device_whose_workers_cannot_begin_is_given_up_and_the_others_go_on(self):
        for behaviour, how in (("unready", "exit code 3"), ("broken", "CUDA error: all devices are busy or unavailable, killed by signal 9")):
            with self.subTest(behaviour):
                self.behave(f"cuda:1={behaviour} cuda:0=after:device_given_up")
                said = self.search(ON_TWO).stderr
                self.assert_all_is_well({"w0"})
                self.assertEqual(self.lost(), [])
                self.assertIn(f"cuda:1 is given up: worker w1 ended three times before it was ready ({how}); see ", said)
                shutil.rmtree(self.path("run"))

    def test_workers_that_read_different_data_end_the_run(self):
        self.behave("cuda:1=elsewhere cuda:0=after:device_given_up")
        said = self.search(ON_TWO, code=2).stderr
        self.assertRegex(said, r"the validation part that worker w[01] has read is not the one that this run is measured on: task\.files have changed")

    def test_a_search_without_a_front_has_no_result_whatever_its_baselines_reach(self):
        self.behave("cuda:0=diverge")
        self.search('devices=["cuda:0"]', code=3)
        evaluations = self.table("run", "evaluations").set_index("candidate_id")
        self.assertEqual(sorted(evaluations.index[evaluations["obj_quality"].notna()]), [1, 2])

    def test_a_worker_that_cannot_be_started_for_a_moment_is_started_later(self):
        """The program removes itself, and its worker crashes. An attempt to start it shows in the log that it opens; then the program returns."""
        worker = os.path.join(self.holder.name, "starling-worker")
        kept = shutil.copy(worker, self.path("kept"))
        self.addCleanup(shutil.copy, kept, worker)
        os.remove(worker)
        log, back = self.path("run", "logs", "w0.log"), self.path("back")
        with open(worker, "w") as file:
            file.write(f"""#!/bin/sh
if [ "$1" = worker ]; then
  rm '{worker}' '{log}'
  (while [ ! -e '{log}' ]; do sleep 0.01; done; cp '{kept}' '{worker}.new'; mv '{worker}.new' '{worker}'; touch '{back}') </dev/null >/dev/null 2>&1 &
fi
exec '{kept}' "$@"
""")
        os.chmod(worker, 0o755)
        self.behave("cuda:0=crash-once")
        self.search('devices=["cuda:0"]')
        self.assert_all_is_well({"w0"})
        self.assertTrue(os.path.exists(back))

    def test_a_retraining_that_was_killed_is_no_result_whatever_an_earlier_one_was(self):
        self.search('devices=["cuda:0"]')
        self.output("retrain", "run", "--ids", "3", "--tokens", "4096")
        self.behave("cuda:0=full")
        result = self.starling("retrain", "run", "--ids", "4", "--tokens", "4096")
        self.assertEqual(result.returncode, 3, result.stderr)

    def test_a_bad_candidate_costs_no_device(self):
        """With one device there is nowhere else to go: all attempts of a candidate are lost on it."""
        self.behave("cuda:0=full")
        said = self.search('devices=["cuda:0"]', "evaluation.attempts=2", "evaluation.give_up_after=3", code=1).stderr
        self.assertIn("3 candidates in a row could not be evaluated; the last: CUDA out of memory (recorded so far: ", said)
        killed = self.table("run", "evaluations")
        self.assertEqual(killed["attempt"].iloc[:3].tolist(), [2] * 3)
        self.assertGreaterEqual(len(self.lost()), 6)
        self.assertEqual(self.json("show", "run")["devices_given_up"], [])

    def test_a_run_whose_devices_are_all_gone_fails_with_everything_recorded(self):
        self.behave("cuda:0=unready cuda:1=broken")
        said = self.search(ON_TWO, code=1).stderr
        self.assertIn("no device is left. cuda:", said)
        self.assertIn("worker w0 ended three times before it was ready (exit code 3)", said)
        self.assertIn("worker w1 ended three times before it was ready (CUDA error: ", said)
        shown = self.json("show", "run")
        self.assertFalse(shown["ended"]["complete"])
        self.assertEqual(sorted(each["device"] for each in shown["devices_given_up"]), ["cuda:0", "cuda:1"])
        self.assertIn("no device is left", self.output("show", "run"))
        with h5py.File(self.path("run", "run.h5"), "r") as file:
            self.assertFalse(file.attrs["complete"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
