"""tools/quickstart: builds what the run needs, runs it, and prints commands that work as they stand."""

import subprocess

from sandbox import Sandbox


class Quickstart(Sandbox):
    def runs(self):
        return [call[1:] for call in self.calls("starling") if call[1] == "run"]

    def test_builds_the_programs_and_runs_the_experiment(self):
        result = self.run_script("quickstart")
        self.assert_ends(result, 0)
        build = next(call for call in self.calls("cmake") if call[1] == "--build")
        self.assertEqual(build[build.index("--target") + 1:], ["starling", "starling-worker"])
        out = self.tree / "runs/quickstart-1"
        self.assertEqual(self.runs(), [["run", str(self.tree / "experiments/quickstart.toml"), "--out", str(out)]])
        self.assertEqual(result.stdout, "the front\n", "standard output holds what starling says, nothing else")
        self.assertIn(f"The results are in {out}.", result.stderr)

    def test_takes_a_new_folder_for_every_run(self):
        for number in (1, 2, 3):
            self.assert_ends(self.run_script("quickstart"), 0)
            self.assertTrue((self.tree / f"runs/quickstart-{number}/run.h5").exists())

    def test_hands_its_arguments_to_starling_run(self):
        out = self.folder / "an 'odd' place"
        self.assert_ends(self.run_script("quickstart", "budget.evaluations=4", "--out", str(out), "search.objectives=[\"quality\"]"), 0)
        self.assertEqual(self.runs()[0][2:], ["budget.evaluations=4", "--out", str(out), "search.objectives=[\"quality\"]"])
        self.assertFalse((self.tree / "runs").exists())

    def test_takes_a_relative_folder_from_where_the_user_stands(self):
        home = self.folder / "home"
        home.mkdir()
        result = self.run_script("quickstart", "--out", "first", cwd=home)
        self.assert_ends(result, 0)
        self.assertIn(f"The results are in {home / 'first'}.", result.stderr)

    def printed_commands(self, result):
        return [line.strip() for line in result.stderr.splitlines() if line.startswith("     ")]

    def test_prints_commands_that_work_as_they_stand(self):
        out = self.folder / "an 'odd' $place"
        result = self.run_script("quickstart", "--out", str(out))
        self.assert_ends(result, 0)
        (self.tree / "experiments").mkdir()
        (self.tree / "experiments/quickstart.toml").touch()
        home = self.folder / "home"
        home.mkdir()
        self.forget_calls()
        outputs = []
        for command in self.printed_commands(result):
            done = subprocess.run(["/bin/bash", "-c", command], cwd=home, text=True, capture_output=True, timeout=60,
                                  env={"PATH": str(self.bin), "STATE": str(self.state)})
            self.assertEqual(done.returncode, 0, f"{command}\n{done.stderr}")
            outputs.append(done.stdout)
        self.assertEqual(self.calls("starling"), [["starling", "front", str(out)], ["starling", "run", "my-search.toml", "--print-config"],
                                                  ["starling", "run", "my-search.toml"]])
        self.assertIn("obj_quality", outputs[1])
        self.assertTrue((home / "my-search.toml").exists())

    def test_ends_with_the_code_of_a_failed_run_and_promises_no_results(self):
        for code in (1, 2, 3, 130):
            self.set("starling_code", str(code))
            result = self.run_script("quickstart")
            self.assert_ends(result, code)
            self.assertNotIn("results are in", result.stderr)

    def test_promises_no_results_of_a_dry_run(self):
        result = self.run_script("quickstart", "--dry-run")
        self.assert_ends(result, 0)
        self.assertNotIn("results are in", result.stderr)

    def test_reaches_the_run_without_setting_up_or_configuring_again(self):
        self.run_script("quickstart")
        self.forget_calls()
        self.assert_ends(self.run_script("quickstart", "--no-setup"), 0)
        self.assertEqual(self.calls("dpkg-query"), [])
        self.assertEqual([call for call in self.calls("cmake") if call[1] == "--preset"], [])
        self.assertEqual(len(self.runs()), 1)

    def test_runs_nothing_where_setup_or_the_build_fails(self):
        self.set("broken_build", "yes")
        self.assert_ends(self.run_script("quickstart"), 1)
        self.remove("cmake")
        self.set("uid", "1000")
        self.assert_ends(self.run_script("quickstart"), 2)
        self.assertEqual(self.calls("starling"), [])

    def test_refuses_out_without_a_folder(self):
        self.assert_ends(self.run_script("quickstart", "--out"), 2)
        self.assertEqual(self.calls(), [])


del Sandbox
