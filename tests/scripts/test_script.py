"""tools/test: what it builds and runs, in which order, and what it makes of the results."""

import os
import shutil
import time

from sandbox import Sandbox


class Test(Sandbox):
    def steps(self):
        """Calls of cmake and ctest in short: 'configure release', 'build release all', 'test release'."""
        short = []
        for name, *rest in self.calls("cmake", "ctest"):
            if name == "ctest":
                short.append(f"test {rest[1]}")
            elif rest[0] == "--preset":
                short.append(" ".join(["configure", *rest[1:]]))
            else:
                short.append(" ".join(["build", os.path.basename(rest[1]), *rest[rest.index("--target") + 1:]]))
        return short

    def arguments_of_ctest(self):
        return self.calls("ctest")

    def test_runs_the_release_tests_and_then_the_sanitized_ones(self):
        result = self.run_script("test")
        self.assert_ends(result, 0)
        self.assertEqual(self.steps(), ["configure release", "build release all", "test release",
                                        "configure debug", "build debug sanitized_tests", "test debug"])
        release, debug = self.arguments_of_ctest()
        self.assertNotIn("--label-regex", release)
        self.assertEqual(debug[debug.index("--label-regex") + 1], "sanitized")
        for call in (release, debug):
            self.assertEqual(call[call.index("--label-exclude") + 1], "long")
            self.assertIn("--no-tests=error", call)
        self.assertEqual(result.stdout.splitlines()[-1], "6 passed, 0 failed, 1 skipped")

    def test_sets_up_first_unless_told_not_to(self):
        self.run_script("test")
        self.assertTrue(self.calls("dpkg-query"))
        self.forget_calls()
        self.assert_ends(self.run_script("test", "--no-setup"), 0)
        self.assertEqual(self.calls("dpkg-query"), [])

    def test_stops_where_setup_fails(self):
        self.remove("cmake")
        self.set("uid", "1000")
        self.assert_ends(self.run_script("test"), 2)
        self.assertEqual(self.steps(), [])

    def test_ends_with_the_code_of_failed_tests_after_running_all_of_them(self):
        self.set("ctest_code", "8")
        result = self.run_script("test")
        self.assert_ends(result, 8)
        self.assertEqual(self.steps()[-1], "test debug")
        self.assertEqual(result.stdout.splitlines()[-1], "5 passed, 1 failed, 1 skipped")
        self.assertIn("release", result.stderr.splitlines()[-1])
        said = result.stdout[result.stdout.rindex("chatter of ctest"):]
        self.assertIn("broken failed; the last 40 of 51 lines:\n    late\n", said, "whoever sees only the end of a log sees what failed")
        self.assertNotIn("early", said)
        self.assertNotIn("a tests", said)

    def test_tests_nothing_that_does_not_build(self):
        self.set("broken_build", "yes")
        self.assert_ends(self.run_script("test"), 1)
        self.assertEqual(self.steps(), ["configure release", "build release all"])

    def test_long_leaves_nothing_out(self):
        self.assert_ends(self.run_script("test", "--long"), 0)
        for call in self.arguments_of_ctest():
            self.assertNotIn("--label-exclude", call)

    def test_a_preset_is_run_alone_and_whole(self):
        for arguments in (["--preset", "debug"], ["--preset=debug"]):
            self.assert_ends(self.run_script("test", *arguments), 0)
            self.assertEqual(self.steps(), ["configure debug", "build debug all", "test debug"])
            self.assertNotIn("--label-regex", self.arguments_of_ctest()[0])
            self.forget_calls()
            shutil.rmtree(self.tree / "build")

    def test_hands_a_selection_to_ctest_that_may_hold_no_sanitized_test(self):
        self.assert_ends(self.run_script("test", "--", "-R", "Genome is *"), 0)
        release, debug = self.arguments_of_ctest()
        self.assertEqual(release[-2:], ["-R", "Genome is *"])
        self.assertEqual(debug[-2:], ["-R", "Genome is *"])
        self.assertIn("--no-tests=error", release)
        self.assertIn("--no-tests=ignore", debug)

    def test_configures_only_once(self):
        self.run_script("test")
        self.forget_calls()
        self.assert_ends(self.run_script("test"), 0)
        self.assertEqual([step for step in self.steps() if step.startswith("configure")], [])

    def test_configures_again_where_the_presets_have_changed(self):
        self.run_script("test", "--preset", "release")
        self.forget_calls()
        later = time.time() + 10
        os.utime(self.tree / "CMakePresets.json", (later, later))
        self.assert_ends(self.run_script("test", "--preset", "release"), 0)
        self.assertEqual(self.steps()[0], "configure release")

    def test_starts_anew_in_a_tree_that_was_copied_with_its_build(self):
        self.run_script("test", "--preset", "release")
        copy = self.folder / "copy"
        shutil.copytree(self.tree, copy, symlinks=True)
        self.forget_calls()
        self.assert_ends(self.run_script(copy / "tools/test", "--preset", "release"), 0)
        self.assertEqual(self.steps()[0], "configure release --fresh")

    def in_debian(self, *arguments, option=("--debian",)):
        """From a tree without spaces, whose tools/test is the stand-in behind chroot."""
        tree = self.folder / "tree"
        if not tree.exists():
            shutil.copytree(self.tree, tree)
        return tree, self.run_script(tree / "tools/test", *option, *arguments)

    def test_another_debian_is_made_once_and_gets_the_tree_and_the_arguments(self):
        self.set("chroot_code", "8")
        tree, result = self.in_debian("13", "--preset", "release", "--", "-R", "a b")
        self.assert_ends(result, 8)
        folder = str(tree / "build/debian-13")
        self.assertEqual(self.calls("debootstrap"), [["debootstrap", "--variant=minbase", "trixie", folder]])
        self.assertEqual([call[-1] for call in self.calls("mount")], [f"{folder}/{place}" for place in ("proc", "dev", "dev/pts")])
        chroot, = self.calls("chroot")
        self.assertEqual(chroot[1], folder)
        self.assertEqual(chroot[chroot.index("/starling/tools/test") + 1:], ["--preset", "release", "--", "-R", "a b"])
        self.assertTrue((tree / "build/debian-13/starling/CMakePresets.json").exists())
        gone = tree / "build/debian-13/starling/gone.cpp"
        gone.touch()
        kept = tree / "build/debian-13/starling/build/object"
        kept.parent.mkdir()
        kept.touch()
        self.in_debian("13")
        self.assertEqual(len(self.calls("debootstrap")), 1)
        self.assertFalse(gone.exists(), "what left the tree leaves the copy")
        self.assertTrue(kept.exists())

    def test_another_debian_may_be_named_anywhere_before_what_goes_to_ctest(self):
        for arguments in (["--debian", "13", "--long", "--no-setup"], ["--long", "--debian", "13", "--no-setup"],
                          ["--long", "--no-setup", "--debian=13"]):
            _, result = self.in_debian(*arguments, "--", "-R", "--debian", option=())
            self.assert_ends(result, 0)
            chroot, = self.calls("chroot")
            self.assertEqual(chroot[chroot.index("/starling/tools/test") + 1:], ["--long", "--no-setup", "--", "-R", "--debian"])
            self.forget_calls()
        _, result = self.in_debian("--long", "--debian", option=())
        self.assertIn("found ''", result.stderr)

    def test_another_debian_that_was_left_half_made_is_made_anew(self):
        self.set("debootstrap_code", "1")
        self.assert_ends(self.in_debian("12")[1], 1)
        self.assertEqual(self.calls("chroot"), [])
        self.set("debootstrap_code", "0")
        self.assert_ends(self.in_debian("12")[1], 0)

    def test_another_debian_is_refused_where_it_cannot_be(self):
        self.assertIn("found '11'", self.in_debian("11")[1].stderr)
        self.assertIn("spaces", self.run_script("test", "--debian", "13").stderr)
        self.set("uid", "1000")
        _, result = self.in_debian("13")
        self.assert_ends(result, 2)
        self.assertIn("only root", result.stderr)
        self.assertEqual(self.calls("debootstrap", "mount", "chroot"), [])

    def test_refuses_what_it_does_not_know(self):
        for arguments in (["--fast"], ["genome"], ["--preset", "fast"], ["--preset"], ["--preset="]):
            self.assert_ends(self.run_script("test", *arguments), 2)
        self.assertEqual(self.calls(), [])


del Sandbox
