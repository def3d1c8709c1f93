"""How many CPUs this process may use: its affinity, and control groups' quotas, read from files made here."""

import os

import pytest

from fastconv import _runtime

ALL_CPUS = "the CPUs this process may use"
QUOTA = "the control group's CPU quota"


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Write files under a root of our own, on a machine of 8 CPUs, and count the CPUs there."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)

    def count(files):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return _runtime._usable_cpus(tmp_path)

    return count


V1 = "12:memory:/user\n4:cpu,cpuacct:{}\n3:cpuset:/\n0::/\n"


@pytest.mark.parametrize(
    ("cpu_max", "expected"),
    [
        ("max 100000\n", (8, ALL_CPUS)),
        ("200000 100000\n", (2, QUOTA)),
        ("250000 100000\n", (3, QUOTA)),  # rounded up: the third is not always there, but idles for nobody
        ("1000 100000\n", (1, QUOTA)),
        ("800000 100000\n", (8, ALL_CPUS)),
        ("6400000 100000\n", (8, ALL_CPUS)),
        ("50000 25000\n", (2, QUOTA)),
        ("", (8, ALL_CPUS)),
        ("junk\n", (8, ALL_CPUS)),
        ("100000 0\n", (8, ALL_CPUS)),
    ],
)
def test_version_2(system, cpu_max, expected):
    assert system({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": cpu_max}) == expected


@pytest.mark.parametrize("tight", ["sys/fs/cgroup/a/b c/cpu.max", "sys/fs/cgroup/a/cpu.max", "sys/fs/cgroup/cpu.max"])
def test_the_tightest_group_above_counts(system, tight):
    files = {
        "proc/self/cgroup": "0::/a/b c\n",
        "sys/fs/cgroup/a/b c/cpu.max": "600000 100000\n",
        "sys/fs/cgroup/a/cpu.max": "max 100000\n",
        "sys/fs/cgroup/other/cpu.max": "100000 100000\n",
        "sys/fs/cpu.max": "100000 100000\n",  # above what is mounted
    }
    assert system(files) == (6, QUOTA)
    assert system({tight: "300000 100000\n"}) == (3, QUOTA)


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize("group", ["/", "/docker/0a1b"])
@pytest.mark.parametrize(("quota", "expected"), [("-1", (8, ALL_CPUS)), ("150000", (2, QUOTA))])
def test_version_1(system, mount, group, quota, expected):
    folder = f"sys/fs/cgroup/{mount}{group}"
    files = {
        "proc/self/cgroup": V1.format(group),
        f"{folder}/cpu.cfs_quota_us": f"{quota}\n",
        f"{folder}/cpu.cfs_period_us": "100000\n",
    }
    assert system(files) == expected


@pytest.mark.parametrize("path", ["/docker/0a1b", "/../../docker/0a1b", "/.."])
def test_a_container_sees_its_own_group_at_the_top(system, path):
    files = {"proc/self/cgroup": f"0::{path}\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"}
    assert system(files) == (1, QUOTA)
    files = {
        "proc/self/cgroup": V1.format(path),
        "sys/fs/cgroup/cpu.max": "max 100000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    assert system(files) == (4, QUOTA)


@pytest.mark.parametrize("groups", [None, "", "no control groups\n", "1:name=systemd:/\n"])
def test_no_control_groups(system, groups):
    assert system({} if groups is None else {"proc/self/cgroup": groups}) == (8, ALL_CPUS)


def test_without_affinity_all_cpus_count(system, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert system({}) == (5, ALL_CPUS)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert system({}) == (1, ALL_CPUS)


if hasattr(os, "sched_setaffinity"):

    def test_affinity_counts(child):
        answer = child(
            """
            import os
            import fastconv
            from fastconv import _runtime

            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
            print(fastconv.get_workers(), _runtime.config()["workers_from"])
            """
        )
        assert answer == f"1 {ALL_CPUS}"
