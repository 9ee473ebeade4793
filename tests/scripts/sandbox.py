"""A copy of tools/ in a folder of its own, with a PATH that holds stand-ins and a few harmless programs, and nothing else."""

import json
import os
import pty
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]

HARMLESS = (
    "awk basename bash cat cp cut dirname du env find grep mkdir mktemp readlink realpath rm sed tar touch tr true"
).split()

# Every stand-in first writes down how it was called.
RECORD = """#!/usr/bin/python3 -B
import json, os, sys
from pathlib import Path
os.fstat(0)  # with standard input closed, the next file to be opened would become it
state = Path(os.environ["STATE"])
name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
with open(state / "calls", "a") as calls:
    calls.write(json.dumps([name, *arguments]) + "\\n")
def lines(file):
    return (state / file).read_text().splitlines() if (state / file).exists() else []
def count(file):
    number = int((lines(file) or ["0"])[0]) + 1
    (state / file).write_text(str(number))
    return number
"""

STAND_INS = {
    "id": "print(*lines('uid'))",
    "nproc": "print(2)",
    "sudo": """
if lines('sudo') != ['allowed']:
    sys.exit(1)
command = [a for a in arguments if a != '-n']
os.execvp(command[0], command)
""",
    "dpkg-query": """
wanted = [a for a in arguments if not a.startswith('-')]
known = dict(line.split() for line in lines('status'))
for package in wanted:
    if package in known:
        print(package, known[package])
sys.exit(any(package not in known for package in wanted))
""",
    # Knows packages only once there are lists; fails the installations whose numbers stand in 'failing'.
    "apt-get": """
if arguments[0] == 'update':
    (state / 'lists').touch()
    sys.exit(int((lines('update_code') or ['0'])[0]))
if '--simulate' in arguments:
    sys.exit(0 if (state / 'lists').exists() else 100)
if not (state / 'lists').exists() or str(count('installations')) in lines('failing'):
    print('E: apt-get failed', file=sys.stderr)
    sys.exit(100)
assert os.environ['DEBIAN_FRONTEND'] == 'noninteractive'
assert '/usr/sbin' in os.environ['PATH'].split(':') or lines('uid') != ['0']
print('chatter of apt-get')
packages = arguments[arguments.index('DPkg::Lock::Timeout=300') + 1:]
with open(state / 'status', 'a') as status:
    status.writelines(f'{package} installed\\n' for package in packages)
""",
    # 'disk' holds "<folder>\\t<free MB>\\t<mount point>", the longest matching folder last.
    "df": """
rows = [line.split('\\t') for line in lines('disk')]
folder, free, mount = [row for row in rows if os.path.realpath(arguments[-1]).startswith(row[0])][-1]
print('Avail Mounted on')
print(free, mount)
""",
    "cmake": """
if arguments[0] == '--preset':
    build = Path('build') / arguments[1]
    build.mkdir(parents=True, exist_ok=True)
    (build / 'CMakeCache.txt').write_text(f'CMAKE_HOME_DIRECTORY:INTERNAL={os.getcwd()}\\n')
    (build / 'build.ninja').touch()
    print('chatter of cmake')
    sys.exit(0)
print('chatter of ninja')
if lines('broken_build'):
    sys.exit(1)
if 'starling' in arguments:
    program = Path(arguments[1]) / 'starling'
    program.unlink(missing_ok=True)
    program.symlink_to(state.parent / 'bin' / 'starling')
""",
    "ctest": """
print('chatter of ctest')
folder = Path(arguments[arguments.index('--output-junit') + 1])
passed, failed, skipped = (4, 0, 1) if 'debug' not in arguments else (2, 0, 0)
code = int((lines('ctest_code') or ['0'])[0]) if '--label-regex' not in arguments else 0
if code:
    passed, failed = passed - 1, 1
rows = {'tests': passed + failed + skipped, 'failures': failed, 'disabled': 0, 'skipped': skipped}
folder.write_text('<testsuite name="(empty)"\\n' + ''.join(f'\\t{k}="{v}"\\n' for k, v in rows.items()) + '\\t>\\n'
                  '\\t<testcase name="a tests=&quot;7&quot;"/>\\n'
                  + ('\\t<testcase name="broken"><failure message=""/><system-out>early\\n' + 'late\\n' * 50 + '</system-out></testcase>\\n'
                     if code else '') + '</testsuite>\\n')
sys.exit(code)
""",
    "debootstrap": """
folder = Path(arguments[-1])
assert not (folder / 'left').exists()
for name in ('proc', 'dev/pts', 'etc', 'left'):
    (folder / name).mkdir(parents=True)
sys.exit(int((lines('debootstrap_code') or ['0'])[0]))
""",
    "unshare": "command = arguments[arguments.index('--') + 1:]\nos.execvp(command[0], command)",
    "mount": "",
    "chroot": "sys.exit(int((lines('chroot_code') or ['0'])[0]))",
    "git": "print('CMakePresets.json', end='\\0')",
    "starling": """
code = int((lines('starling_code') or ['0'])[0])
if '--out' in arguments:
    out = Path(arguments[arguments.index('--out') + 1])
    if not code and '--dry-run' not in arguments:
        import h5py, numpy
        out.mkdir(parents=True)
        with h5py.File(out / 'run.h5', 'w') as run:
            run['evaluations'] = numpy.array([(0, 2.5), (1, 2.25)], dtype=[('evaluation_id', 'i8'), ('obj_quality', 'f8')])
print('the front')
sys.exit(code)
""",
}


