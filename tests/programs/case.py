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

    def setUp(self):
        # A blank in the path: people have them.
        folder = tempfile.TemporaryDirectory(prefix="starling test ")
        self.addCleanup(folder.cleanup)
        self.cwd = folder.name

    def path(self, *names):
        return os.path.join(self.cwd, *names)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)

    def starling(self, *arguments):
        return subprocess.run([self.program, *arguments], cwd=self.cwd, env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=300)

    def output(self, *arguments):
        result = self.starling(*arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def json(self, *arguments):
        return json.loads(self.output(*arguments, "--json"))

    def assert_refused(self, arguments, *said):
        """Bad input: exit code 2, a message that says all of this, and nothing written."""
        before = sorted(os.listdir(self.cwd))
        result = self.starling(*arguments)
        self.assertEqual((result.returncode, result.stdout), (2, ""), result.stderr)
        for text in said:
            self.assertIn(text, result.stderr)
        self.assertNotIn("HDF5-DIAG", result.stderr)
        if "runs" not in before and os.path.isdir(self.path("runs")):
            self.assertEqual(os.listdir(self.path("runs")), [])
            os.rmdir(self.path("runs"))
        self.assertEqual(sorted(os.listdir(self.cwd)), before)
