"""A test case that runs the built `starling` in a folder of its own. The first argument of a program of tests is the directory of the built
programs; importing this takes it."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAMS = os.path.abspath(sys.argv.pop(1))
STARLING = os.path.join(PROGRAMS, "starling")


class Case(unittest.TestCase):
    program = STARLING
    environment = {}
    empty_runs_may_stay = True  # data is read after the directory has been made

    def setUp(self):
        # A blank in the path: people have them.
        folder = tempfile.TemporaryDirectory(prefix="starling test ")
        self.addCleanup(folder.cleanup)
        self.cwd = folder.name

    def path(self, *names):
        return os.path.join(self.cwd, *names)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return name

    def starling(self, *arguments, **options):
        return subprocess.run([self.program, *arguments], cwd=self.cwd, env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL,
                              capture_output=True, encoding="utf-8", errors="replace", timeout=300, **options)

    def output(self, *arguments):
        result = self.starling(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def json(self, *arguments):
        return json.loads(self.output(*arguments, "--json"))

    def assert_refused(self, arguments, *said):
        """Bad input: exit code 2, a message that says all of this, and nothing written. Gives the message."""
        before = sorted(os.listdir(self.cwd))
        result = self.starling(*arguments)
        self.assertEqual((result.returncode, result.stdout), (2, ""), result.stderr)
        self.assertTrue(result.stderr)
        self.assertNotIn("HDF5-DIAG", result.stderr)
        for text in said:
            self.assertIn(text, result.stderr)
        if self.empty_runs_may_stay and "runs" not in before and os.path.isdir(self.path("runs")):
            self.assertEqual(os.listdir(self.path("runs")), [])
            os.rmdir(self.path("runs"))
        self.assertEqual(sorted(os.listdir(self.cwd)), before, "something was left behind")
        return result.stderr


class QuietCase(Case):
    """Commands that train nothing: where they succeed they print a result and no message, else messages of ours alone."""

    empty_runs_may_stay = False

    def output(self, *arguments):
        result = self.starling(*arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout

    def assert_refused(self, arguments, *said):
        message = super().assert_refused(arguments, *said)
        for line in message.splitlines():
            self.assertTrue(line.startswith("starling: "), message)
        return message