class Sandbox(unittest.TestCase):
    """Each test has a checkout whose path holds spaces, all packages installed, room on the disk, and root's rights."""

    def setUp(self):
        # Not below the tree: the tests may run as part of tools/test.
        self.folder = Path(tempfile.mkdtemp(prefix="starling-scripts-")).resolve()
        self.addCleanup(shutil.rmtree, self.folder)
        self.tree = self.folder / "a checkout with spaces"
        shutil.copytree(TREE / "tools", self.tree / "tools")
        (self.tree / "CMakePresets.json").touch()
        self.state = self.folder / "state"
        self.state.mkdir()
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for name in HARMLESS:
            (self.bin / name).symlink_to(shutil.which(name, path="/usr/bin:/bin"))
        for name, body in STAND_INS.items():
            (self.bin / name).write_text(RECORD + body)
            (self.bin / name).chmod(0o755)
        self.set("uid", "0")
        self.set("lists", "")
        self.set("disk", "/\t9000\t/")
        self.install(*self.packages("build", "read", "test"))

    def set(self, file, text):
        (self.state / file).write_text(text + "\n" if text else "")

    def packages(self, *groups):
        found = []
        for line in (self.tree / "tools/packages.txt").read_text().splitlines():
            if line and not line.startswith("#"):
                name, _, rest = line.partition(" ")
                if rest.strip(" #").split(":")[0] in groups:
                    found.append(name)
        return found

    def install(self, *packages, status="installed"):
        self.set("status", "\n".join(f"{package} {status}" for package in packages))

    def remove(self, *packages):
        self.install(*(p for p in self.packages("build", "read", "test") if p not in packages))

    def run_script(self, script, *arguments, cwd="/", terminal=False):
        """Runs it under LC_ALL=C with standard input closed, or on a terminal of its own."""
        environment = {"PATH": str(self.bin), "STATE": str(self.state), "LC_ALL": "C"}
        command = [str(script) if os.path.isabs(script) else str(self.tree / "tools" / script), *arguments]
        if not terminal:
            return subprocess.run(
                ["/bin/bash", "-c", 'exec "$@" <&-', "bash", *command],
                cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        try:
            master, slave = pty.openpty()
        except OSError as error:
            self.skipTest(f"no terminal to be had: {error}")
        try:
            return subprocess.run(
                command, cwd=cwd, env=environment, text=True,
                stdin=slave, stdout=subprocess.PIPE, stderr=slave, timeout=60)
        finally:
            os.close(slave)
            os.close(master)

    def calls(self, *programs):
        """What was called, in order; with names, only calls of those."""
        file = self.state / "calls"
        rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [row for row in rows if not programs or row[0] in programs]

    def forget_calls(self):
        (self.state / "calls").unlink(missing_ok=True)

    def assert_ends(self, result, code):
        self.assertEqual(result.returncode, code, f"\nstdout: {result.stdout}\nstderr: {result.stderr}")
