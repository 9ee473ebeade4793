"""Drives the built programs from outside: killed workers, signals, a full disk, and what is left of a search afterwards.

usage: interruption_test.py DIRECTORY_OF_THE_PROGRAMS [unittest arguments]
"""

import glob
import os
import re
import signal
import subprocess
import time
import unittest

import h5py
import pandas as pd

from case import STARLING, Case
from tiny import EXPERIMENT, make_text

SLOW = ["training.tokens=4000000"]  # minutes: such a run ends because it is told to


def children(pid):
    """Direct children of a process, with their command lines."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                fields = file.read().rpartition(")")[2].split()
            child = int(path.split("/")[2])
            if int(fields[1]) == pid and fields[0] != "Z":
                with open(f"/proc/{child}/cmdline", "rb") as file:
                    found[child] = file.read().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            pass
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, what, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


class Interruption(Case):
    def setUp(self):
        super().setUp()
        make_text(self.cwd)
        self.write("tiny.toml", EXPERIMENT)

    def start(self, *arguments):
        process = subprocess.Popen([STARLING, "run", "tiny.toml", *arguments], cwd=self.cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, encoding="utf-8", start_new_session=True,
                                   # SIGHUP counts also where the tests run under nohup.
                                   preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def workers(self, process):
        return {pid for pid, command in children(process.pid).items() if " worker " in command}

    def recorded(self, run, kind):
        """How many records of a kind the journal holds: each names its kind once."""
        try:
            with open(self.path(run, "journal"), "rb") as file:
                return file.read().count(kind.encode())
        except FileNotFoundError:
            return 0

    def wait_for_records(self, run, kind, count):
        wait_until(lambda: self.recorded(run, kind) >= count, f"{count} records '{kind}'")

    def test_a_worker_killed_with_signal_9_costs_one_attempt_and_the_search_goes_on(self):
        process = self.start("training.tokens=60000", "budget.evaluations=12", "--out", "run")
        workers = wait_until(lambda: len(self.workers(process)) == 2 and self.workers(process), "two workers")
        # A result after both have joined: by then both are at work, and a kill before a lease has started would cost no attempt.
        self.wait_for_records("run", "worker_joined", 2)
        self.wait_for_records("run", "evaluation_recorded", self.recorded("run", "evaluation_recorded") + 1)
        os.kill(min(workers), signal.SIGKILL)
        out, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0, err)
        with h5py.File(self.path("run", "run.h5"), "r") as file:
            evaluations = pd.DataFrame(file["evaluations"][:])
            devices = pd.DataFrame(file["devices"][:])
            counts = evaluations.groupby("candidate_id").size()
        self.assertEqual(len(counts), 14)
        self.assertTrue((counts == 1).all())
        self.assertEqual(len(devices), 3, "the lost worker was replaced")
        self.assertIn("worker lost", err)
        self.assertEqual(int(evaluations["attempt"].max()), 2)

    def stop_with(self, number, send=os.kill):
        process = self.start(*SLOW, "--out", "run")
        self.wait_for_records("run", "candidate_accepted", 4)
        workers = self.workers(process)
        send(process.pid, number)
        out, err = process.communicate(timeout=300)
        for pid in workers:
            wait_until(lambda: not alive(pid), f"worker {pid} to end")
        self.assertIn("run directory", err)
        self.assertEqual(self.recorded("run", "attempt_lost"), 0, "a search that is stopped loses nothing")
        with h5py.File(self.path("run", "run.h5"), "r") as file:
            self.assertFalse(file.attrs["complete"])
            self.assertEqual(len(file["evaluations"]), 0)
            self.assertGreaterEqual(len(file["candidates"]), 4)
        return process.returncode

    def test_an_interrupt_ends_gracefully_with_everything_recorded_and_no_process_left(self):
        self.assertEqual(self.stop_with(signal.SIGINT), 130)

    def test_a_termination_ends_gracefully_with_everything_recorded_and_no_process_left(self):
        self.assertEqual(self.stop_with(signal.SIGTERM), 143)

    def test_a_signal_to_the_whole_process_group_is_for_the_coordinator_alone(self):
        self.assertEqual(self.stop_with(signal.SIGTERM, os.killpg), 143)

    def test_a_terminal_that_is_closed_ends_the_search_gracefully(self):
        self.assertEqual(self.stop_with(signal.SIGHUP, os.killpg), 143)

    def test_a_second_interrupt_kills_a_worker_that_does_not_end_and_leaves_files_whole(self):
        process = self.start(*SLOW, "--out", "run")
        self.wait_for_records("run", "candidate_accepted", 4)
        workers = self.workers(process)
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)  # such a process does not notice that its standard input has ended
        with open(self.path("run", "checkpoints", "00000001.h5.tmp"), "w") as file:
            file.write("half")
        process.send_signal(signal.SIGINT)
        while "stopping" not in (line := process.stderr.readline()):
            self.assertTrue(line, "the search ended")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 130, err)
        for pid in workers:
            self.assertFalse(alive(pid))
        self.assertEqual(os.listdir(self.path("run", "checkpoints")), [])
        with h5py.File(self.path("run", "run.h5"), "r") as file:
            self.assertFalse(file.attrs["complete"])
        self.assertEqual(self.recorded("run", "run_ended"), 1)

    def test_workers_end_when_the_coordinator_is_killed_with_signal_9(self):
        process = self.start(*SLOW, "--out", "run")
        self.wait_for_records("run", "candidate_accepted", 4)
        workers = self.workers(process)
        self.assertEqual(len(workers), 2)
        process.kill()
        process.communicate()
        for pid in workers:
            wait_until(lambda: not alive(pid), f"worker {pid} to end")
        self.assertEqual(self.starling("show", "run").returncode, 0)

    def test_nothing_listens_but_on_the_loopback_address(self):
        process = self.start(*SLOW, "--out", "run")
        self.wait_for_records("run", "candidate_accepted", 4)
        inodes = set()
        for pid in {process.pid} | self.workers(process):
            for link in glob.glob(f"/proc/{pid}/fd/*"):
                try:
                    target = os.readlink(link)
                except OSError:
                    continue
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
        listening = []
        for table in ("/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"):
            if not os.path.exists(table):
                continue
            with open(table) as file:
                for line in file.readlines()[1:]:
                    fields = line.split()
                    if fields[9] in inodes and (fields[3] == "0A" or "udp" in table):
                        listening.append(fields[1].split(":")[0])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
        self.assertEqual(listening, ["0100007F"], "127.0.0.1, once")

    def test_the_token_of_the_workers_is_in_no_command_line_and_no_environment(self):
        process = self.start(*SLOW, "--out", "run")
        wait_until(lambda: len(self.workers(process)) == 2, "two workers")
        for pid in self.workers(process):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            self.assertRegex(b" ".join(words[1:]).decode().strip(), r"^worker w[01] --device cpu$")
            with open(f"/proc/{pid}/environ", "rb") as file:
                self.assertEqual(re.findall(rb"[0-9a-f]{64}", file.read()), [])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)

    def test_a_full_disk_ends_the_run_with_what_was_recorded_before(self):
        """A limit on the size of files stands in for the disk: the journal cannot grow past it."""
        import resource

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        result = self.starling("run", "tiny.toml", "search.baselines=[]", "--out", "run", preexec_fn=limit)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("journal", result.stderr)
        shown = self.starling("show", "run")
        self.assertEqual(shown.returncode, 0, shown.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
