"""tools/setup: installs what is missing and nothing else, and says how where it cannot."""

from sandbox import Sandbox

INSTALL = ["apt-get", "install", "--yes", "--no-install-recommends", "--no-remove", "-o", "DPkg::Lock::Timeout=300"]
UPDATE = ["apt-get", "update", "-o", "DPkg::Lock::Timeout=300"]


class Setup(Sandbox):
    def changes(self):
        return [call for call in self.calls("apt-get") if "--simulate" not in call]

    def test_calls_no_apt_get_where_nothing_is_missing(self):
        result = self.run_script("setup")
        self.assert_ends(result, 0)
        self.assertEqual(self.calls("apt-get", "sudo"), [])
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertEqual(result.stdout, "")

    def test_installs_exactly_what_is_missing(self):
        self.remove("libcaf-dev", "ccache")
        result = self.run_script("setup")
        self.assert_ends(result, 0)
        self.assertEqual(self.changes(), [[*INSTALL, "ccache", "libcaf-dev"]])
        self.assertIn("ccache libcaf-dev", result.stderr)
        self.assertEqual(result.stdout, "")
        self.forget_calls()
        self.assert_ends(self.run_script("setup"), 0)
        self.assertEqual(self.changes(), [])

    def test_takes_a_package_that_is_only_configured_or_half_installed_as_missing(self):
        for status in ("config-files", "half-installed", "unpacked"):
            self.install(*self.packages("build", "read", "test"), status=status)
            result = self.run_script("setup", "--check")
            self.assert_ends(result, 2)
            self.assertIn("libtorch-dev", result.stdout)

    def test_fetches_lists_first_on_a_machine_without_any(self):
        self.remove("cmake")
        (self.state / "lists").unlink()
        self.assert_ends(self.run_script("setup"), 0)
        self.assertEqual(self.changes(), [UPDATE, [*INSTALL, "cmake"]])

    def test_fetches_new_lists_once_where_the_old_ones_do_not_serve(self):
        self.remove("cmake")
        self.set("failing", "1")
        self.assert_ends(self.run_script("setup"), 0)
        self.assertEqual(self.changes(), [[*INSTALL, "cmake"], UPDATE, [*INSTALL, "cmake"]])

    def test_gives_up_after_the_second_failure_and_says_so(self):
        self.remove("cmake")
        self.set("failing", "1\n2")
        result = self.run_script("setup")
        self.assert_ends(result, 1)
        self.assertEqual(len(self.changes()), 3)
        self.assertIn("could not install", result.stderr)

    def test_tries_only_once_with_lists_that_are_new(self):
        self.remove("cmake")
        (self.state / "lists").unlink()
        self.set("failing", "1")
        self.assert_ends(self.run_script("setup"), 1)
        self.assertEqual(self.changes(), [UPDATE, [*INSTALL, "cmake"]])

    def test_goes_on_where_a_foreign_list_cannot_be_fetched(self):
        self.remove("cmake")
        (self.state / "lists").unlink()
        self.set("update_code", "100")
        self.assert_ends(self.run_script("setup"), 0)
        self.assertEqual(self.changes(), [UPDATE, [*INSTALL, "cmake"]])

    def test_prints_the_command_where_there_is_neither_root_nor_sudo(self):
        self.remove("cmake", "g++")
        self.set("uid", "1000")
        (self.bin / "sudo").unlink()
        result = self.run_script("setup")
        self.assert_ends(result, 2)
        self.assertEqual(self.calls("apt-get"), [])
        command = "sudo apt-get update && sudo " + " ".join([*INSTALL, "g++", "cmake"])
        self.assertIn(command, [line.strip() for line in result.stderr.splitlines()])

    def test_asks_sudo_for_no_password_without_a_terminal(self):
        self.remove("cmake")
        self.set("uid", "1000")
        self.set("sudo", "allowed")
        self.assert_ends(self.run_script("setup"), 0)
        self.assertTrue(self.calls("sudo"))
        for call in self.calls("sudo"):
            self.assertEqual(call[1], "-n")
        self.assertEqual(self.changes(), [[*INSTALL, "cmake"]])

    def test_lets_sudo_ask_on_a_terminal(self):
        self.remove("cmake")
        self.set("uid", "1000")
        self.set("sudo", "allowed")
        self.assert_ends(self.run_script("setup", terminal=True), 0)
        self.assertTrue(self.calls("sudo"))
        for call in self.calls("sudo"):
            self.assertNotIn("-n", call)

    def test_prints_the_command_where_sudo_refuses(self):
        self.remove("cmake")
        self.set("uid", "1000")
        result = self.run_script("setup")
        self.assert_ends(result, 2)
        self.assertEqual(self.changes(), [])
        self.assertIn(" ".join([*INSTALL, "cmake"]), result.stderr)

    def test_needs_no_rights_where_nothing_is_missing(self):
        self.set("uid", "1000")
        (self.bin / "sudo").unlink()
        self.assert_ends(self.run_script("setup"), 0)

    def test_refuses_where_the_packages_do_not_fit(self):
        self.install()
        self.set("disk", f"/\t1000\t/\n{self.folder}\t9000\t/home")
        result = self.run_script("setup")
        self.assert_ends(result, 2)
        self.assertEqual(self.changes(), [])
        count = len(self.packages("build", "read", "test"))
        self.assertIn(f"at /: {count} packages need about {100 * count} MB, 1000 MB are free", result.stderr)

    def test_refuses_where_the_build_does_not_fit(self):
        self.set("disk", f"/\t9000\t/\n{self.folder}\t700\t/a disk")
        result = self.run_script("setup")
        self.assert_ends(result, 2)
        self.assertIn("at /a disk: the build need", result.stderr)
        self.assertIn("1500 MB, 700 MB are free", result.stderr)

    def test_adds_up_what_lies_on_one_file_system(self):
        self.install()
        self.set("disk", "/\t3000\t/")
        result = self.run_script("setup")
        self.assert_ends(result, 2)
        count = len(self.packages("build", "read", "test"))
        self.assertIn(f"{100 * count + 1500} MB", result.stderr)
        self.set("disk", f"/\t3000\t/\n{self.folder}\t3000\t/home")
        self.assert_ends(self.run_script("setup"), 0)

    def test_counts_what_the_build_already_holds(self):
        self.set("disk", "/\t1490\t/")
        self.assert_ends(self.run_script("setup"), 2)
        (self.tree / "build").mkdir()
        (self.tree / "build/object").write_bytes(b"x" * 20_000_000)
        self.assert_ends(self.run_script("setup"), 0)

    def test_checks_without_changing_anything(self):
        result = self.run_script("setup", "--check")
        self.assert_ends(result, 0)
        self.assertEqual(result.stdout, "nothing is missing\n")
        self.remove("libhdf5-dev")
        result = self.run_script("setup", "--check")
        self.assert_ends(result, 2)
        self.assertEqual(result.stdout.splitlines()[0], "missing: libhdf5-dev")
        self.assertEqual(self.calls("apt-get", "sudo"), [])

    def test_installs_the_python_to_compare_with_only_on_request(self):
        self.assert_ends(self.run_script("setup", "--compare"), 0)
        self.assertEqual(self.changes(), [[*INSTALL, *self.packages("compare")]])

    def test_says_what_to_do_on_other_systems(self):
        (self.bin / "apt-get").unlink()
        result = self.run_script("setup")
        self.assert_ends(result, 2)
        self.assertIn("tools/packages.txt", result.stderr)

    def test_refuses_an_unknown_argument(self):
        for argument in ("--instal", "cmake", ""):
            result = self.run_script("setup", argument)
            self.assert_ends(result, 2)
            self.assertIn(f"'{argument}'", result.stderr)
        self.assertEqual(self.calls("apt-get"), [])

    def test_names_the_line_of_a_broken_list(self):
        (self.tree / "tools/packages.txt").write_text("# a list\n\ncmake  # build: needed\nninja-build\n")
        result = self.run_script("setup")
        self.assert_ends(result, 1)
        self.assertIn("tools/packages.txt:4:", result.stderr)

    def test_works_through_a_link(self):
        link = self.folder / "starling-setup"
        link.symlink_to(self.tree / "tools/setup")
        self.assert_ends(self.run_script(link, "--check"), 0)

    def test_the_list_names_every_package_once_in_a_known_group(self):
        every = self.packages("build", "read", "test", "compare")
        entries = [line for line in (self.tree / "tools/packages.txt").read_text().splitlines() if line and line[0] != "#"]
        self.assertEqual(len(every), len(entries))
        self.assertEqual(len(set(every)), len(every))


del Sandbox  # unittest would collect it here again
